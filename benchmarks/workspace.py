"""The two-task sequence that the benches work on, made once in benchmarks/.work by our own stages.

    python -m benchmarks.workspace        # makes it, or says that it is there

CLINC150 as in examples/clinc150: banking (learnt as the example says), then
credit_cards up to its mix. 8 intents each, 40 training rows an intent, gamma 0.2.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import ROOT, child_environment, say

if TYPE_CHECKING:
    from lamol_core.parameters import Params
    from lamol_core.records import Example, MixRow, PseudoSample
    from lamol_core.text.tokenizer import TextCodec

SHARED = ROOT.parent / "shared"
FOLDER = ROOT / "benchmarks" / ".work"
EXAMPLE = ROOT / "examples" / "clinc150" / "params.yaml"
MANY_PSEUDO = "many_pseudo.parquet"
MANY_GAMMA = 1.6
"""What the benches on pseudo rows alone draw from: 512 rows for 320 new ones."""
COMPLETE = "complete"
EARLIER, NEW = "banking", "credit_cards"


@dataclass(frozen=True)
class Workspace:
    """The sequence's folder. Rows are read when they are asked for."""

    folder: Path

    @property
    def teacher(self) -> Path:
        """The model after banking, in the precision it was trained in."""
        return self.folder / "runs" / NEW / "teacher"

    @property
    def lineage(self) -> tuple[str, str]:
        return EARLIER, NEW

    @cached_property
    def params(self) -> Params:
        from lamol_core.parameters import load_params

        return load_params(self.folder / "params.yaml", ())

    def fits_machine(self) -> bool:
        """Whether the teacher is stored in what `train.precision` means here and now."""
        import torch

        from lamol_core.models.precision import resolve_precision

        config = json.loads((self.teacher / "config.json").read_text(encoding="utf-8"))
        wanted = resolve_precision(self.params.train.precision, torch.device("cpu"))
        return f"torch.{config['dtype']}" == str(wanted)

    @cached_property
    def codec(self) -> TextCodec:
        from lamol_core.text.codecs import load_codec

        return load_codec(self.teacher)

    @cached_property
    def real(self) -> list[Example]:
        """The new task's training rows."""
        rows: list[Example] = self._data().rows("train")
        return rows

    @cached_property
    def test(self) -> list[Example]:
        """Test rows of both tasks, in turn, so that a prefix has both."""
        data = self._data()
        pairs = zip(data.seen_rows(EARLIER, "test"), data.rows("test"), strict=False)
        return [row for pair in pairs for row in pair]

    @cached_property
    def pseudo(self) -> list[PseudoSample]:
        """What the mix refers to (gamma 0.2), with the rows that were rejected."""
        return self._pseudo_of(self.folder / "runs" / NEW / "pseudo.parquet")

    @cached_property
    def many_pseudo(self) -> list[PseudoSample]:
        """Valid pseudo rows of a larger draw, for what is measured on pseudo rows alone."""
        return [row for row in self._pseudo_of(self.folder / MANY_PSEUDO) if row.valid]

    @cached_property
    def mix(self) -> list[MixRow]:
        from lamol_core.artifacts.tables import read_rows
        from lamol_core.records import MIX_SCHEMA, MixRow, from_table

        path = self.folder / "runs" / NEW / "mix.parquet"
        return from_table(read_rows(path, MIX_SCHEMA, "Remove benchmarks/.work."), MixRow)

    def _data(self) -> Any:
        from lamol_core.data.task_data import TaskData

        return TaskData.load(self.folder / "data" / NEW)

    def _pseudo_of(self, path: Path) -> list[PseudoSample]:
        from lamol_core.artifacts.tables import read_rows
        from lamol_core.records import PSEUDO_SCHEMA, PseudoSample, from_table

        return from_table(read_rows(path, PSEUDO_SCHEMA, "Remove benchmarks/.work."), PseudoSample)


def open_workspace() -> Workspace:
    """The workspace, made if it is not there. Ends with exit code 3 where ../shared is missing."""
    workspace = Workspace(FOLDER)
    if not (FOLDER / COMPLETE).is_file() or not workspace.fits_machine():
        require_shared()
        make(FOLDER)
    return Workspace(FOLDER)


def require_shared() -> None:
    """Leave with one sentence and exit code 3 where the rows of the benches are not there."""
    if not (SHARED / "data" / "clinc150").is_dir():
        say(f"error: {SHARED}/data/clinc150 is missing: the benches need the folder `shared` "
            "beside the checkout.")  # fmt: skip
        raise SystemExit(3)


def make(folder: Path) -> None:
    """Run the stages of both tasks, up to the mix of the second one."""
    started = time.perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_params(folder)
    run_stage(folder, "backbone")
    for task in (EARLIER, NEW):
        run_stage(folder, "prepare", task)
    for stage in ("snapshot", "generate", "audit", "mix"):
        run_stage(folder, stage, EARLIER)
    run_stage(folder, "train", EARLIER)
    run_stage(folder, "snapshot", NEW)
    run_stage(folder, "generate", NEW, "--set", f"generate.gamma={MANY_GAMMA}")
    shutil.copyfile(folder / "runs" / NEW / "pseudo.parquet", folder / MANY_PSEUDO)
    for stage in ("generate", "audit", "mix"):
        run_stage(folder, stage, NEW)
    (folder / COMPLETE).write_text(f"{time.perf_counter() - started:.0f} s\n")


def write_params(folder: Path, tasks: Sequence[str] = (EARLIER, NEW)) -> None:
    """params.yaml of examples/clinc150 with its first tasks and absolute paths."""
    from ruamel.yaml import YAML

    backbone = subprocess.run(
        [SHARED / "tools" / "get_smollm2.sh"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()

    yaml = YAML(typ="safe")
    params = yaml.load(EXAMPLE.read_text(encoding="utf-8"))
    params["tasks"] = {name: params["tasks"][name] for name in tasks}
    for task in params["tasks"].values():
        task["source"] = {**task["source"], "path": str(SHARED / "data" / "clinc150")}
    params["backbone"]["path"] = backbone
    with (folder / "params.yaml").open("w", encoding="utf-8") as out:
        yaml.dump(params, out)


def run_stage(folder: Path, *command: str) -> None:
    """Run `lamol COMMAND` in the folder."""
    say(f"lamol {' '.join(command)}")
    lamol = (sys.executable, "-m", "stages.cli")
    subprocess.run([*lamol, *command], cwd=folder, env=child_environment(), check=True)


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.parse_args(arguments)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    workspace = open_workspace()
    sys.stdout.write(
        f"{workspace.folder}: {len(workspace.real)} real rows, {len(workspace.pseudo)} pseudo "
        f"rows, {len(workspace.many_pseudo)} of a larger draw, {len(workspace.mix)} in the mix, "
        f"{len(workspace.test)} test rows\n"
    )


if __name__ == "__main__":
    main()
