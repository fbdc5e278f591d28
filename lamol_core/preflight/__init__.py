"""What is wrong with a sequence, and what it will cost, before anything runs."""
