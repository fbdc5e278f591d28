"""What a comparison calls runs: their method, and the settings in which they differ from others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from lamol_core.comparison.runs import SEED_KEYS, FinishedRun, flatten
from lamol_core.config import LamolParams, Params
from lamol_core.errors import ConfigError

NOT_COMPARED = frozenset({"method", "lamol_version"})
OF_AUDITS = frozenset(
    f"audit.{name}" for name in ("drop_flagged", "canaries", "ask_teacher", "phone_regions")
)
"""What of an audit's parameters can change which rows are trained on."""
METHODS = frozenset(get_args(Params.model_fields["method"].annotation))


@dataclass(frozen=True)
class Setting:
    """A parameter in which runs of one method differ, and what this run has for it."""

    key: str
    short_key: str
    """The end of the key that no other parameter has: `unique` of `generate.unique`."""
    value: Any

    def __str__(self) -> str:
        return self.short_key if self.value is True else f"{self.short_key}={self._json}"

    @property
    def spellings(self) -> set[str]:
        """All that `lamol compare --call` may write for it."""
        spelt = {f"{key}={self._json}" for key in (self.key, self.short_key)}
        spelt |= {f"{key}={self.value}" for key in (self.key, self.short_key)}
        return spelt | ({self.key, self.short_key} if self.value is True else set())

    @property
    def _json(self) -> str:
        return json.dumps(self.value)


@dataclass(frozen=True)
class CommonName:
    """One word for several settings that were made together."""

    name: str
    settings: frozenset[str]
    """As in a label (`unique`, `rows_per_class=5`), or with the whole key and value."""

    @classmethod
    def parse(cls, text: str) -> CommonName:
        """From NAME=SETTING,SETTING. Raises ConfigError for anything else."""
        name, _, settings = text.partition("=")
        if not name or not settings:
            raise ConfigError(
                f"--call {text}: write a name and the settings it stands for, such as "
                "`--call better=unique,rows_per_class=5`."
            )
        return cls(name, frozenset(settings.split(",")))


def label_runs(
    runs: Sequence[FinishedRun], names: Sequence[CommonName] = ()
) -> dict[str, list[FinishedRun]]:
    """Runs by what they compare: the method, and those of its parameters in which runs differ,
    where they are not the default, such as `lamol_kd (unique, gamma=0.5)`.

    A parameter counts for a method if it can change what it learns: its own block does, and what
    all methods share (the tasks' sources too), but no seed, no order of tasks, nothing that an
    audit only tells, and nothing of sampling where a method draws no pseudo-samples. Raises
    ConfigError for a name whose settings no run has.
    """
    settings = [_settings_of(run, runs) for run in runs]
    for name in names:
        if not any(_meant(name, mine) for mine in settings):
            known = sorted({str(setting) for mine in settings for setting in mine})
            raise ConfigError(
                f"--call {name.name}: no run has all of {', '.join(sorted(name.settings))}. "
                f"Settings in which these runs differ: {', '.join(known) or 'none'}."
            )
    groups: dict[str, list[FinishedRun]] = {}
    for run, mine in zip(runs, settings, strict=True):
        inside = _named(mine, names)
        if run.unscored:
            inside.append(f"without {' and '.join(run.unscored)}: forgotten")
        label = f"{run.method} ({', '.join(inside)})" if inside else run.method
        groups.setdefault(label, []).append(run)
    return groups


def _settings_of(run: FinishedRun, runs: Sequence[FinishedRun]) -> list[Setting]:
    """Of a run, those in which runs that have the parameter differ and that are not the default."""
    defaults = flatten(Params(tasks={}).model_dump(mode="json", by_alias=True))
    own = sorted(key for key in run.params if _counts(key, run.method))
    return [
        Setting(key, _shortened(key, own), run.params[key])
        for key in own
        if (key not in defaults or run.params[key] != defaults[key])
        and len({_value(one, key) for one in runs if _counts(key, one.method)}) > 1
    ]


def _counts(key: str, method: str) -> bool:
    """Whether a parameter can change what a method learns."""
    block = key.partition(".")[0]
    if key in SEED_KEYS or block in NOT_COMPARED or block in METHODS - {method}:
        return False
    if block == "tasks":
        return not key.endswith(".after")
    if block == "generate":
        return _draws(method)
    if block == "audit":
        return _draws(method) and key in OF_AUDITS
    return True


def _draws(method: str) -> bool:
    """Whether a method trains on pseudo-samples: its block says how they are drawn."""
    block = Params.model_fields[method].annotation if method in Params.model_fields else None
    return isinstance(block, type) and issubclass(block, LamolParams)


def _value(run: FinishedRun, key: str) -> str:
    return json.dumps(run.params.get(key), sort_keys=True)


def _shortened(key: str, keys: Sequence[str]) -> str:
    """The last part of a key where no other key ends so; a task's keys stay whole."""
    last = key.rpartition(".")[2]
    ends_so = [other for other in keys if other.rpartition(".")[2] == last]
    return last if ends_so == [key] and not key.startswith("tasks.") else key


def _meant(name: CommonName, settings: Sequence[Setting]) -> list[Setting]:
    """The settings that a name stands for; none where one of them is not there."""
    meant = [setting for setting in settings if setting.spellings & name.settings]
    return meant if len(meant) == len(name.settings) else []


def _named(settings: Sequence[Setting], names: Sequence[CommonName]) -> list[str]:
    found, left = [], list(settings)
    for name in names:
        meant = _meant(name, left)
        if meant:
            found.append(name.name)
            left = [setting for setting in left if setting not in meant]
    return [*found, *map(str, left)]
