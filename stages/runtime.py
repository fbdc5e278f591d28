"""Run a stage: find its task, read its blocks of params.yaml, lock its outputs, and measure its
cost.
"""

import gc
import inspect
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from lamol_core.artifacts.figures import write_json
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.locks import sole_writer
from lamol_core.artifacts.manifest import Provenance
from lamol_core.artifacts.spec import BACKBONE, OF_A_TASK, STAGES
from lamol_core.artifacts.store import Inputs, require_room
from lamol_core.artifacts.version import code_version
from lamol_core.config.loading import params_error, read_own_params
from lamol_core.config.section import Section
from lamol_core.config.task_names import (
    BASE,
    NO_NAME,
    find_order_problems,
    find_task,
    is_task_name,
    lineage,
)
from lamol_core.errors import ConfigError, UsageError
from lamol_core.machine import describe_machine, peak_memory_bytes
from lamol_core.parameters import read_blocks
from stages.console import print_json, print_table, say
from stages.guard import guarded, spoken
from stages.options import DebugOption, JsonOption, SetOption, StageTaskArgument

B = TypeVar("B", bound=Section)
Body = Callable[..., None]
MEASURED = ("seconds", "start_up_seconds", "peak_memory_bytes", "machine")
"""Keys of a figures file whose values differ from run to run."""


class Cost:
    """Measures a command: seconds since this object was made, and the peak memory of the
    process."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._start_up_s = 0.0

    def imported(self) -> None:
        """Note that all libraries are imported now. The time so far counts as start-up."""
        self._start_up_s = time.perf_counter() - self._started
        gc.freeze()  # what was imported stays: no search for garbage in it, nor at the exit

    def figures(self, seconds_before: float = 0.0) -> dict[str, Any]:
        """The cost under the keys of MEASURED. `seconds_before`: seconds of the same work in an
        interrupted process."""
        return {
            "seconds": round(time.perf_counter() - self._started + seconds_before, 2),
            "start_up_seconds": round(self._start_up_s, 2),
            "peak_memory_bytes": peak_memory_bytes(),
            "machine": describe_machine(),
        }


@dataclass
class StageRun(Inputs):
    """One run of a stage, with its inputs, parameters and outputs."""

    blocks: dict[str, Any]
    """The blocks of params.yaml that the stage reads, by the names in its declaration."""
    cost: Cost
    json: bool = False
    position: int = 0
    """The task's place in the order of learning, from 1; 0 for a stage of the whole sequence."""

    @classmethod
    def open(
        cls, name: str, task: str, overrides: Iterable[str] | None, cost: Cost, json: bool = False
    ) -> "StageRun":
        """Read and check params.yaml for a stage. Raises ConfigError where it has no such task, is
        wrong in a block that the stage reads, or was made for another version; UsageError without a
        task."""
        overrides = list(overrides or ())
        data = read_own_params(Path("params.yaml"), overrides)
        after, position = BASE, 0
        if name in OF_A_TASK:
            task = task or task_of_dvc(name)
            tasks = data.get("tasks")
            if problems := find_order_problems(tasks if isinstance(tasks, dict) else {}):
                raise params_error(problems, bool(overrides))
            block = find_task(data["tasks"], task)
            if not (isinstance(block, dict) and isinstance(block.get("after"), str)):
                problem = f"tasks.{task}.after: missing, or not a task name."
                raise params_error([problem], bool(overrides))
            after, position = block["after"], len(lineage(data["tasks"], task))
        declared = STAGES[name]
        blocks, problems = read_blocks(data, declared.blocks, task)
        if problems:
            raise params_error(problems, bool(overrides))
        return cls(declared, task, after, Layout(), blocks, cost, json, position)

    def block(self, name: str, model: type[B]) -> B:
        """A block that the stage's declaration names, as an instance of `model`."""
        assert name in self.blocks, f"{self.declared.name} reads no block {name}"
        block = self.blocks[name]
        assert isinstance(block, model)
        return block

    @property
    def seed(self) -> int:
        return int(self.blocks["seed"])

    @property
    def method(self) -> str:
        """The name of the method that params.yaml chooses."""
        return str(self.blocks["method"])

    def provenance(self, parameters: dict[str, Any] | None = None) -> Provenance:
        """The provenance of an output, for its manifest: parameters that act, hashes of the inputs
        read so far, and the stage's code version."""
        return Provenance(parameters or {}, self.hashes, code_version(self.declared.packages))

    def write_figures(
        self, figures: dict[str, Any], seconds_before: float = 0.0, **machine: str
    ) -> dict[str, Any]:
        """Write the stage's file in reports/figures, with the cost of the run; returns its content.
        `machine`: further facts about the machine."""
        cost = self.cost.figures(seconds_before)
        figures = figures | cost | {"machine": cost["machine"] | machine}
        write_json(self.layout.figure(self.task, self.declared.name), figures, MEASURED)
        return figures

    @contextmanager
    def locked(self) -> Iterator[None]:
        """A context that holds the locks of the stage's outputs. Raises ArtifactError where another
        process writes one of them, or the disk has too little room."""
        with sole_writer(self.layout, [self.path(one) for one in self.declared.writes]):
            # a first adapter is much smaller than its backbone
            is_adapter = getattr(self.blocks.get("adapter"), "is_used", False)
            if self.task and not (is_adapter and self.after == BASE):
                require_room(self.layout, self.declared, self.after)
            yield

    def say(self, message: str) -> None:
        """Print a line for the user that begins with the stage and its task."""
        say(f"{f'{self.declared.name} {self.task}'.rstrip()}: {message}")

    def show(self, figures: dict[str, Any], table: Any = None) -> None:
        """Print `figures` as JSON if --json was given, else `table` if there is one."""
        if self.json:
            print_json(({"task": self.task} if self.task else {}) | figures)
        elif table is not None:
            print_table(table)


def stage(name: str) -> Callable[[Body], Body]:
    """Decorator: turns the function `body(run, ...)` into the command of the stage `name`.
    Parameters after `run` become options of the command."""

    def decorate(body: Body) -> Body:
        hints = get_type_hints(body, include_extras=True)
        own = list(inspect.signature(body).parameters.values())[1:]
        options = [one.replace(annotation=hints[one.name]) for one in own]
        command = stage_command(name, lambda: body, options)
        command.body = body  # type: ignore[attr-defined]
        return command

    return decorate


_KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD


def stage_command(
    name: str, load: Callable[[], Body], options: Iterable[inspect.Parameter] = ()
) -> Body:
    """The command of a stage: TASK if the stage has one, --set, its own options, --json, --debug.

    `load` returns the body. It is called after the task and params.yaml were checked. The body runs
    while the command holds the locks of the stage's outputs."""
    task = inspect.Parameter("task", _KEYWORD, default="", annotation=StageTaskArgument)
    signature = inspect.Signature(
        [
            *([task] if name in OF_A_TASK else ()),
            inspect.Parameter("overrides", _KEYWORD, default=None, annotation=SetOption),
            *options,
            inspect.Parameter("json", _KEYWORD, default=False, annotation=JsonOption),
            inspect.Parameter("debug", _KEYWORD, default=False, annotation=DebugOption),
        ]
    )

    def command(*args: Any, **kwargs: Any) -> None:
        cost = Cost()
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = dict(bound.arguments)
        given.pop("debug")
        task, overrides, json = given.pop("task", ""), given.pop("overrides"), given.pop("json")
        run = StageRun.open(name, task, overrides, cost, json)
        body = load()
        cost.imported()
        with run.locked(), spoken(run.say, run.position):
            body(run, **given)
        if overrides and "DVC_STAGE" not in os.environ:
            run.say(
                "DVC does not know of --set: the next `dvc repro` runs this stage again with the "
                "values of params.yaml. Write a value there to keep it."
            )

    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
    return guarded(command, shows_bars=name == BACKBONE.name)


def task_of_dvc(stage: str) -> str:
    """The task of the stage that DVC runs, read from the environment, so that no task name passes
    through a shell.

    Raises UsageError where DVC does not run this stage, ConfigError where the name is not a valid
    task name."""
    address = os.environ.get("DVC_STAGE", "")
    found = re.fullmatch(rf"(?:.*:)?{stage}@(.*)", address, re.DOTALL)
    if found is None:
        raise UsageError(f"{stage}: name a task, like `lamol {stage} TASK`.")
    if not is_task_name(found[1]):
        raise ConfigError(f"params.yaml: tasks.{found[1]!r}: {NO_NAME}")
    return found[1]
