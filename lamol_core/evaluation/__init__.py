"""Predicts answers to test rows, scores them, and computes the score matrix."""
