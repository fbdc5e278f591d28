"""What tells right rows of a task from wrong ones."""
