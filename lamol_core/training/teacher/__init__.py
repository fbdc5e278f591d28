"""What a student is distilled from: a model, its stored states, or a memory's logits."""
