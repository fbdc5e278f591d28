"""Files that are either whole or absent: atomic writes, checked reads, manifests."""
