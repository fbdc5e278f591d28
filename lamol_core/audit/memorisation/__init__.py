"""Whether samples repeat training rows: spans, neighbours, permutation tests."""
