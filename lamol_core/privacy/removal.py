"""Removes a task's real rows: each table is replaced by an empty one that says what was removed.

Rows of a task lie in its own folder and, as links, in the folders of all tasks that follow it. The
empty tables keep the inputs of all stages complete, so no stage runs again for that. Training on
them is refused (`TaskData.rows`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq

from lamol_core.artifacts import manifest as manifests
from lamol_core.artifacts.atomic import atomic_path, link_tree
from lamol_core.artifacts.spec import DATA, Read
from lamol_core.config.task_names import BASE
from lamol_core.data.task_data import FORGOTTEN, LINEAGE, Removed, TaskData
from lamol_core.errors import ArtifactError

METADATA_KEY = "lamol.forgotten"
BEFORE = Read(DATA, "before").key
"""The name of the previous task's rows among the inputs in the manifest of a task's rows."""


def folders_with(task: str, own: Path) -> list[TaskData]:
    """Return every folder of `data/` that holds rows of a task or links to them. The task's own
    folder, `own`, is the first.

    Raises ArtifactError where `own` is missing or is a link, or where a folder was changed."""
    if own.is_symlink():
        raise ArtifactError(
            f"{own}: is a link, and its target would keep the rows. Put the folder itself here."
        )
    first = TaskData.load(own)
    listed = sorted(own.parent.glob(f"*/{LINEAGE}"))
    found = [TaskData.load(path.parent) for path in listed if path.parent != own]
    later = [data for data in found if task in {facts.name for facts in data.lineage}]
    return [first, *sorted(later, key=lambda data: len(data.lineage))]


def forget_rows(
    data: TaskData, task: str, splits: Sequence[str], when: str, kept: Mapping[str, bytes]
) -> dict[str, Removed]:
    """Replace these splits of a task by empty tables in one folder, atomically. Return what has
    been removed of the task so far, by split.

    `when` is an ISO date; `kept` are files to write beside the tables, by name. Tables that are
    empty already stay, so that an interrupted call can be repeated."""
    removed = dict(data.forgotten(task))
    for split in splits:
        if split not in removed:
            path = data.file(task, split)
            num_rows = pq.read_metadata(path).num_rows
            removed[split] = Removed(num_rows, manifests.sha256_of(path), when)
    manifest = manifests.read_manifest(data.folder / manifests.MANIFEST, "")
    with atomic_path(data.folder) as scratch:
        link_tree(data.folder, scratch)
        home = scratch / data.file(task, splits[0]).parent.relative_to(data.folder)
        for split in removed:
            path = home / f"{split}.parquet"
            metadata = {METADATA_KEY: json.dumps(asdict(removed[split]), sort_keys=True)}
            path.unlink()  # a link to the rows, which must not be written over in the old folder
            pq.write_table(DATA.schema.with_metadata(metadata).empty_table(), path)
        content = {split: asdict(removed[split]) for split in sorted(removed)}
        files = {FORGOTTEN: (json.dumps(content, indent=1) + "\n").encode(), **kept}
        for name, text in files.items():
            # the file there is a link into the folder that is replaced
            (home / name).unlink(missing_ok=True)
            (home / name).write_bytes(text)
        rows = manifest.rows | (dict.fromkeys(removed, 0) if data.name == task else {})
        (scratch / manifests.MANIFEST).unlink()
        inputs = {**manifest.inputs, **_predecessor_now(data)}
        made = manifests.Provenance(manifest.parameters, inputs, manifest.code_version)
        manifests.seal_folder(scratch, DATA.kind, rows, made)
    return removed


def _predecessor_now(data: TaskData) -> dict[str, str]:
    """Return the present hash of the previous task's folder, which may just have changed, as
    `prepare` records it. A later `prepare` then writes the same bytes. {} where that folder is
    missing."""
    before = data.earlier[-1].name if data.earlier else BASE
    path = data.folder.parent / before / manifests.MANIFEST
    return {BEFORE: manifests.read_manifest(path, "").content_sha256} if path.is_file() else {}
