"""Reads finished sequences to compare: from folders, from experiments, from tables of kept runs."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lamol_core.artifacts import spec
from lamol_core.artifacts.manifest import sha256_of
from lamol_core.config.paths import resolve_path
from lamol_core.data.orders import original_names
from lamol_core.data.sources.registry import parse_source
from lamol_core.errors import ArtifactError, ConfigError, first_line

SEED_KEYS = ("seed", "backbone.nano.seed")
"""The parameters in which repetitions of a run differ. They are not compared."""
SUMMARY = spec.SUMMARY.path
Complete = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""A function that adds the default of every parameter that is left out."""


class Pairing(NamedTuple):
    """What two runs of different methods must have in common to be compared as a pair."""

    seed: str
    nano_seed: str
    tasks: tuple[str, ...]
    """The tasks, in the order of learning."""
    sources: str
    unscored: tuple[str, ...]


@dataclass(frozen=True)
class FinishedRun:
    """A run of one sequence by one method with one seed: its flattened parameters, and its
    summary."""

    name: str
    params: Mapping[str, Any]
    summary: Mapping[str, Any]
    commits: str = ""
    """The commits of lamol that ran it, from a table of kept runs; "" where they are not known."""

    @property
    def made_by(self) -> tuple[str, ...]:
        """The version of the code, then the processors, as far as they are known."""
        code = self.commits or str(self.params.get("lamol_version"))
        machines = self.summary.get("machines", ())
        return code, *sorted({machine["processor"] for machine in machines})

    @property
    def method(self) -> str:
        return str(self.params.get("method", self.summary["method"]))

    @cached_property
    def pairing(self) -> Pairing:
        # prepare decides which rows are tested
        of_data = ("tasks.", "prepare.")
        sources = {key: value for key, value in self.params.items() if key.startswith(of_data)}
        return Pairing(
            json.dumps(self.params.get("seed")),
            json.dumps(self.params.get("backbone.nano.seed")),
            tuple(self.summary["tasks"]),
            json.dumps(sources, sort_keys=True),
            self.unscored,
        )

    @property
    def unscored(self) -> tuple[str, ...]:
        """The tasks whose test rows were forgotten before an evaluation: the averages leave them
        out."""
        return tuple(self.summary.get("not_scored", ()))


def read_folders(
    folders: Sequence[Path],
    complete: Complete,
    without: Sequence[Path] = (),
    leave_out: Callable[[ArtifactError], None] | None = None,
) -> list[FinishedRun]:
    """Return the runs in `folders`, except those in `without`. Each entry is a sequence's folder, a
    folder with several sequences below it, or a file with a table of kept runs.

    Raises ConfigError where a folder holds no run, and ArtifactError for a broken run. With
    `leave_out`, that function gets the ArtifactError instead, unless no run is left."""
    runs: list[FinishedRun] = []
    errors: list[ArtifactError] = []
    seen = {folder.resolve() for folder in without}
    for folder in folders:
        for path in [folder] if folder.is_file() else _sequences_below(folder):
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            try:
                runs += (read_table if path.is_file() else read_folder)(path, complete)
            except ArtifactError as error:
                errors.append(error)
    for broken in errors:
        if leave_out is None or not runs:
            raise broken
        leave_out(broken)
    return runs


def _sequences_below(folder: Path) -> list[Path]:
    found = {
        path.parent.parent
        for path in folder.glob(f"**/{SUMMARY}")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    if tables := sorted(folder.glob("*.jsonl")):
        return [*sorted(found), *tables]
    if not found:
        raise ConfigError(f"{folder}: no {SUMMARY} below it. Run `dvc repro` there first.")
    return sorted(found)


def read_table(path: Path, complete: Complete) -> list[FinishedRun]:
    """Return the runs of a table of kept runs. Each line is a JSON object with name, commits,
    params and chains, as scripts/compare_methods.py writes it. Raises ArtifactError for any
    other line, or an empty file."""
    runs: list[FinishedRun] = []
    for number, line in enumerate(path.read_bytes().splitlines() or [b""], start=1):
        try:
            kept = json.loads(line)
            name, commits = f"{path}: {kept['name']}", "\n".join(kept["commits"])
            params, chains = kept["params"], kept["chains"]
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"{path}, line {number}: not a kept run ({error}). Name a folder of sequences, or "
                "a table that scripts/compare_methods.py wrote."
            ) from error
        runs += split_chains(name, params, {"chains": chains}, None, complete, commits)
    return runs


def read_folder(folder: Path, complete: Complete) -> list[FinishedRun]:
    """Return the runs of a sequence's folder. Raises ArtifactError for missing or broken files."""
    try:
        params, summary = ((folder / name).read_bytes() for name in ("params.yaml", SUMMARY))
    except OSError as error:
        raise ArtifactError(
            f"{error.filename}: {error.strerror}. Run `dvc repro` in {folder}."
        ) from error
    return parse_run(str(folder), params, summary, folder, complete)


def parse_run(
    name: str, params: bytes | str, summary: bytes | str, folder: Path, complete: Complete
) -> list[FinishedRun]:
    """Return the runs of a sequence from the contents of params.yaml and summary.json. Relative
    paths in `params` begin at `folder`. Raises ArtifactError for broken content."""
    try:
        values, figures = YAML(typ="safe").load(params), json.loads(summary)
    except (ValueError, YAMLError) as error:
        file = "params.yaml: no YAML" if isinstance(error, YAMLError) else f"{SUMMARY}: no JSON"
        raise ArtifactError(
            f"{name}/{file} ({first_line(error)}). Run `dvc repro` there."
        ) from error
    return split_chains(name, values, figures, folder, complete)


def split_chains(
    name: str,
    params: Mapping[str, Any],
    summary: Mapping[str, Any],
    folder: Path | None,
    complete: Complete,
    commits: str = "",
) -> list[FinishedRun]:
    """Return a run for each order of the tasks; a tree of tasks holds several orders.

    A run has only the parameters of its own tasks, under the names that they have in a sequence
    of one order. With a `folder`, hashes of the tasks' files stand in place of their paths.
    Raises ArtifactError where parameters and summary are not of the same run."""
    try:
        whole, chains = complete(params), summary["chains"]
        if folder is not None:
            whole = _with_hashes(whole, folder)
        tasks = whole.get("tasks", {})
        ran = {value for chain in chains for value in (chain["method"], *chain["tasks"])}
        unknown = ran - tasks.keys() - {whole.get("method")}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{name}: params.yaml or {SUMMARY} is not what lamol writes ({error}). Run `dvc repro` "
            "there again."
        ) from error
    if unknown:
        raise ArtifactError(
            f"{name}: {SUMMARY} is of {', '.join(sorted(unknown))}, which params.yaml does not "
            "have. Run `dvc repro` there."
        )
    runs = []
    for chain in chains:
        names = original_names(chain["tasks"], tasks)
        blocks = {
            own: {key: value for key, value in tasks[task].items() if key != "after"}
            for task, own in names.items()
        }
        order = list(blocks)
        run_name = name if len(chains) == 1 else f"{name}: {', '.join(order)}"
        flat = flatten({**whole, "tasks": blocks})
        runs.append(FinishedRun(run_name, flat, {**chain, "tasks": order}, commits))
    return runs


def _with_hashes(params: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """Return parameters in which hashes replace the paths of the tasks' files and of a nano
    model's corpus. The path of another model becomes absolute."""
    tasks = {
        key: {**task, "source": _with_hash(task["source"], folder)}
        for key, task in params.get("tasks", {}).items()
    }
    backbone = dict(params.get("backbone", {}))
    nano, path = backbone.get("nano", {}), backbone.get("path")
    corpus = [_with_hash(source, folder) for source in nano.get("corpus", [])]
    if path is not None and (model := resolve_path(path, folder)).exists():
        backbone["path"] = str(model.resolve())
    return {**params, "tasks": tasks, "backbone": {**backbone, "nano": {**nano, "corpus": corpus}}}


def _with_hash(source: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """Return a source in which a hash of its files replaces their path, if they exist. Copies of
    a sequence, which have the same rows in other files, then have equal sources."""
    try:
        parsed = parse_source(source)
        files, location = parsed.split_files(folder), parsed.location(folder)
    except (ConfigError, ValidationError):  # another version's source, or a missing file
        return source
    if location is None:
        return source
    hashes = {
        f"{split}{number or ''}": _hash_of(path.resolve(), stat.st_mtime_ns)
        for split, paths in files.items()
        for number, path in enumerate(paths)
        if (stat := path.stat()).st_size
    }
    location = location.resolve()
    if not hashes:  # emptied when its rows were forgotten
        return {**source, "path": str(location)}
    digest = hashlib.sha256(json.dumps(hashes).encode()).hexdigest()
    return {**source, "path": f"{location.name}, sha256 {digest[:16]}"}


@cache
def _hash_of(path: Path, changed_at_ns: int) -> str:
    """Return the sha256 of a file. It is cached by path and time of the last change, because
    runs share files."""
    return sha256_of(path)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
