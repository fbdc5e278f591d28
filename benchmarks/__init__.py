"""Side by side against the published procedure and well-made peers: `python -m benchmarks.all`.

Each `bench_*` prints a table and one JSON line a figure:
{"bench", "ours", "theirs", "ratio", "unit", "runs", ...}. The sides take turns in one run; figures
are medians over the rounds. A ratio above 1 is in our favour, except where the unit says bytes or
seconds: there it is ours / theirs, and below 1 is in our favour.
"""
