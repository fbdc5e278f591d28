"""Backbones and checkpoints: how models are made, prepared, loaded, saved and run."""
