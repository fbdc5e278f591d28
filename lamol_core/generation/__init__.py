"""Which pseudo-samples are drawn, kept and rejected."""
