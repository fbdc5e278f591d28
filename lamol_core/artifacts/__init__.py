"""The files that stages leave on disk: their paths, how they are written, checked and read."""
