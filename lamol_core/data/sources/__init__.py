"""The kinds of sources that real rows are read from, one file for each kind."""
