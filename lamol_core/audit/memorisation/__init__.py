"""Measures whether samples repeat training rows: shared spans, neighbours, permutation tests."""
