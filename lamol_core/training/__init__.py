"""The training loop: optimizer batches whose loss does not depend on how they are cut."""
