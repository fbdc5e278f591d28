"""The audit: it judges whether a table of pseudo-samples is fit for training and for sharing."""
