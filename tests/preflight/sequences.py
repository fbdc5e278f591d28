"""Parameters of small sequences, and a folder that looks like a model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lamol_core.artifacts.layout import Layout
from lamol_core.data.params import PrepareParams, TaskParams
from lamol_core.data.prepare import prepare_task, write_base
from lamol_core.data.task_data import TaskData
from lamol_core.data.tombstones import write_record
from lamol_core.privacy.removal import forget_rows
from lamol_core.records import SPLITS


def demo(after: str, task: str = "home", **rest: Any) -> dict[str, Any]:
    return {"after": after, "source": {"kind": "demo", "task": task, **rest}}


def chain(length: int) -> dict[str, Any]:
    return {f"t{i}": demo(f"t{i - 1}" if i else "base") for i in range(length)}


def forget(
    name: str,
    root: Path,
    block: dict[str, Any],
    also_of: dict[str, Any] | None = None,
    splits: Sequence[str] = SPLITS,
) -> None:
    write_base(root / "data" / "base")
    task = TaskParams.model_validate(block)
    base = TaskData.load(root / "data" / "base")
    prepare_task(name, task, PrepareParams(), base, Layout(root))
    own = TaskData.load(root / "data" / name)
    forget_rows(own, name, splits, "2026-01-01", {})
    others = {
        other: TaskParams.model_validate(block).source for other, block in (also_of or {}).items()
    }
    write_record(root / ".lamol" / "forgotten" / name, own, [], task.source, others)


def write_model(folder: Path, config: Any) -> None:
    """The files of a model, each with nothing in it."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
