"""What a sequence will cost, said before any of it runs."""
