"""What a method has of old tasks once a task is learnt: for the report and for the comparison."""

from pathlib import Path

from lamol_core.artifacts.manifest import MANIFEST, read_manifest
from lamol_core.data.task_data import TaskData


def count_kept(state: Path, data: TaskData, mixes_real_rows: bool) -> dict[str, int]:
    """Real rows, and bytes of all that is kept beside the student itself: those of a task's state,
    and the rows of every task so far where a method mixes them in."""
    files = [path for path in state.iterdir() if path.name != MANIFEST]
    num_rows = read_manifest(state / MANIFEST, "").rows.get("real_rows", 0)
    if mixes_real_rows:
        files += [data.file(facts.name, "train") for facts in data.lineage]
        num_rows += sum(facts.num_rows["train"] for facts in data.lineage)
    return {"real_rows": num_rows, "bytes": sum(path.stat().st_size for path in files)}
