"""Finished sequences to compare, as their folders have them."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from ruamel.yaml import YAML, YAMLError

from lamol_core.artifacts.figures import read_json
from lamol_core.artifacts.manifest import sha256_of
from lamol_core.config.paths import resolve_path
from lamol_core.data.orders import original_names
from lamol_core.data.sources.registry import parse_source
from lamol_core.errors import ArtifactError, ConfigError

SEED_KEYS = ("seed", "backbone.nano.seed")
"""What repeats a run: not part of what is compared."""
SUMMARY = Path("reports") / "summary.json"
Complete = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Lays parameters over their defaults, so that one left out and one spelt out are the same."""


class Pairing(NamedTuple):
    """What a run of another method must have in common to be a run's pair."""

    seed: str
    """What counts as one run in a claim, with whatever nano model."""
    nano_seed: str
    tasks: tuple[str, ...]
    """In the order of learning."""
    sources: str
    unscored: tuple[str, ...]


@dataclass(frozen=True)
class FinishedRun:
    """One sequence by one method with one seed: its parameters, flattened, and its summary."""

    name: str
    params: Mapping[str, Any]
    summary: Mapping[str, Any]
    commits: str = ""
    """Those of lamol that ran it, where a table has them."""

    @property
    def made_by(self) -> tuple[str, ...]:
        """The code and the processors that ran it, as far as they are known."""
        code = self.commits or str(self.params.get("lamol_version"))
        return code, *sorted({one["processor"] for one in self.summary.get("machines", ())})

    @property
    def method(self) -> str:
        return str(self.params.get("method", self.summary["method"]))

    @property
    def pairing(self) -> Pairing:
        sources = {key: value for key, value in self.params.items() if key.startswith("tasks.")}
        return Pairing(
            json.dumps(self.params.get("seed")),
            json.dumps(self.params.get("backbone.nano.seed")),
            tuple(self.summary["tasks"]),
            json.dumps(sources, sort_keys=True),
            tuple(self.unscored),
        )

    @property
    def unscored(self) -> list[str]:
        """Tasks whose rows were forgotten before an evaluation: averages without them are not to
        be held against averages with them."""
        return list(self.summary.get("not_scored", ()))


def read_folders(
    folders: Sequence[Path],
    complete: Complete,
    without: Sequence[Path] = (),
    leave_out: Callable[[ArtifactError], None] | None = None,
) -> list[FinishedRun]:
    """The runs below folders, each a sequence's own or one that holds several, and of tables of
    kept runs (files); those of `without` are left out.

    Raises ConfigError where a folder holds none, ArtifactError where one is not whole: with
    `leave_out` that is told what is wrong instead, unless no run is left."""
    runs: list[FinishedRun] = []
    broken: list[ArtifactError] = []
    seen = {folder.resolve() for folder in without}
    for folder in folders:
        for one in [folder] if folder.is_file() else _sequences_below(folder):
            if one.resolve() in seen:
                continue
            seen.add(one.resolve())
            try:
                runs += (read_table if one.is_file() else read_folder)(one, complete)
            except ArtifactError as error:
                broken.append(error)
    for one_error in broken:
        if leave_out is None or not runs:
            raise one_error
        leave_out(one_error)
    return runs


def _sequences_below(folder: Path) -> list[Path]:
    found = {
        path.parent.parent
        for path in folder.glob(f"**/{SUMMARY}")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    if not found:
        raise ConfigError(f"{folder}: no {SUMMARY} below it. Run `dvc repro` there first.")
    return sorted(found)


def read_table(path: Path, complete: Complete) -> list[FinishedRun]:
    """The runs of a table, one a line: JSON objects with name, commits, params and chains, as
    scripts/compare_methods.py writes them. Raises ArtifactError for any other line, or none."""
    runs: list[FinishedRun] = []
    for number, line in enumerate(path.read_bytes().splitlines() or [b""], start=1):
        try:
            kept = json.loads(line)
            name, commits = f"{path}: {kept['name']}", "\n".join(kept["commits"])
            params, summary = kept["params"], {"chains": kept["chains"]}
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"{path}, line {number}: not a kept run ({error}). Name a folder of sequences, or "
                "a table that scripts/compare_methods.py wrote."
            ) from error
        kept_runs = split_chains(name, params, summary, None, complete)
        runs += [replace(run, commits=commits) for run in kept_runs]
    return runs


def read_folder(folder: Path, complete: Complete) -> list[FinishedRun]:
    """The runs of a sequence's folder. Raises ArtifactError when it is not whole."""
    path = folder / "params.yaml"
    try:
        params = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ArtifactError(f"{path}: not readable ({reason}). Compare whole folders.") from error
    except YAMLError as error:
        raise ArtifactError(f"{path}: no YAML ({error}). Compare whole folders.") from error
    summary = read_json(folder / SUMMARY, f"Run `dvc repro` in {folder} again.")
    return split_chains(str(folder), params, summary, folder, complete)


def split_chains(
    name: str,
    params: Mapping[str, Any],
    summary: Mapping[str, Any],
    folder: Path | None,
    complete: Complete,
) -> list[FinishedRun]:
    """A run for each order of the tasks: a tree of them holds several.

    Each has its own tasks alone, under the names that they have in a sequence of one order, and
    the hashes of their files; without a `folder` the paths stay as they are. Raises ArtifactError
    where parameters and summary are not of the same run."""
    try:
        whole, chains = complete(params), summary["chains"]
        if folder is not None:
            whole = _with_content_of_all(whole, folder)
        tasks = whole.get("tasks", {})
        ran = {one for chain in chains for one in (chain["method"], *chain["tasks"])}
        unknown = ran - tasks.keys() - {whole.get("method")}
    except (AttributeError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{name}: params.yaml or {SUMMARY} is not what lamol writes ({error}). Run `dvc repro` "
            "there again."
        ) from error
    if unknown:
        raise ArtifactError(
            f"{name}: {SUMMARY} is of {', '.join(sorted(unknown))}, which params.yaml no longer "
            "has. Run `dvc repro` there."
        )
    runs = []
    for chain in chains:
        names = original_names(chain["tasks"], tasks)
        blocks = {names[task]: _without_after(tasks[task]) for task in names}
        order = list(names.values())
        runs.append(
            FinishedRun(
                name if len(chains) == 1 else f"{name}: {', '.join(order)}",
                flatten({**whole, "tasks": blocks}),
                {**chain, "tasks": order},
            )
        )
    return runs


def _with_content_of_all(params: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """Parameters with the hashes of the tasks' files, and of those that a nano model's vocabulary
    is trained on; with the whole path of another model."""
    tasks = {
        key: {**task, "source": _with_content(task["source"], folder)}
        for key, task in params.get("tasks", {}).items()
    }
    backbone = dict(params.get("backbone", {}))
    nano, path = backbone.get("nano", {}), backbone.get("path")
    corpus = [_with_content(source, folder) for source in nano.get("corpus", [])]
    if path is not None and (there := resolve_path(path, folder)).exists():
        backbone["path"] = str(there.resolve())
    return {**params, "tasks": tasks, "backbone": {**backbone, "nano": {**nano, "corpus": corpus}}}


def _with_content(source: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """A source with the hash of its rows' files in place of the path, if they are there: copies of
    a sequence have the same rows in files of their own."""
    try:
        spec = parse_source(source)
        files, place = spec.split_files(folder), spec.location(folder)
    except (ConfigError, ValidationError):  # of another version, or gone
        return source
    if place is None:
        return source
    hashes = {split: _hash_of(path) for split, path in files.items() if path.stat().st_size}
    path = place.resolve()
    if not hashes:  # emptied, when its rows were forgotten
        return {**source, "path": str(path)}
    digest = hashlib.sha256(json.dumps(hashes).encode()).hexdigest()
    return {**source, "path": f"{path.name}, sha256 {digest[:16]}"}


def _hash_of(path: Path) -> str:
    there = path.stat()
    return _hash_of_state(path.resolve(), there.st_mtime_ns, there.st_size)


@cache
def _hash_of_state(path: Path, changed_at: int, size: int) -> str:
    """Of a file as it was then: runs share their files."""
    return sha256_of(path)


def _without_after(task: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in task.items() if key != "after"}


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
