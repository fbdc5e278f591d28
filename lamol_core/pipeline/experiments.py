"""Reads the experiments of a DVC project (`dvc exp`) and the project's own run, to compare them."""

import logging
from pathlib import Path

from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.parameters import completed
from lamol_core.pipeline.dvc_api import is_up_to_date, list_experiments, read_at
from lamol_core.reporting.comparison.finished_runs import (
    SUMMARY,
    FinishedRun,
    parse_run,
    read_folder,
)

log = logging.getLogger(__name__)


def read_experiments(root: Path, all_commits: bool) -> list[FinishedRun]:
    """Return the finished experiments of the project at `root`, and its own run. The experiments
    are those of HEAD, or of every commit.

    Experiments without a report (failed, or still in the queue) are left out, and the log names
    them. Raises ConfigError where no experiment is finished."""
    runs: list[FinishedRun] = []
    left_out = []
    for name, revision in list_experiments(root, all_commits):
        params, summary = (read_at(root, path, revision) for path in ("params.yaml", str(SUMMARY)))
        if params is None or summary is None:
            left_out.append(name)
            continue
        try:
            runs += parse_run(name, params, summary, root, completed)
        except ArtifactError as error:
            log.warning("left out: %s", error)
    if left_out:
        log.warning("no report, left out: %s", ", ".join(left_out))
    if not runs:
        raise ConfigError(
            f"{root}: no finished experiment here. Make some with `dvc exp run --queue -S "
            "method=...` and `dvc queue start`, or name folders."
        )
    return runs + [own for own in _own_run(root) if own.params not in [run.params for run in runs]]


def _own_run(root: Path) -> list[FinishedRun]:
    """Return the run in the project's folder itself; [] where it is missing, broken or not up to
    date."""
    if not (root / SUMMARY).is_file():
        return []
    try:
        if is_up_to_date(root):
            return read_folder(root, completed)
        log.warning("this folder's own run is not up to date, and left out. Run `dvc repro`.")
    except ArtifactError as error:
        log.warning("this folder's own run is left out: %s", error)
    return []
