"""What a run came to: the summary, tables, plots and the page."""
