"""Where real rows come from: one file a kind of source."""
