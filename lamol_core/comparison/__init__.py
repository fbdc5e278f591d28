"""Finished sequences side by side: which runs, what may be said of them, and its files."""
