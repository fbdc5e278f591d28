"""Labels for runs: the method, and the settings in which a run differs from others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lamol_core.data.columns import Columns
from lamol_core.data.params import TaskParams
from lamol_core.errors import ConfigError, UsageError
from lamol_core.methods.registry import METHODS
from lamol_core.reporting.comparison.finished_runs import SEED_KEYS, FinishedRun

NOT_COMPARED = frozenset({"method", "lamol_version", "forget", "mix.gate", *SEED_KEYS})
DROPS_FLAGGED = "mix.drop_flagged"
ONLY_REPORTED = ("audit.limits.", "audit.min_rows", "audit.show_real_rows", "audit.batch_size")
"""The parameters of an audit that change no flag. The other ones can change which pseudo-samples
are trained on, where flagged ones are dropped or not carried over."""
OF_PSEUDO_SAMPLES = frozenset(
    f"text.{key}"
    for key in ("gen_order", "max_input_tokens", "max_target_tokens", "use_task_specific_gen_token")
)
NAMED_TASKS = 3
"""A benchmark's label names at most so many of its tasks."""


@dataclass(frozen=True)
class Setting:
    """A parameter in which runs differ, and its value in one run, as JSON."""

    key: str
    short_key: str
    """The last part of the key, if no other parameter ends in it: `unique` for
    `generate.unique`. Else the whole key."""
    value: str

    def __str__(self) -> str:
        if self.key == "tasks":
            tasks = json.loads(self.value)
            more = f", ... ({len(tasks)} tasks)" if len(tasks) > NAMED_TASKS else ""
            return f"on {', '.join(tasks[:NAMED_TASKS])}{more}"
        return self.short_key if self.value == "true" else f"{self.short_key}={self.value}"

    @property
    def spellings(self) -> set[str]:
        """Every spelling of the setting that `lamol compare --call` accepts."""
        keys = {self.key, self.short_key}
        plain = self.value.strip('"')
        pairs = {f"{key}={value}" for key in keys for value in (self.value, plain)}
        return pairs | keys if self.value == "true" else pairs


@dataclass(frozen=True)
class CommonName:
    """A name for several settings that are used together (`lamol compare --call`)."""

    name: str
    settings: tuple[str, ...]
    """The settings as a label shows them (`unique`, `rows_per_class=5`), or with whole key and
    value."""

    @classmethod
    def parse(cls, text: str) -> CommonName:
        """Parse NAME=SETTING,SETTING. Raises UsageError for anything else."""
        name, _, settings = text.partition("=")
        parts = tuple(part.strip() for part in settings.split(","))
        if not name.strip() or not all(parts):
            raise UsageError(
                f"--call {text}: write a name and the settings it stands for, such as "
                "`--call better=unique,rows_per_class=5`."
            )
        return cls(name.strip(), parts)

    def meant(self, settings: Sequence[Setting]) -> list[Setting]:
        """Return those of a run's settings that the name stands for; [] where the run lacks one
        of them."""
        found = [own for text in self.settings for own in settings if text in own.spellings]
        return found if len(found) == len(self.settings) else []


def label_runs(
    runs: Sequence[FinishedRun], defaults: Mapping[str, Any], names: Sequence[CommonName] = ()
) -> dict[str, list[FinishedRun]]:
    """Return the runs by label. A label is the method, and those of its parameters that differ
    between runs of its benchmark and are not the default, such as `lamol_kd (unique, gamma=0.5)`.
    Each of `names` stands for several settings at once.

    Only parameters that can change what a method learns count (`_counts`). `defaults` are the
    flattened defaults of all parameters. Raises ConfigError for one of `names` that is taken, or
    whose settings no run has."""
    settings = _differing_settings(runs, defaults)
    _check_names(names, settings)
    groups: dict[str, list[FinishedRun]] = {}
    for run, own in zip(runs, settings, strict=True):
        inside, left = [], own
        for name in names:
            if meant := name.meant(left):
                inside.append(name.name)
                left = [setting for setting in left if setting not in meant]
        inside += map(str, left)
        if run.unscored:
            inside.append(f"without {' and '.join(run.unscored)}: forgotten")
        label = f"{run.method} ({', '.join(inside)})" if inside else run.method
        groups.setdefault(label, []).append(run)
    return groups


def differing_parameters(
    runs: Sequence[FinishedRun], defaults: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return for each run its value of every parameter in which any runs differ, also where that
    is the default."""
    params = [{**defaults, **run.params} for run in runs]
    written = [{key: json.dumps(value) for key, value in own.items()} for own in params]
    differing = sorted(_differing_keys(written))
    return [{key: own[key] for key in differing if key in own} for own in params]


def _check_names(names: Sequence[CommonName], settings: Sequence[Sequence[Setting]]) -> None:
    known = {setting for own in settings for setting in own}
    taken = {spelling for setting in known for spelling in setting.spellings}
    for name in names:
        if name.name in taken:
            raise ConfigError(f"--call {name.name}: this name is taken. Choose another one.")
        taken.add(name.name)
        if not any(name.meant(own) for own in settings):
            listed = ", ".join(sorted(map(str, known))) or "none"
            raise ConfigError(
                f"--call {name.name}: no run differs from others by {' and '.join(name.settings)}. "
                f"Choose from the settings in which these runs differ: {listed}."
            )


def _differing_settings(
    runs: Sequence[FinishedRun], defaults: Mapping[str, Any]
) -> list[list[Setting]]:
    """Return for each run those of its settings that differ between runs of its benchmark and
    are not the default. With several benchmarks, the benchmark is a setting too."""
    counted = [_counted(run, defaults) for run in runs]
    by_benchmark: dict[str, list[Mapping[str, str]]] = {}
    for run, own in zip(runs, counted, strict=True):
        by_benchmark.setdefault(_benchmark(run), []).append(own)
    differing = {name: _differing_keys(members) for name, members in by_benchmark.items()}
    ends = Counter(_end(key) for key in set().union(*counted))
    found = []
    for run, own in zip(runs, counted, strict=True):
        name = _benchmark(run)
        settings = [Setting("tasks", "tasks", name)] if len(by_benchmark) > 1 else []
        for key in sorted(differing[name] & own.keys()):
            whole = f"{run.method}.{key[4:]}" if key.startswith("own.") else key
            if own[key] != _default_of(whole, defaults):
                is_plain = ends[_end(key)] == 1 and not key.startswith("tasks.")
                settings.append(Setting(whole, _end(key) if is_plain else whole, own[key]))
        found.append(settings)
    return found


def _end(key: str) -> str:
    return key.rpartition(".")[2]


def _benchmark(run: FinishedRun) -> str:
    """Return the sorted names of a run's tasks, as JSON."""
    return json.dumps(sorted({key.split(".")[1] for key in run.params if key.startswith("tasks.")}))


def _counted(run: FinishedRun, defaults: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters that can change what a method learns, as JSON by key; a parameter
    that is left out has its default. The method's own block is named `own`, so that it can be
    compared with the blocks of other methods."""
    params = {**defaults, **run.params}
    counted = {}
    for key, value in params.items():
        if _counts(key, run.method, params):
            block, _, rest = key.partition(".")
            name = f"own.{rest}" if block == run.method else key
            counted[name] = json.dumps(value, sort_keys=True)
    return counted


def _counts(key: str, method: str, params: Mapping[str, Any]) -> bool:
    """Whether a parameter can change what a method learns. These can't: seeds, the order of
    tasks, blocks of other methods, what an audit only reports, and sampling where a method draws
    nothing."""
    block = key.partition(".")[0]
    rehearses = method in METHODS and METHODS[method].rehearses
    if not {key, block}.isdisjoint(NOT_COMPARED) or key == "tasks" or key.endswith(".after"):
        return False
    if block in METHODS:
        return block == method
    if block in ("generate", "mix") or key in OF_PSEUDO_SAMPLES:
        return rehearses
    if block == "audit":
        flags_act = params[DROPS_FLAGGED] or params["generate.carry_over"]
        return rehearses and flags_act and not key.startswith(ONLY_REPORTED)
    return True


def _differing_keys(runs: Sequence[Mapping[str, str]]) -> set[str]:
    """Return the keys whose values differ between runs, and those keys of tasks that some runs
    lack."""
    return {
        key
        for key in set().union(*runs)
        if len({run.get(key) for run in runs if key in run or key.startswith("tasks.")}) > 1
    }


def _default_of(key: str, defaults: Mapping[str, Any]) -> str | None:
    """Return the default of a parameter, as JSON; None where it must be given."""
    if not key.startswith("tasks."):
        return json.dumps(defaults[key], sort_keys=True) if key in defaults else None
    for model in (TaskParams, Columns):
        field = model.model_fields.get(_end(key))
        if field is not None and not field.is_required():
            return json.dumps(field.default)
    return None
