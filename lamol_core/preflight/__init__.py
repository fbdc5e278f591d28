"""Checks before a run: what is wrong with a sequence, and what it will cost."""
