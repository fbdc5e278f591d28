"""What a block of params.yaml is, how the file is read, and what is said of its faults."""
