"""What a block of params.yaml is, how the file is read, and sentences about its errors."""
