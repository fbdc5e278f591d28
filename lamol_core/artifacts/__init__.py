"""What stages leave on disk: where it lies, how it is written, checked and read."""
