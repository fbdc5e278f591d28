"""What every command shares: its options, how errors end it, what a stage is given and measured."""

from __future__ import annotations

import errno
import functools
import gc
import inspect
import logging
import os
import re
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from lamol_core.config.task_names import BASE, TASK_NAME, find_order_problems, find_task
from lamol_core.errors import ArtifactError, ConfigError, LamolError, UsageError
from stages.console import say

if TYPE_CHECKING:
    import pyarrow as pa

    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.manifest import Manifest, Provenance
    from lamol_core.artifacts.spec import Artifact, Of, Stage
    from lamol_core.config.section import Section
    from lamol_core.parameters import Params

B = TypeVar("B", bound="Section")

TaskArgument = Annotated[
    str, typer.Argument(help="The task's name in params.yaml.", show_default=False)
]
StageTaskArgument = Annotated[
    str,
    typer.Argument(
        help="The task's name in params.yaml. Under DVC it is that of the stage.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-S",
        metavar="KEY=VALUE",
        help="Override a parameter of params.yaml for this run (repeatable).",
    ),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")]

OF_THE_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO,
}  # fmt: skip
"""What a disk refuses: no room, no permission. No bug of ours."""
MEASURED = ("seconds", "start_up_seconds", "peak_memory_bytes", "machine")
"""Keys of a figures file that differ from run to run."""


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """End a command with the documented exit code and one sentence instead of a traceback.

    0 done, 1 a bug of ours, 2 usage, 3 configuration or data, 4 artefact; 5 training diverged, too
    few valid pseudo-samples, or an audit that failed its gate.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        debug = bool(kwargs.get("debug"))
        # imports make some hundred thousand objects that stay: looking through them for garbage
        # again and again is a tenth of their time (docs/performance.md)
        gc.set_threshold(50_000, 20, 100)
        _quiet_libraries()
        try:
            command(*args, **kwargs)
        except (typer.Exit, typer.Abort, KeyboardInterrupt, BrokenPipeError):
            raise  # the last: whoever reads has heard enough (`lamol compare | head`)
        except Exception as error:
            if debug:
                traceback.print_exc()
            sentence, exit_code = _told(error)
            say(f"error: {sentence}")
            raise typer.Exit(exit_code) from error

    return run


def _told(error: Exception) -> tuple[str, int]:
    """An error's sentence for the user, and the exit code that it ends a command with."""
    if isinstance(error, LamolError):
        return str(error), error.exit_code
    if isinstance(error, OSError) and error.errno in OF_THE_DISK:
        where = f"{error.filename}: " if error.filename else ""
        remedy = "Mend that and run the same command again; what was whole before still is."
        return f"{where}{error.strerror}. {remedy}", ArtifactError.exit_code
    return (
        f"a bug of lamol's: {type(error).__name__}: {error}. "
        "Run the same command with --debug and report what it shows."
    ), 1


def run_alone(command: Callable[..., None]) -> None:
    """What `python -m stages.<name>` does."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    app()


def open_params(overrides: list[str] | None) -> Params:
    """params.yaml of the current folder, checked, with the overrides laid over it."""
    from lamol_core.parameters import load_params

    params = Path("params.yaml")
    _require_version(params, overrides or ())
    return load_params(params, overrides or ())


def _require_version(path: Path, overrides: Iterable[str]) -> dict[str, Any]:
    """A params.yaml as plain data. Raises ConfigError where another version made it: what else is
    wrong with it may be right there."""
    from lamol_core.config.loading import read_params

    data = read_params(path, overrides)
    for problem in version_problems(data.get("lamol_version")):
        raise ConfigError(f"{path}: {problem}")
    return data


def version_problems(wanted: object) -> list[str]:
    """Whether another version of lamol is wanted than the one that is installed."""
    from lamol_core import __version__

    if wanted in (None, __version__):
        return []
    return [
        f"lamol_version is {wanted}, installed is {__version__}. Write the installed one there "
        "(every stage then runs again), or install the other."
    ]


def stage(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a command of a stage's body: `body(run, ...)`, whose further arguments are options.

    The command takes TASK where the stage has one, --set and --debug; it holds the locks of the
    stage's outputs while the body runs."""

    def decorate(body: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(body, include_extras=True)
        own = list(inspect.signature(body).parameters.values())[1:]
        common = [
            inspect.Parameter("overrides", _KEYWORD, default=None, annotation=SetOption),
            *(one.replace(annotation=hints[one.name]) for one in own),
            inspect.Parameter("debug", _KEYWORD, default=False, annotation=DebugOption),
        ]
        if name not in WITHOUT_TASK:
            task = inspect.Parameter("task", _KEYWORD, default="", annotation=StageTaskArgument)
            common.insert(0, task)
        signature = inspect.Signature(common)

        @functools.wraps(body)
        def command(*args: Any, **kwargs: Any) -> None:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            options = dict(given.arguments)
            options.pop("debug")
            cost = Cost()
            run = StageRun.open(name, options.pop("task", ""), options.pop("overrides"), cost)
            with run.alone():
                body(run, **options)

        command.__signature__ = signature  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in common}
        return guarded(command)

    return decorate


_KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD
WITHOUT_TASK = ("backbone", "report")


@dataclass
class StageRun:
    """What a stage's body is given: its task, its own blocks of params.yaml, its folder."""

    declared: Stage
    task: str
    """"" for a stage of the whole sequence."""
    after: str
    """The task before."""
    data: dict[str, Any]
    """params.yaml as plain data."""
    layout: Layout
    cost: Cost
    overridden: bool = False
    inputs: dict[str, str] = field(default_factory=dict)
    """Content hashes of what was read so far, for the manifests of what is written."""

    @classmethod
    def open(cls, name: str, task: str, overrides: Iterable[str] | None, cost: Cost) -> StageRun:
        """Raises ConfigError where params.yaml has no such task, or another version made it."""
        from lamol_core.artifacts.layout import Layout
        from lamol_core.artifacts.spec import STAGES
        from lamol_core.config.loading import params_error

        told = list(overrides or ())
        data = _require_version(Path("params.yaml"), told)
        after = BASE
        if name not in WITHOUT_TASK:
            task = task or task_of_dvc(name)
            tasks = data.get("tasks")
            if problems := find_order_problems(tasks if isinstance(tasks, dict) else {}):
                raise params_error(problems, bool(told))
            block = find_task(data["tasks"], task)
            if not (isinstance(block, dict) and isinstance(block.get("after"), str)):
                raise params_error([f"tasks.{task}.after: no task is named there."], bool(told))
            after = block["after"]
        return cls(STAGES[name], task, after, data, Layout(), cost, bool(told))

    def block(self, name: str, model: type[B]) -> B:
        """A block that the stage's declaration names. Raises ConfigError that names every wrong
        key."""
        from lamol_core.artifacts.spec import METHOD, TASK
        from lamol_core.config.loading import read_block
        from lamol_core.methods.registry import DEFAULT_METHOD

        declared = TASK if name == f"tasks.{self.task}" else name
        if name == (self.method or DEFAULT_METHOD):
            declared = METHOD
        assert declared in self.declared.blocks, f"{self.declared.name} reads no block {name}"
        return read_block(self.data, name, model, self.overridden)

    @property
    def seed(self) -> int:
        from lamol_core.config.loading import read_seed

        return read_seed(self.data, self.overridden)

    @property
    def method(self) -> str | None:
        """The name of the method that params.yaml chooses; None where it is left out."""
        return self.data.get("method")

    def path(self, artifact: Artifact) -> Path:
        """Where the task's artefact lies."""
        return artifact.at(self.task or BASE, self.layout.root)

    def check(self, artifact: Artifact, of: Of = "task") -> Manifest:
        """The manifest of what the stage reads, after both were checked. Raises ArtifactError."""
        from lamol_core.artifacts.store import check

        declared = [(one.artifact, one.of) for one in self.declared.reads]
        assert (artifact, of) in declared, f"{self.declared.name} reads no {artifact.name} of {of}"
        manifest = check(self.layout, artifact, self._whose(of))
        name = artifact.name if of == "task" else f"{of}.{artifact.name}"
        self.inputs[name] = manifest.content_sha256
        return manifest

    def read(self, artifact: Artifact, of: Of = "task") -> tuple[pa.Table, Manifest]:
        """The rows of a table that the stage reads, and its manifest. Raises ArtifactError."""
        from lamol_core.artifacts.store import read_as_it_lies

        manifest = self.check(artifact, of)
        return read_as_it_lies(self.layout, artifact, self._whose(of)), manifest

    def _whose(self, of: Of) -> str:
        return {"task": self.task, "before": self.after, "base": BASE}[of]

    def provenance(self, parameters: dict[str, Any] | None = None) -> Provenance:
        """What a manifest says of an output: parameters that acted, inputs read so far, and the
        code of the stage."""
        from lamol_core.artifacts.manifest import Provenance
        from lamol_core.artifacts.version import code_version

        return Provenance(parameters or {}, self.inputs, code_version(self.declared.packages))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While nobody else writes the same outputs; only where the disk has room for them."""
        from lamol_core.artifacts.locks import sole_writer
        from lamol_core.artifacts.store import require_room

        with sole_writer(self.layout, [self.path(one) for one in self.declared.writes]):
            if self.task:
                require_room(self.layout, self.declared, self.after)
            yield

    def say(self, message: str) -> None:
        """A line for the user, led by the stage and its task."""
        say(f"{self.declared.name} {self.task}: {message}".replace(" :", ":", 1))


def task_of_dvc(stage: str) -> str:
    """The task of the stage that DVC runs: no name of a task reaches a shell.

    Raises UsageError where no DVC runs it, ConfigError where the name is none."""
    address = os.environ.get("DVC_STAGE", "")
    found = re.fullmatch(rf"(?:.*:)?{stage}@(.*)", address, re.DOTALL)
    if found is None:
        raise UsageError(f"{stage}: name a task, like `lamol {stage} TASK`.")
    if not TASK_NAME.fullmatch(found[1]):
        raise ConfigError(
            f"tasks.{found[1]!r}: not a task name (wanted {TASK_NAME.pattern}). Rename it in "
            "params.yaml."
        )
    return found[1]


class Cost:
    """Seconds since it was made (first of all in a command), and the process's peak memory."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._start_up_s = 0.0

    def imported(self) -> None:
        """Libraries are imported now: what went by is start-up."""
        self._start_up_s = time.perf_counter() - self._started

    def figures(self, seconds_before: float = 0.0) -> dict[str, Any]:
        """Under the keys of MEASURED. `seconds_before`: what another process had done of the work
        before it was cut off."""
        from lamol_core.machine import describe_machine, peak_memory_bytes

        return {
            "seconds": round(time.perf_counter() - self._started + seconds_before, 2),
            "start_up_seconds": round(self._start_up_s, 2),
            "peak_memory_bytes": peak_memory_bytes(),
            "machine": describe_machine(),
        }


def _quiet_libraries() -> None:
    # what these print is for their own developers; a stage says what matters to its user
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
