"""The pipeline's commands, one Typer command per file. Each reads inputs, calls lamol_core, and
writes.
"""
