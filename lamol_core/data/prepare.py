"""Writing `data/T/`: a task's rows from its source, links to those of the tasks before it."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
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
from lamol_core.data.tombstones import forgotten_under_another_name, read_record, read_records
from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.metrics.registry import default_metric
from lamol_core.records import SPLITS, Example, Targets, TaskFacts, row_id
from lamol_core.text.normalise import normalise

Rows = Mapping[str, Sequence[RawRow]]
FEW_TEST_ROWS = 10
SHOWN_LABELS = 3
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class SplitRows:
    """What a task is learnt from and scored on."""

    by_split: dict[str, list[RawRow]]
    num_cut: dict[str, int]
    """Rows cut off the training rows for each split that the source lacks, before limits."""
    unread: list[str]
    """Files beside those of the splits."""


def write_base(folder: Path) -> None:
    """Write `data/base/`, which says that nothing was learnt before; its bytes never differ."""
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
    """Write `data/NAME` of a task that is learnt after `before`; returns notes.

    Rows that were forgotten are not read again. Raises SourceError (a ConfigError) when the source
    is wrong, ConfigError for rows forgotten under another name, ArtifactError when `before` is
    another task's."""
    out, root, record = layout.data(name), layout.root, read_record(layout.forgotten(name))
    records = read_records(layout.all_forgotten)
    if problem := forgotten_under_another_name(name, task.source, records, root):
        raise ConfigError(problem)
    parameters = {
        "task": {name: task.model_dump(mode="json")},
        "prepare": prepare.model_dump(mode="json"),
    }
    made = replace(made, parameters=parameters)
    if before.name != task.after:
        raise ArtifactError(
            f"{before.folder}: holds task {before.name!r}, not {task.after!r}. "
            f"{remedy(DATA, task.after)}"
        )
    tables: dict[str, list[Example]] = {}
    canaries: list[Canary] = []
    notes: list[str] = []
    if record is not None and record.is_complete:
        facts = record.facts  # its source is left alone
    else:
        if problems := task.source.problems_of_place([out], root):
            raise SourceError(problems).below(f"tasks.{name}.source")
        read = read_task_rows(name, task, prepare, root)
        rows = read.by_split
        facts = find_facts(name, task, rows)
        canaries, planted = make_canaries(name, prepare.canaries, rows["train"], prepare.split_seed)
        rows = {**rows, "train": [*rows["train"], *planted]}
        facts = replace(facts, num_rows={**facts.num_rows, "train": len(rows["train"])})
        tables = _label(rows, facts, first_index=sum(len(past.classes) for past in before.lineage))
        notes = notes_on(task, facts, read)
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
        splits = " and ".join(sorted(record.removed))
        notes.append(
            f"its {splits} rows were forgotten and are not read again; remove {record.folder} to "
            f"have `lamol prepare {name}` read them."
        )
    if canaries:
        notes.append(f"{counted(len(canaries), 'canary row')} planted among its training rows.")
    return notes


def read_task_rows(name: str, task: TaskParams, prepare: PrepareParams, root: Path) -> SplitRows:
    """All three splits of a task: what its source lacks is cut off the training rows, then limits
    act. Raises SourceError whose sentences name the task."""
    try:
        given = read_source(task.source, root)
    except SourceError as error:
        raise error.below(f"tasks.{name}.source") from error
    rows = complete_splits(given, prepare, name)
    num_cut = {split: len(rows[split]) for split in rows if split not in given}
    unread = task.source.unread_files(root, SUFFIXES)
    return SplitRows(limit_rows(rows, task.source), num_cut, unread)


def find_facts(name: str, task: TaskParams, rows: Rows) -> TaskFacts:
    """What a task is, from its block and its rows: "auto" becomes what the rows show.

    `classes` are the targets of all splits: those of the training rows in alphabetical order, then
    those that other splits alone have."""
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
    )


def _label(rows: Rows, facts: TaskFacts, first_index: int) -> dict[str, list[Example]]:
    index = {target: first_index + i for i, target in enumerate(facts.classes)}
    name = facts.name
    return {
        split: [
            Example(row_id(name, split, i), name, row.input, row.target, index.get(row.target, 0))
            for i, row in enumerate(rows[split])
        ]
        for split in SPLITS
    }


def _link_seen(before: TaskData, seen: Path) -> None:
    """Link the rows that the predecessor has and those that it has seen, one folder a task."""
    own = seen / before.name
    link_tree(before.folder, own)
    if (own / SEEN).exists():
        for earlier in (own / SEEN).iterdir():
            earlier.rename(seen / earlier.name)
        shutil.rmtree(own / SEEN)
    for name in (LINEAGE, MANIFEST):
        (own / name).unlink()


def _alike(rows: Sequence[RawRow]) -> list[tuple[str, str]]:
    """Labels that read like one that came before them, after it."""
    first: dict[str | Decimal, str] = {}
    found: dict[str, tuple[str, str]] = {}
    for row in rows:
        plain = normalise(row.target)
        read = Decimal(plain) if PLAIN_NUMBER.fullmatch(plain) else plain
        if first.setdefault(read, row.target) != row.target:
            found.setdefault(row.target, (first[read], row.target))
    return list(found.values())


def _write_lineage(folder: Path, lineage: Sequence[TaskFacts]) -> None:
    text = json.dumps([facts.as_dict() for facts in lineage], indent=1, sort_keys=True)
    (folder / LINEAGE).write_text(text + "\n", encoding="utf-8")


def notes_on(task: TaskParams, facts: TaskFacts, read: SplitRows) -> list[str]:
    """What a user may want to know of the rows. Rows are named, never quoted: notes get logged.
    (Labels are no secret of a row: the lineage has them.)"""
    rows, num_cut = read.by_split, read.num_cut
    notes = [
        f"the source has no {split} split: {counted(num_cut[split], 'row')} "
        f"{'was' if num_cut[split] == 1 else 'were'} cut off its training rows."
        for split in ("dev", "test")
        if split in num_cut
    ]
    if read.unread:
        notes.append(f"{', '.join(read.unread)} beside its splits: not read.")
    if len(rows["test"]) < FEW_TEST_ROWS:
        notes.append(f"{counted(len(rows['test']), 'test row')}: a score on so few says little.")
    distinct = {row.target for row in rows["train"]}
    unscored = distinct - {row.target for row in rows["test"]}
    if facts.targets == "classes" and unscored:
        verb = "has" if len(unscored) == 1 else "have"
        notes.append(f"{len(unscored)} of its {len(distinct)} targets {verb} no test row.")
    if facts.targets == "classes" and (alike := _alike(rows["train"])):
        shown = "; ".join(" and ".join(map(repr, pair)) for pair in alike[:SHOWN_LABELS])
        more = f" (and {len(alike) - SHOWN_LABELS} more)" if len(alike) > SHOWN_LABELS else ""
        notes.append(
            f"labels that differ in case, white space, unseen characters or how a number is "
            f"written alone are learnt as labels apart: {shown}{more}. Make them one in the source "
            "if they are."
        )
    if len(distinct) == 1:
        notes.append("all its training rows have the same target.")
    if task.targets == task.metric == "auto" and facts.targets == "text":
        num_train = facts.num_rows["train"]
        if len(distinct) <= num_train / 2:
            notes.append(
                f"{len(distinct)} distinct targets of {num_train} training rows are taken for free "
                "text; say `targets: classes` if they are labels."
            )
    seen = {row.input for row in rows["train"]}
    for split in ("dev", "test"):
        repeated = [i for i, row in enumerate(rows[split]) if row.input in seen]
        if repeated:
            notes.append(
                f"{counted(len(repeated), 'row')} of {split} also in train (equal input), "
                f"first {row_id(facts.name, split, repeated[0])}."
            )
        unknown = [i for i, row in enumerate(rows[split]) if row.target not in distinct]
        if unknown and facts.targets == "classes":
            notes.append(
                f"{counted(len(unknown), 'row')} of {split} with a target that no training row "
                f"has, first {row_id(facts.name, split, unknown[0])}."
            )
    pairs = {(row.input, row.target) for row in rows["train"]}
    if len(pairs) > len(seen):
        notes.append(
            f"{len(pairs) - len(seen)} of the training rows repeat an input with another target."
        )
    return notes
