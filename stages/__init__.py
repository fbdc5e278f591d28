"""The pipeline's stages: one Typer command a file. Each reads, calls lamol_core, and writes."""
