"""Compares finished sequences with each other."""
