"""Cut dev and test splits off the training rows, for a source that lacks them."""

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence

from lamol_core.data.columns import RawRow, SourceError, counted
from lamol_core.data.params import PrepareParams
from lamol_core.records import SPLITS, asked_text
from lamol_core.seeds import derive_seed

ROWS_PER_CLASS = 10
"""Targets with this many training rows each, on average, count as classes. CLINC150's intents have
40 or more here, the demo's `slots` 13; answers in sentences have fewer."""


def looks_like_classes(targets: Sequence[str]) -> bool:
    """Whether these training targets are labels rather than free text.

    Targets that never repeat are text. Otherwise one or two distinct targets are labels, and more
    are labels where they have ROWS_PER_CLASS rows each on average."""
    distinct = len(set(targets))
    return distinct < len(targets) and distinct <= max(2, len(targets) / ROWS_PER_CLASS)


def complete_splits(
    rows_by_split: Mapping[str, Sequence[RawRow]], params: PrepareParams, name: str
) -> dict[str, list[RawRow]]:
    """Cut a missing dev or test split off the training rows; returns all three splits, in file
    order.

    Rows with equal inputs, and equal turns before them, stay in one split. Where targets repeat,
    each split gets its share of every target, and every target keeps a training row. The cut
    depends only on `split_seed` and the texts. Raises SourceError, which names the task `name`,
    where the training rows are too few.
    """
    train = list(rows_by_split["train"])
    fractions = {"test": params.test_fraction, "dev": params.dev_fraction}
    missing = [split for split in fractions if split not in rows_by_split]
    splits = {split: list(rows) for split, rows in rows_by_split.items()}
    cuts = _cut(train, {s: max(1, round(fractions[s] * len(train))) for s in missing}, params)
    distinct = {asked_text(row) for row in train}
    if empty := [split for split in missing if not cuts[split]]:
        raise SourceError(
            f"tasks.{name}.source: {counted(len(train), 'training row')} of "
            f"{counted(len(distinct), 'distinct input')} are too few to cut a "
            f"{split} split off. Add rows, or give the source a {split} split of its own."
            for split in empty
        )
    for split in missing:
        splits[split] = [row for row in train if asked_text(row) in cuts[split]]
    held_out = set().union(*cuts.values())
    splits["train"] = [row for row in train if asked_text(row) not in held_out]
    return {split: splits[split] for split in SPLITS}


def _cut(
    train: Sequence[RawRow], wanted: Mapping[str, int], params: PrepareParams
) -> dict[str, set[str]]:
    """The inputs whose rows leave the training split, by the split that gets them. `wanted`: how
    many rows each split needs."""
    targets_of: dict[str, Counter[str]] = defaultdict(Counter)
    for row in train:
        targets_of[asked_text(row)][row.target] += 1
    inputs_of: dict[str, list[str]] = defaultdict(list)
    for text, targets in targets_of.items():
        inputs_of[next(iter(targets))].append(text)
    repeat = min(map(len, inputs_of.values())) > 1
    stratified = repeat or looks_like_classes([row.target for row in train])
    left = Counter(row.target for row in train)
    strata = list(inputs_of.values()) if stratified else [list(targets_of)]
    order = _spread(strata, params.split_seed)
    cuts: dict[str, set[str]] = {split: set() for split in wanted}
    for split, count in wanted.items():
        # what is passed over for one split stays in train: `left` only falls
        while count > 0 and order:
            text = order.popleft()
            taken = targets_of[text]
            keeps_targets = all(left[target] > taken[target] for target in taken)
            if left.total() > taken.total() and (keeps_targets or not stratified):
                cuts[split].add(text)
                left -= taken
                count -= taken.total()
    return cuts


def _spread(strata: Sequence[Sequence[str]], seed: int) -> deque[str]:
    """Every text once, in a seeded order. Every prefix of it holds about the same share of each
    stratum."""
    ranked = []
    for texts in strata:
        hashed = sorted((derive_seed(seed, "split", text), text) for text in texts)
        ranked += [((rank + 0.5) / len(texts), *pair) for rank, pair in enumerate(hashed)]
    return deque(text for _, _, text in sorted(ranked))
