"""All that speaks DVC's language: its record, dvc.yaml, new sequences, experiments."""
