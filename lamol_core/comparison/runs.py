"""Finished sequences to compare: folders, or the experiments of a DVC project."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from lamol_core.config import Params
from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.reporting.figures import read_json

SEED_KEYS = ("seed", "backbone.nano.seed")
"""What repeats a run: not part of what is compared."""
NOT_COMPARED = ("lamol_version",)
OF_AUDITS = tuple(
    f"audit.{name}" for name in ("drop_flagged", "canaries", "ask_teacher", "phone_regions")
)
"""What of an audit's parameters can change which rows are trained on."""
SUMMARY = Path("reports") / "summary.json"


@dataclass(frozen=True)
class FinishedRun:
    """One sequence by one method with one seed: its parameters, flattened, and its summary."""

    name: str
    params: Mapping[str, Any]
    summary: Mapping[str, Any]

    @property
    def method(self) -> str:
        return str(self.params.get("method", self.summary["method"]))

    @property
    def pairing(self) -> tuple[str, ...]:
        """What a run of another method must have in common to be its pair: seed and task order."""
        seed = json.dumps([self.params.get(key) for key in SEED_KEYS])
        sources = {k: v for k, v in self.params.items() if k.startswith("tasks.")}
        unscored = json.dumps(self.unscored)
        return (seed, unscored, json.dumps(sources, sort_keys=True), *self.summary["tasks"])

    @property
    def unscored(self) -> list[str]:
        """Tasks whose rows were forgotten before an evaluation: averages without them are not to
        be held against averages with them."""
        return list(self.summary.get("not_scored", ()))


def read_folders(folders: Sequence[Path]) -> list[FinishedRun]:
    """The runs below folders: each a sequence's own folder, or one that holds several.

    Raises ConfigError where a folder holds none."""
    runs, seen = [], set()
    for folder in folders:
        found = sorted(
            {
                path.parent.parent
                for path in folder.glob(f"**/{SUMMARY}")
                if not any(part.startswith(".") for part in path.relative_to(folder).parts)
            }
        )
        if not found:
            raise ConfigError(f"{folder}: no {SUMMARY} below it. Run `dvc repro` there first.")
        runs += [run for one in found if one.resolve() not in seen for run in read_folder(one)]
        seen |= {one.resolve() for one in found}
    return runs


def read_folder(folder: Path) -> list[FinishedRun]:
    """The runs of a sequence's folder. Raises ArtifactError when it is not whole."""
    path = folder / "params.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ArtifactError(f"{path}: not readable ({error}). Compare whole folders.") from error
    summary = read_json(folder / SUMMARY, f"Run `dvc repro` in {folder} again.")
    return split_chains(str(folder), YAML(typ="safe").load(text), summary)


def split_chains(
    name: str, params: Mapping[str, Any], summary: Mapping[str, Any]
) -> list[FinishedRun]:
    """A run for each order of the tasks: a tree of them holds several."""
    flat, chains = flatten(_completed(params)), summary["chains"]
    if len(chains) == 1:
        return [FinishedRun(name, flat, summary)]
    return [FinishedRun(f"{name}: {', '.join(c['tasks'])}", flat, c) for c in chains]


def _completed(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters with their defaults, so that one left out and one spelt out are the same;
    as they are where another version of lamol wrote them."""
    try:
        return Params.model_validate(params).model_dump(mode="json", by_alias=True)
    except ValidationError:
        return params


def read_experiments(root: Path, all_commits: bool) -> list[FinishedRun]:
    """The finished experiments of the project at `root`, those of HEAD or of every commit.

    Experiments without a report (failed, or still in the queue) are left out. Raises ConfigError
    where there is none.
    """
    from dvc import api
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    runs = []
    try:
        with Repo(str(root)) as repo:
            listed = repo.experiments.ls(all_commits=all_commits)
            prefix = Path(root).resolve().relative_to(Path(repo.scm.root_dir).resolve())
    except DvcException as error:
        raise ConfigError(f"{root}: experiments can't be listed ({error}).") from error
    for name, revision in [entry for entries in listed.values() for entry in entries]:
        try:
            summary = api.read(str(prefix / SUMMARY), repo=str(root), rev=revision)
            params = api.read(str(prefix / "params.yaml"), repo=str(root), rev=revision)
        except (DvcException, OSError):
            continue
        runs += split_chains(name, YAML(typ="safe").load(StringIO(params)), json.loads(summary))
    if not runs:
        raise ConfigError(
            f"{root}: no finished experiment here. Make some with `dvc exp run --queue -S "
            "method=...` and `dvc queue start`, or name folders."
        )
    return runs


def label_runs(runs: Sequence[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Runs by what they compare: the method, and those of its parameters in which runs differ,
    where they are not the default.

    A parameter counts for a method if it stands in the method's own block, or in a block that all
    methods share: the tasks' sources too. Seeds, the order of tasks and what an audit only tells do
    not count.
    """
    groups: dict[str, list[FinishedRun]] = {}
    defaults = flatten(Params(tasks={}).model_dump(mode="json", by_alias=True))
    for run in runs:
        siblings = [other for other in runs if other.method == run.method]
        names = sorted({key for other in siblings for key in _own_keys(other)})
        differing = [
            name
            for name in names
            if len({json.dumps(o.params.get(name), sort_keys=True) for o in siblings}) > 1
        ]
        settings = [
            f"{name}={json.dumps(run.params.get(name))}"
            for name in differing
            if name not in defaults or run.params.get(name) != defaults[name]
        ]
        gaps = [f"without {' and '.join(run.unscored)} (forgotten)"] if run.unscored else []
        groups.setdefault(", ".join([run.method, *settings, *gaps]), []).append(run)
    return groups


def _own_keys(run: FinishedRun) -> Iterator[str]:
    methods = {"lamol_kd", "lamol", "l2kd", "ewc", "derpp", "replay"} - {run.method}
    for key in run.params:
        block = key.partition(".")[0]
        if key in SEED_KEYS or block in methods or block in NOT_COMPARED:
            continue
        if block == "audit" and key not in OF_AUDITS:
            continue
        if block != "tasks" or not key.endswith(".after"):
            yield key


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
