"""The audit's checks, one file each."""
