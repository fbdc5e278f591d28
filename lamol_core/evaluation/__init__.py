"""Prediction, metrics and the score matrix."""
