"""A task's real rows: reading sources, cutting splits, mixing real rows with pseudo rows."""
