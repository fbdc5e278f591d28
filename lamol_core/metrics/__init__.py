"""Metrics that score generated text against its target, one file each."""
