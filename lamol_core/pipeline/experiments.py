"""Reads the runs of a DVC project: its folder's, its commit's and its experiments' (`dvc exp`)."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lamol_core.artifacts.spec import REPORT_STAGE
from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.parameters import completed
from lamol_core.pipeline import dvc_api
from lamol_core.reporting.comparison import finished_runs

log = logging.getLogger(__name__)


def read_experiments(root: Path, all_commits: bool) -> list[finished_runs.FinishedRun]:
    """Return the finished runs of the project at `root`: the one in the folder, the one of HEAD,
    and HEAD's experiments. With `all_commits`, every commit with experiments counts like HEAD.

    Runs without a report (failed, or still in the queue) are left out, and the log names them.
    Raises ConfigError where fewer than two runs are left."""
    runs: list[finished_runs.FinishedRun] = []
    for run in (*_own_run(root), *_committed_runs(root, all_commits)):
        same = [one for one in runs if (one.params, one.summary) == (run.params, run.summary)]
        if same:  # such as the experiment that `dvc exp run` leaves in the folder
            runs[runs.index(same[0])] = replace(run, name=f"{same[0].name}, {run.name}")
        else:
            runs.append(run)
    if len(runs) < 2:
        found = f"only one finished run ({runs[0].name})" if runs else "no finished run"
        raise ConfigError(
            f"{root}: {found} here. Make some with `dvc exp run --queue -S method=...` and `dvc "
            "queue start`, or name folders."
        )
    return runs


def _committed_runs(root: Path, all_commits: bool) -> Iterator[finished_runs.FinishedRun]:
    left_out = []
    for name, revision in dvc_api.list_experiments(root, all_commits):
        paths = ("params.yaml", finished_runs.SUMMARY, dvc_api.LOCK)
        texts = dvc_api.read_at(root, paths, revision)
        if not texts:
            left_out.append(name)
            continue
        params, summary, lock = texts
        try:
            found = finished_runs.parse_run(name, params, summary, root, completed)
        except ArtifactError as error:
            log.warning("left out: %s", error)
            continue
        if dvc_api.ran_with_others(lock, REPORT_STAGE.name, params):
            # edited and committed without a run
            left_out.append(name)
        else:
            yield from found
    if left_out:
        log.warning("no report of its params.yaml, left out: %s", ", ".join(left_out))


def _own_run(root: Path) -> list[finished_runs.FinishedRun]:
    """Return the run in the project's folder itself; [] where it is missing, broken or not up to
    date."""
    if not (root / finished_runs.SUMMARY).is_file():
        return []
    try:
        if dvc_api.is_up_to_date(root):
            own = finished_runs.read_folder(root, completed)
            return [
                replace(run, name=f"workspace{run.name.removeprefix(str(root))}") for run in own
            ]
        log.warning("this folder's own run is not up to date, and left out. Run `dvc repro`.")
    except ArtifactError as error:
        log.warning("this folder's own run is left out: %s", error)
    return []
