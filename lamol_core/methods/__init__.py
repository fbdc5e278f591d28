"""The continual-learning methods: one file each, their losses as pure functions."""
