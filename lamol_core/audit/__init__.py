"""Whether a table of pseudo-samples may be let into training, and shared."""
