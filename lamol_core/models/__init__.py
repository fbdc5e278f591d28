"""Backbones: where the first weights come from, how they are prepared, loaded and saved."""
