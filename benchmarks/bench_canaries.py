"""How often the planted secrets come back, by kind of canary and amount of training.

    python -m benchmarks.bench_canaries [--epochs 12 40 100] [--folder benchmarks/.canaries]

A nano model learns the demo's task `home` with 40 canaries among its training rows, each planted
once, and writes pseudo-samples; the stages run as in any sequence. For each kind of canary
(lamol_core/data/canaries.py): the share of the secrets that occur in a drawn row, and the mean
exposure by the teacher's likelihood, in bits (about 1.4 without memorisation, 10 at most).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import ROOT, child_environment, say

LEARNT, NEXT = "home", "travel"
CANARIES = 40
GAMMA = 20  # pseudo-samples for each row of the next task: about 1,500


def make_sequence(folder: Path, epochs: int) -> None:
    """Run the stages of the demo's parameters with two tasks up to the audit for the second."""
    from lamol_core.pipeline.init import create_sequence, read_example
    from lamol_core.preflight.problems import check_sequence

    params = read_example(ROOT / "params.yaml")
    tasks = params["tasks"]
    params["tasks"] = {
        LEARNT: {**tasks[LEARNT], "after": "base"},
        NEXT: {**tasks[NEXT], "after": LEARNT},
    }
    params["prepare"]["canaries"] = CANARIES
    params["train"]["epochs"], params["generate"]["gamma"] = epochs, GAMMA
    create_sequence(folder, params, check_sequence)
    dvc = (sys.executable, "-m", "dvc", "repro", "--quiet", f"audit@{NEXT}")
    subprocess.run(dvc, cwd=folder, env=child_environment(), check=True, stdout=sys.stderr)


def figures(folder: Path) -> list[str]:
    """Audit the table of the second task anew; returns a line for each kind of canary."""
    from dataclasses import replace

    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.spec import AUDIT_STAGE
    from lamol_core.artifacts.store import Inputs
    from lamol_core.audit.checks.canaries import Canaries
    from lamol_core.audit.loading import read_audited, with_asked_teacher
    from lamol_core.config.section import Section
    from lamol_core.parameters import load_params

    text = load_params(folder / "params.yaml").text
    audited = read_audited(Inputs(AUDIT_STAGE, NEXT, LEARNT, Layout(folder)), 0, text)
    audited = with_asked_teacher(audited, 128, lambda rows: None)
    (task,) = audited.tasks
    lines = []
    for kind, planted in (("sentence", task.canaries[::2]), ("opening", task.canaries[1::2])):
        one = replace(audited, tasks=[replace(task, canaries=planted)])
        found = Canaries().run(one, Section()).figures
        share, exposure = found["canary_share"] or 0, found["exposure"] or 0
        lines.append(
            f"  {kind}: {share:.0%} of {len(planted)} came back in {len(task.drawn)} draws, "
            f"exposure {exposure:.1f} bits"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--epochs", type=int, nargs="+", default=[12, 40, 100])
    options.add_argument("--folder", type=Path, default=ROOT / "benchmarks" / ".canaries")
    given = options.parse_args(arguments)
    for epochs in given.epochs:
        folder = given.folder / f"epochs_{epochs}"
        if not (folder / "runs" / NEXT / "pseudo.parquet").is_file():
            make_sequence(folder, epochs)
        say(f"{epochs} epochs:")
        for line in figures(folder):
            say(line)


if __name__ == "__main__":
    main()
