"""The teacher's side of a divergence."""
