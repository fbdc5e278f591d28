"""Decoding: the loop over a key-value cache, the format automaton, the checks on a sample."""
