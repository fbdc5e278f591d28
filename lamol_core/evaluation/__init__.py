"""Prediction, scoring and the score matrix."""
