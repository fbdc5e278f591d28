"""What a block of params.yaml is, how the file is read, and the sentences about its errors."""
