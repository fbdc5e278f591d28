"""What can be told of a sequence before anything of it runs."""
