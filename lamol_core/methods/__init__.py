"""The continual-learning methods, one file each, and the losses that they share."""
