"""Where real rows come from, and how they are cut and mixed."""
