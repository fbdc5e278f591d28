"""Write `data/T/`: the rows of task T from its source, and links to the rows of earlier tasks."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from itertools import chain
from pathlib import Path

from lamol_core.artifacts.atomic import atomic_folder, link_tree
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import MANIFEST, NOTHING_KNOWN, Provenance, seal_folder
from lamol_core.artifacts.spec import DATA, remedy
from lamol_core.artifacts.tables import write_rows
from lamol_core.data.canaries import Canary, make_canaries, write_canaries
from lamol_core.data.columns import RawRow, SourceError, counted, limit_rows
from lamol_core.data.params import PrepareParams, TaskParams
from lamol_core.data.sources.registry import SUFFIXES, read_source
from lamol_core.data.splits import complete_splits, looks_like_classes
from lamol_core.data.task_data import LINEAGE, SEEN, TaskData
from lamol_core.data.tombstones import (
    Record,
    forgotten_under_another_name,
    read_record,
    read_records,
)
from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.metrics.registry import default_metric
from lamol_core.records import (
    SPLITS,
    Example,
    Targets,
    TaskFacts,
    asked_text,
    earlier_turns,
    row_id,
)
from lamol_core.text.normalise import normalise

Rows = Mapping[str, Sequence[RawRow]]
FEW_TEST_ROWS = 10
SHOWN_LABELS = 3
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class SplitRows:
    """A task's rows by split: train, dev and test."""

    by_split: dict[str, list[RawRow]]
    cut: list[str]
    """A sentence for each split that was cut off the training rows."""
    notes: list[str]
    """A sentence that names the files that were not read, if there are any."""


def write_base(folder: Path) -> None:
    """Write `data/base/`, an empty data folder that the first task reads as its predecessor's. Its
    bytes are always the same."""
    with atomic_folder(folder) as scratch:
        _write_lineage(scratch, ())
        seal_folder(scratch, DATA.kind, {})


def prepare_task(
    name: str,
    task: TaskParams,
    prepare: PrepareParams,
    before: TaskData,
    layout: Layout,
    made: Provenance = NOTHING_KNOWN,
) -> list[str]:
    """Write the data folder of a task; returns notes for the user. `before` is the data of its
    predecessor.

    A forgotten split stays empty. Raises SourceError where the source is wrong, ConfigError where
    its rows were forgotten under another task's name, and ArtifactError where `before` is not the
    data of the task that `after` names."""
    out, root, record = layout.data(name), layout.root, read_record(layout.forgotten(name))
    records = read_records(layout.all_forgotten)
    if problem := forgotten_under_another_name(name, task.source, records, root):
        raise ConfigError(problem)
    blocks = {"task": {name: task.model_dump(mode="json")}}
    made = replace(made, parameters={**blocks, "prepare": prepare.model_dump(mode="json")})
    if before.name != task.after:
        raise ArtifactError(
            f"{before.folder}: holds task {before.name!r}, not {task.after!r}. "
            f"{remedy(DATA, task.after)}"
        )
    if record is None or not record.is_complete:
        facts, tables, canaries, notes = _read_own(name, task, prepare, before, layout, record)
    else:
        facts, tables, canaries, notes = record.facts, {}, [], []  # its source is not read
    with atomic_folder(out) as scratch:
        for split, examples in tables.items():
            write_rows(scratch / f"{split}.parquet", examples, DATA.schema)
        if canaries:
            write_canaries(scratch, canaries)
        if record is not None:
            record.copy_into(scratch)
        if before.lineage:
            _link_seen(before, scratch / SEEN)
        _write_lineage(scratch, (*before.lineage, facts))
        num_rows = facts.num_rows if record is None else record.rows(facts)
        seal_folder(scratch, DATA.kind, num_rows, made)
    if record is not None:
        notes.append(
            f"its {' and '.join(sorted(record.removed))} rows were forgotten and are not read. "
            f"Remove {record.folder} to have `lamol prepare {name}` read them again."
        )
    if canaries:
        notes.append(f"{counted(len(canaries), 'canary row')} added to its training rows.")
    return notes


def _read_own(
    name: str,
    task: TaskParams,
    prepare: PrepareParams,
    before: TaskData,
    layout: Layout,
    record: Record | None,
) -> tuple[TaskFacts, dict[str, list[Example]], list[Canary], list[str]]:
    """Read a task's rows and plant canaries: its facts, what its folder holds, and notes on them.
    Raises as `prepare_task` does."""
    if problems := task.source.location_problems([layout.data(name)], layout.root):
        raise SourceError(problems).below(f"tasks.{name}.source")
    read = read_task_rows(name, task, prepare, layout.root)
    facts = find_facts(name, task, read.by_split)
    train = read.by_split["train"]
    canaries, planted = make_canaries(
        name, prepare.canaries, train, prepare.split_seed, facts.targets == "classes"
    )
    rows = {**read.by_split, "train": [*train, *planted]}
    facts = replace(facts, num_rows={**facts.num_rows, "train": len(rows["train"])})
    tables = _label(rows, facts, first_index=sum(len(past.classes) for past in before.lineage))
    if record is not None and (changed := record.changed(tables)):
        raise ConfigError(
            f"{record.folder}: the {' and '.join(changed)} rows of {name} would be others than "
            "those that stayed, and forgotten ones may be among them. Restore `prepare` and "
            "the source, or remove this folder to read all rows again."
        )
    # what is cut off is told of the first task; `lamol check` tells it of all
    notes = notes_on(task, facts, replace(read, cut=[]) if before.lineage else read)
    return facts, tables, canaries, notes


def read_task_rows(name: str, task: TaskParams, prepare: PrepareParams, root: Path) -> SplitRows:
    """Read all three splits of a task. A missing split is cut off the training rows; limits apply
    after that.

    Raises SourceError whose sentences name the task."""
    try:
        given = read_source(task.source, root)
    except SourceError as error:
        raise error.below(f"tasks.{name}.source") from error
    rows = complete_splits(given, prepare, name)
    cut = [
        f"the source has no {split} split: {counted(len(rows[split]), 'row')} cut off its training "
        "rows instead."
        for split in rows
        if split not in given
    ]
    unread = ", ".join(task.source.unread_files(root, SUFFIXES))
    notes = [f"files beside its splits that are not read: {unread}."] if unread else []
    return SplitRows(limit_rows(rows, task.source), cut, notes)


def find_facts(name: str, task: TaskParams, rows: Rows) -> TaskFacts:
    """The facts of a task, from its block and its rows. Where the block says "auto", the rows
    decide.

    `classes` are the targets of all splits: first those of the training rows, then the others, each
    part in alphabetical order. They are empty for free text."""
    train_targets = [row.target for row in rows["train"]]
    known = set(train_targets)
    others = {row.target for split in SPLITS for row in rows[split]} - known
    found: Targets = "classes" if looks_like_classes(train_targets) else "text"
    targets = found if task.targets == "auto" else task.targets
    return TaskFacts(
        name=name,
        metric=default_metric(targets) if task.metric == "auto" else task.metric,
        targets=targets,
        classes=(*sorted(known), *sorted(others)) if targets == "classes" else (),
        num_rows={split: len(rows[split]) for split in SPLITS},
        num_learnt_classes=len(known) if targets == "classes" else 0,
        system=rows["train"][0].system,
        num_answers=_num_answers(rows),
    )


def _num_answers(rows: Rows) -> dict[int, int]:
    """The field `num_answers` of TaskFacts."""
    if not any(row.history for part in rows.values() for row in part):
        return {}
    counts = Counter(1 + len(earlier_turns(row.history)) for row in rows["train"])
    return dict(sorted(counts.items()))


def _label(rows: Rows, facts: TaskFacts, first_index: int) -> dict[str, list[Example]]:
    index = {target: first_index + i for i, target in enumerate(facts.classes)}
    name = facts.name
    return {
        split: [
            as_example(row, row_id(name, split, i), name, index.get(row.target, 0))
            for i, row in enumerate(rows[split])
        ]
        for split in SPLITS
    }


def as_example(row: RawRow, row_id: str, task: str, label: int = 0) -> Example:
    return Example(row_id, task, row.input, row.target, label, row.history)


def _link_seen(before: TaskData, seen: Path) -> None:
    """Link the rows of the task before, and of all tasks before that one, into one folder per
    task."""
    own = seen / before.name
    link_tree(before.folder, own)
    if (own / SEEN).exists():
        for earlier in (own / SEEN).iterdir():
            earlier.rename(seen / earlier.name)
        shutil.rmtree(own / SEEN)
    for name in (LINEAGE, MANIFEST):
        (own / name).unlink()


def _alike(rows: Iterable[RawRow]) -> list[tuple[str, str]]:
    """Pairs of different labels that are equal once normalised (or as numbers), in the order of the
    rows."""
    first: dict[str | Decimal, str] = {}
    pairs = []
    for label in dict.fromkeys(row.target for row in rows):
        plain = normalise(label)
        key = Decimal(plain) if PLAIN_NUMBER.fullmatch(plain) else plain
        if first.setdefault(key, label) != label:
            pairs.append((first[key], label))
    return pairs


def _write_lineage(folder: Path, lineage: Sequence[TaskFacts]) -> None:
    known = [asdict(facts) for facts in lineage]
    for facts in known:
        for key in ("system", "num_answers"):  # of chat data alone
            if not facts[key]:
                del facts[key]
    text = json.dumps(known, indent=1, sort_keys=True)
    (folder / LINEAGE).write_text(text + "\n", encoding="utf-8")


def notes_on(task: TaskParams, facts: TaskFacts, read: SplitRows) -> list[str]:
    """Sentences for the user about unusual rows. Notes are logged, so they name rows by id and
    never quote them. Labels may be quoted, because the lineage holds them too."""
    rows, notes = read.by_split, [*read.cut, *read.notes]
    train, test, has_classes = rows["train"], rows["test"], facts.targets == "classes"
    if len(test) < FEW_TEST_ROWS:
        notes.append(f"{counted(len(test), 'test row')}: a score on so few rows says little.")
    distinct = {row.target for row in train}
    unscored = distinct - {row.target for row in test}
    if has_classes and unscored:
        notes.append(f"{len(unscored)} of its {len(distinct)} targets have no test row.")
    if has_classes and (alike := _alike(chain.from_iterable(rows.values()))):
        shown = "; ".join(" and ".join(map(repr, pair)) for pair in alike[:SHOWN_LABELS])
        more = f" (and {len(alike) - SHOWN_LABELS} more)" if len(alike) > SHOWN_LABELS else ""
        notes.append(
            "labels that differ only in case, white space, invisible characters or how a number "
            f"is written: {shown}{more}. Make them equal in the source if they mean the same."
        )
    if facts.system:
        notes.append("its rows share a system message, which `text.format: chat` alone has.")
    if len(distinct) == 1:
        notes.append("all its training rows have the same target.")
    is_guessed = task.targets == task.metric == "auto"
    if is_guessed and not has_classes and len(distinct) <= facts.num_rows["train"] / 2:
        notes.append(
            f"{len(distinct)} distinct targets of {facts.num_rows['train']} training rows are "
            "taken for free text; set `targets: classes` if they are labels."
        )
    if facts.has_turns:
        notes.append("some of its rows have several turns, which `text.format: chat` alone has.")
    inputs = {asked_text(row) for row in train}
    for split in ("dev", "test"):
        repeated = [i for i, row in enumerate(rows[split]) if asked_text(row) in inputs]
        unknown = [i for i, row in enumerate(rows[split]) if row.target not in distinct]
        for found, what in (
            (repeated, "with an input that train has too"),
            (unknown if has_classes else [], "with a target that train lacks"),
        ):
            if found:
                first = row_id(facts.name, split, found[0])
                notes.append(f"{counted(len(found), 'row')} of {split} {what}, first {first}.")
    if (num := len({(asked_text(row), row.target) for row in train}) - len(inputs)) > 0:
        notes.append(f"{num} of the training rows repeat an input with another target.")
    return notes
