"""Continue prompts with a causal model: the decoding engine, samplers, greedy answers."""
