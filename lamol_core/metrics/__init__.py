"""How generated text is scored: one file a metric."""
