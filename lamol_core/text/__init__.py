"""From a pair of texts (x, y) to token ids: the template, its two views, the reserved tokens."""
