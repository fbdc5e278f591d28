"""Continuing prompts with a causal model: the engine of slots, samplers, greedy answers."""
