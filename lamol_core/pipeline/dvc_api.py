"""Reads and updates DVC's record: which stages ran, which would run again, and experiments."""

import json
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
from dvc import api
from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo
from dvc.rwlock import RWLOCK_FILE
from ruamel.yaml import YAML

from lamol_core.artifacts.spec import OF_A_TASK
from lamol_core.errors import ArtifactError, ConfigError

LOCK = "dvc.lock"


class Pipeline:
    """DVC's record of the sequence in the working directory; empty where DVC has run nothing.

    The record is locked while a Pipeline is open: no stage is running, and no `dvc repro` can
    begin one."""

    def __init__(self, repo: Repo | None) -> None:
        self._repo = repo

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator["Pipeline"]:
        """Open and lock the record. Raises ArtifactError where DVC reports an error or is
        running a stage."""
        if not Path(LOCK).is_file():
            yield cls(None)
            return
        logging.getLogger("dvc").setLevel(logging.ERROR)
        try:
            with Repo() as repo, lock_repo(repo):
                _require_idle(repo)
                yield cls(repo)
        except DvcException as error:
            raise ArtifactError(
                f"{LOCK}: dvc says: {error} Mend that, then run the same command again."
            ) from error

    def stages_on(self, paths: Collection[str]) -> list[str]:
        """Return the stages that ran and read or wrote one of these paths. Those of a task that
        params.yaml no longer has are left out."""
        if self._repo is None:
            return []
        wanted, known = _absolute(paths), {stage.addressing for stage in self._repo.index.stages}
        listed = self._listed().items()
        return [name for name, entry in listed if name in known and _paths(entry) & wanted]

    def stale(self, stages: Iterable[str], apart_from: Collection[str]) -> list[str]:
        """Return those of these stages that have not run, or have changed since. Changes of the
        files `apart_from` do not count."""
        if self._repo is None:
            return []
        listed = self._listed()
        return [
            name
            for name in stages
            if name not in listed or _differs(self._changes.get(name, ()), apart_from)
        ]

    @cached_property
    def _changes(self) -> Mapping[str, Any]:
        """What has changed since each stage ran, when this was first asked. For stages that are
        named one by one, DVC would read the whole record as often."""
        changes: Mapping[str, Any] = self._repo.status() if self._repo is not None else {}
        return changes

    def runs_again(self, stages: Iterable[str], params: Mapping[str, Any]) -> list[str]:
        """Return those of these stages that would run again with these values of params.yaml.
        Stages that follow them may run again too, but are not returned for that."""
        wanted = list(stages)
        return list(dict.fromkeys([*self.stale(wanted, []), *self.ran_with_others(wanted, params)]))

    def that_ran(self, tasks: Iterable[str]) -> list[str]:
        """Return those of these tasks whose last stage has run."""
        listed = self._listed()
        return [task for task in tasks if f"{OF_A_TASK[-1]}@{task}" in listed]

    def ran_with_others(self, stages: Iterable[str], params: Mapping[str, Any]) -> list[str]:
        """Return those of these stages that ran with other values of params.yaml than `params`."""
        listed = self._listed()
        return [name for name in stages if _has_other_params(listed.get(name, {}), params)]

    def before(self, task: str) -> list[str]:
        """Return every stage of a task, and all stages that these depend on."""
        if self._repo is None:
            return []
        last = f"{OF_A_TASK[-1]}@{task}"
        followed = [stage.addressing for stage in self._repo.stage.collect(last, with_deps=True)]
        return list(dict.fromkeys([*followed, *(f"{stage}@{task}" for stage in OF_A_TASK)]))

    def commit(self, stages: Iterable[str]) -> None:
        """Record the present files of these stages, as `dvc commit` does. DVC's run cache is not
        used, because it would copy outputs with real rows, which must not be cached."""
        if self._repo is None:
            return
        wanted = set(stages)
        changed = [stage for stage in self._repo.index.stages if stage.addressing in wanted]
        for stage in changed:
            stage.save(run_cache=False)
            stage.commit()
        if changed:  # written once: DVC reads and writes the whole record each time
            changed[0].dvcfile.dump_stages(changed, update_pipeline=False)

    @property
    def cache(self) -> Path | None:
        return None if self._repo is None else Path(self._repo.cache.local.path)

    @property
    def experiments(self) -> Path | None:
        """The folder in which `dvc exp` makes its copies; None where DVC has run nothing."""
        return None if self._repo is None else Path(self._repo.tmp_dir) / "exps"

    @property
    def num_unfinished_experiments(self) -> int:
        """How many experiments of `dvc queue` are running or waiting."""
        if self._repo is None or self.experiments is None:
            return 0
        if not (self.experiments / "celery").is_dir():
            return 0
        queue = self._repo.experiments.celery_queue
        return sum(1 for _ in chain(queue.iter_active(), queue.iter_queued()))

    def _listed(self) -> Mapping[str, Any]:
        if self._repo is None:
            return {}
        content = YAML(typ="safe").load(Path(LOCK).read_text(encoding="utf-8")) or {}
        stages: Mapping[str, Any] = content.get("stages") or {}
        return stages


def list_experiments(root: Path, all_commits: bool) -> list[tuple[str, str]]:
    """Return the name and the revision of HEAD and of each of its experiments; with `all_commits`
    also of every other commit that has experiments. Raises ConfigError where DVC can't list
    them."""
    try:
        with Repo(str(root)) as repo:
            head = repo.scm.get_rev()
            listed = {head: [], **repo.experiments.ls(all_commits=all_commits)}
    except DvcException as error:
        raise ConfigError(
            f"{root}: experiments can't be listed ({error}). Go to a sequence's folder, in a "
            "Git repository with a commit, or name folders."
        ) from error
    return [
        entry
        for commit, experiments in listed.items()
        for entry in [(f"commit {commit[:7]}", commit), *experiments]
    ]


def read_at(root: Path, paths: Sequence[str], revision: str) -> list[str]:
    """Return the texts of files of the project at a revision; [] where one can't be read there."""
    try:
        with Repo(str(root)) as repo:
            prefix = root.resolve().relative_to(Path(repo.scm.root_dir).resolve())
        return [str(api.read(str(prefix / path), repo=str(root), rev=revision)) for path in paths]
    except (DvcException, OSError, UnicodeDecodeError):
        return []


def ran_with_others(lock: str, stage: str, params: str) -> bool:
    """Whether a stage ran with other values of params.yaml than `params`. Both files are given as
    text."""
    listed, values = (YAML(typ="safe").load(text) or {} for text in (lock, params))
    return _has_other_params(listed.get("stages", {}).get(stage, {}), values)


def is_up_to_date(root: Path) -> bool:
    """Whether `dvc repro` would run no stage. Raises ArtifactError where DVC reports an error."""
    try:
        with Repo(str(root)) as repo:
            return not repo.status()
    except DvcException as error:
        raise ArtifactError(f"{root}: dvc says: {error}") from error


def _has_other_params(entry: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Whether a stage's entry in dvc.lock has other values of params.yaml than `params`."""
    recorded = entry.get("params", {}).get("params.yaml", {})
    return any(value != _at(params, key) for key, value in recorded.items())


def _at(params: Mapping[str, Any], key: str) -> object:
    """Return the value of a key with dots; None where the key is missing."""
    value: object = params
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _paths(entry: Mapping[str, Any]) -> set[str]:
    return _absolute(file["path"] for side in ("deps", "outs") for file in entry.get(side, ()))


def _absolute(paths: Iterable[str]) -> set[str]:
    """Return absolute paths, because dvc.lock holds paths outside of the project as they were
    given, and `dvc status` shows them in full."""
    return {os.path.abspath(path) for path in paths}  # noqa: PTH100  links into the cache stay


def _differs(changed: Iterable[Any], apart_from: Collection[str]) -> bool:
    """Whether a stage's entry in `dvc status` names a change of anything but these paths."""
    known = _absolute(apart_from)
    of_files = ("changed deps", "changed outs")
    return any(
        not isinstance(change, dict)  # "changed command", "always changed"
        or any(what not in of_files or _absolute(change[what]) - known for what in change)
        for change in changed
    )


def _require_idle(repo: Repo) -> None:
    """Raises ArtifactError while a stage is running: DVC holds no lock then, but lists the files
    that the stage reads and writes."""
    path = Path(repo.tmp_dir or ".dvc/tmp") / RWLOCK_FILE
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    readers = [info for infos in listed.get("read", {}).values() for info in infos]
    users = [*listed.get("write", {}).values(), *readers]
    if running := sorted({info["pid"] for info in users if psutil.pid_exists(info["pid"])}):
        raise ArtifactError(
            f"{LOCK}: dvc (process {running[0]}) is running a stage. Wait until it ends, then run "
            "the same command again."
        )
