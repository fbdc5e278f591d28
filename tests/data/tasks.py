"""Three small tasks, prepared in a folder."""

import json
from pathlib import Path
from typing import Any

from lamol_core.artifacts.layout import Layout
from lamol_core.data.params import PrepareParams, TaskParams
from lamol_core.data.prepare import prepare_task, write_base
from lamol_core.data.task_data import TaskData

PREPARE = PrepareParams()


def write_jsonl(path: Path, pairs: list[tuple[str, str]]) -> None:
    lines = [json.dumps({"input": x, "target": y}) + "\n" for x, y in pairs]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")


def classes(prefix: str, labels: str, count: int = 60) -> list[tuple[str, str]]:
    return [(f"{prefix} {i} 👋", f"{prefix}-{labels[i % len(labels)]}") for i in range(count)]


def block(after: str, path: str, **rest: Any) -> TaskParams:
    return TaskParams.model_validate(
        {"after": after, "source": {"kind": "jsonl", "path": path}, **rest}
    )


class Sequence:
    """Three tasks in a folder: a (2 classes) -> b (text) -> c (3 classes)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        write_jsonl(root / "raw" / "a.jsonl", classes("a", "yx"))
        write_jsonl(root / "raw" / "b.jsonl", [(f"b {i}", f"free {i}") for i in range(30)])
        write_jsonl(root / "raw" / "c.jsonl", classes("c", "rst"))
        write_base(self.data("base"))

    def data(self, name: str) -> Path:
        return self.root / "data" / name

    def prepare(self, name: str, after: str, **rest: Any) -> list[str]:
        task = block(after, f"raw/{name}.jsonl", **rest)
        return prepare_task(name, task, PREPARE, self.load(after), Layout(self.root))

    def load(self, name: str) -> TaskData:
        return TaskData.load(self.data(name))


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
