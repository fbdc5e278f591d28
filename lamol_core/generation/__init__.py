"""Draw pseudo-samples from the teacher, and choose which of them are kept."""
