"""The interface to DVC: its record, dvc.yaml, new sequences, experiments."""
