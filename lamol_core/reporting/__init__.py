"""Reports the results of a run: the summary, tables, plots and the page."""
