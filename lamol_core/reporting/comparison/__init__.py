"""Finished sequences side by side."""
