"""What DVC has on record of a sequence: the stages that ran on a folder, and if they still hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from lamol_core.errors import ArtifactError

if TYPE_CHECKING:
    from dvc.repo import Repo

LOCK = "dvc.lock"


@dataclass(frozen=True)
class Recorded:
    """The stages of dvc.lock that read or wrote some folders, and which of them are not what they
    were when they ran, for another reason than those folders."""

    stages: Sequence[str] = ()
    stale: Sequence[str] = ()

    @property
    def current(self) -> list[str]:
        return [stage for stage in self.stages if stage not in self.stale]

    def stale_of(self, task: str) -> list[str]:
        return [stage for stage in self.stale if stage.partition("@")[2] == task]


class Pipeline:
    """DVC's record of the sequence in the working directory; empty where DVC has run nothing.

    It is locked while it is open: no `dvc repro` runs meanwhile."""

    def __init__(self, repo: Repo | None) -> None:
        self._repo = repo

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[Pipeline]:
        """Raises ArtifactError where DVC does not answer, or is at work."""
        if not Path(LOCK).is_file():
            yield cls(None)
            return
        from dvc.exceptions import DvcException
        from dvc.repo import Repo, lock_repo

        try:
            with Repo() as repo, lock_repo(repo):
                yield cls(repo)
        except DvcException as error:
            raise ArtifactError(
                f"{LOCK}: dvc says: {error} Mend that, then run the same command again."
            ) from error

    def recorded_on(self, folders: Collection[str], tasks: Collection[str]) -> Recorded:
        """The stages of these tasks that read or wrote the folders, paths as in dvc.yaml."""
        if self._repo is None:
            return Recorded()
        text = Path(LOCK).read_text(encoding="utf-8")
        listed: Mapping[str, Any] = YAML(typ="safe").load(text)["stages"]
        stages = [
            name
            for name, entry in listed.items()
            if name.partition("@")[2] in tasks and _paths(entry) & set(folders)
        ]
        changes = self._repo.status(targets=stages) if stages else {}
        return Recorded(stages, [n for n, change in changes.items() if _differs(change, folders)])

    def commit(self, stages: Iterable[str]) -> None:
        """Let DVC take what these stages have now for what they read and wrote.

        As `dvc commit` does, but for its run cache: that takes a copy of outputs that are not to be
        cached, and real rows would be in it."""
        if self._repo is None:
            return
        for name in stages:
            stage = self._repo.stage.load_one(name=name)
            stage.save(run_cache=False)
            stage.commit()
            stage.dump(update_pipeline=False)

    def drop_cached(self, md5s: Iterable[str]) -> int:
        """Remove files with these contents from DVC's cache; gives how many there were."""
        if self._repo is None:
            return 0
        cache = Path(self._repo.cache.local.path)
        found = [path for md5 in md5s if (path := cache / md5[:2] / md5[2:]).is_file()]
        for path in found:
            path.unlink()
        return len(found)


def _paths(entry: Mapping[str, Any]) -> set[str]:
    return {one["path"] for side in ("deps", "outs") for one in entry.get(side, ())}


def _differs(changed: Iterable[Any], folders: Collection[str]) -> bool:
    """Whether a stage's entry of `dvc status` names anything but these folders."""
    for change in changed:
        if not isinstance(change, dict):
            return True  # "changed command", "always changed"
        for what, paths in change.items():
            if what not in ("changed deps", "changed outs") or set(paths) - set(folders):
                return True
    return False
