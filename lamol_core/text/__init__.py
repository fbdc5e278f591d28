"""Turn a pair of texts (x, y) into token ids: the template, its two views, the reserved tokens."""
