"""Advice: for figures with a known cause the remedy that was measured, and nothing else."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from lamol_core.generation.params import GenerateParams
from lamol_core.methods.registry import METHODS
from lamol_core.parameters import Params, completed
from lamol_core.reporting.advice import LOW_NEW_TASK_POINTS, MEASURED, advice_on
from lamol_core.reporting.comparison.finished_runs import FinishedRun, read_folders
from lamol_core.reporting.summary import TaskFigures, build_summary
from tests.code_imports import ROOT
from tests.messages import names
from tests.reporting.test_summary import figures, settings

HELD = [[95.0], [94.0, 93.0], [92.0, 91.0, 94.0]]
FORGOTTEN = [[95.0], [80.0, 93.0], [60.0, 78.0, 94.0]]
"""`a` lost 35 points, `b` 15."""
LATER_FORGOTTEN = [[95.0], [94.0, 93.0], [93.0, 40.0, 94.0]]
LEARNT_BADLY = [[95.0], [94.0, 40.0], [93.0, 40.0, 70.0]]
BY_LABEL = {"max_attempts": 8, "unique": True, "judge": "features", "carry_over": True}
BASE = {"text": {"gen_order": "target_first"}, "lamol_kd": {"lambda": 1.0}}
REAL_MODEL = {"backbone": {"kind": "hub", "path": "a/model"}}
FALLING = [5.0, 4.0] + [2.0 - i / 20 for i in range(18)]
RISEN = [*FALLING[:16], 2.8, 2.9, 2.7, 2.8]


def chain_of(
    matrix: Sequence[Sequence[float | None]],
    held: tuple[int, int] = (80, 8),
    losses: Sequence[float] = (),
    num_test_rows: int = 300,
    **of_last: Any,
) -> list[TaskFigures]:
    """The figures of tasks a, b, c. `held`: rows and classes of each; `losses`: of task b."""
    tasks, found = "abc"[: len(matrix)], []
    for place, (task, scores) in enumerate(zip(tasks, matrix, strict=True)):
        before, after = tasks[:place], tasks[place - 1] if place else "base"
        changes: dict[str, Any] = {
            "num_test_rows": dict.fromkeys([*before, task], num_test_rows),
            "held": {earlier: {"rows": held[0], "classes": held[1]} for earlier in before},
        }
        if place == 1:
            changes["curve"] = [{"loss": loss} for loss in losses]
        if place == len(tasks) - 1:
            changes |= of_last
        found.append(figures(task, after, scores, before, **changes))  # type: ignore[arg-type]
    return found


def advice(chain: list[TaskFigures], method: str = "lamol_kd", **blocks: Any) -> list[str]:
    return list(build_summary(settings(method, **(REAL_MODEL | blocks)), chain)["advice"])


@dataclass
class Cause:
    """Figures with one cause, what the line must name, and the settings that it must try."""

    figures: list[TaskFigures]
    told: Sequence[object]
    tried: dict[str, object]
    remedy: str
    method: str = "lamol_kd"
    blocks: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        (line,) = advice(self.figures, self.method, **self.blocks)
        return line


FAILED = {"verdict": "fail", "poor_samples_by": ["faithfulness"], "rows_flagged": 35}
REJECTED = {"valid": 40, "rejected": 60}
ALL_ROWS: dict[str, object] = {
    "text.gen_order": "target_first",
    "lamol_kd.lambda": 1.0,
    **{f"generate.{key}": value for key, value in {**BY_LABEL, "rows_per_class": 14}.items()},
}
REHEARSE: dict[str, object] = {"method": "lamol_kd"}
INIT = {**BASE, "generate": {**BY_LABEL, "rows_per_class": 5}}
MANY = {**BASE, "generate": {**BY_LABEL, "rows_per_class": 14}}
CAUSES = {
    "few rows": Cause(chain_of(FORGOTTEN, (16, 8)), ["a", 35.0, 16, 2.0], ALL_ROWS, "rows"),
    "few rows of b": Cause(chain_of(LATER_FORGOTTEN, (16, 8)), ["b", 53.0], ALL_ROWS, "rows"),
    "few rows, although by label": Cause(
        chain_of(FORGOTTEN, (40, 8)), ["a", 5.0], {"generate.rows_per_class": 14}, "rows",
        blocks=INIT,
    ),
    "an audit that failed": Cause(
        chain_of(FORGOTTEN, (200, 8), audit=FAILED), ["a", 200, "faithfulness"], ALL_ROWS, "rows"
    ),
    "most draws rejected": Cause(
        chain_of(FORGOTTEN, (200, 8), pseudo=REJECTED), ["a", "60 %"], ALL_ROWS, "rows"
    ),
    "few rows of a model that writes badly": Cause(
        chain_of(FORGOTTEN, (16, 8), audit=FAILED), ["a", 2.0], {"generate.rows_per_class": 14},
        "more rows", blocks={"backbone": {"kind": "nano"}},
    ),
    "many good rows": Cause(
        chain_of(FORGOTTEN, (112, 8)), ["a", 112, 14.0], {"generate.rows_per_class": 28}, "double"
    ),
    "many rows that the judge left": Cause(
        chain_of(FORGOTTEN, (112, 8), pseudo=REJECTED), ["a", "60 %"],
        {"generate.rows_per_class": 28}, "double", blocks={"generate": {"judge": "features"}},
    ),
    "many poor rows, by label": Cause(
        chain_of(FORGOTTEN, (112, 8), audit=FAILED), ["faithfulness"], {"method": "replay"},
        "real rows", blocks=MANY,
    ),
    "few rows of free text": Cause(
        chain_of(FORGOTTEN, (16, 0)), ["a", 35.0, 16], {"generate.gamma": 0.4}, "more rows"
    ),
    "no rows of free text": Cause(
        chain_of(FORGOTTEN, (0, 0)), ["a", 0], {"generate.gamma": 0.2}, "more rows",
        blocks={"generate": {"gamma": 0.0}},
    ),
    "nothing rehearsed": Cause(chain_of(FORGOTTEN), ["a"], REHEARSE, "rehearse", "finetune"),
    "only a penalty": Cause(chain_of(FORGOTTEN), ["a", 35.0], REHEARSE, "rehearse", "ewc"),
    "too few epochs": Cause(
        chain_of(LEARNT_BADLY), ["b", "40.0 %", "a", "95.0 %"], {"train.epochs": 10}, "longer"
    ),
    "too few steps": Cause(
        chain_of(LEARNT_BADLY), ["b"], {"train.steps": 200}, "longer", method="replay",
        blocks={"train": {"steps": 100}},
    ),
    "unstable training, although much is forgotten": Cause(
        chain_of(FORGOTTEN, losses=RISEN), ["b"], {"train.learning_rate": 0.0001}, "slower"
    ),
    "unstable training of an adapter": Cause(
        chain_of(HELD, losses=RISEN), ["b"], {"adapter.learning_rate": 0.001}, "slower",
        blocks={"adapter": {"kind": "lora"}},
    ),
    "forgetting, although new tasks are learnt badly": Cause(
        chain_of([[95.0], [60.0, 60.0]], (16, 8)), ["a", 35.0], ALL_ROWS, "rows"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_has_its_own_remedy(name: str) -> None:
    cause = CAUSES[name]
    line = cause.line()
    assert names(line, *cause.told)
    assert dict(option.split("=") for option in options_of(line)) == {
        key: str(value).lower() for key, value in cause.tried.items()
    }
    assert line.endswith(f": {MEASURED[cause.remedy]}.")
    assert len(re.findall(r"[.:](?= [A-Z])|\.$", line)) <= 3, "sentences"


def options_of(line: str) -> list[str]:
    (command,) = re.findall(r"`dvc exp run ([^`]*)`", line)
    options = command.split(" ")
    assert set(options[::2]) == {"-S"}
    assert all(option.startswith("++") for option in options[1::2])
    return [option.removeprefix("++") for option in options[1::2]]


def value_at(content: Mapping[str, Any], key: str) -> object:
    block, _, rest = key.partition(".")
    return content[block][rest] if rest else content[block]


@pytest.mark.parametrize("name", CAUSES)
def test_dvc_takes_the_command_where_the_file_has_the_keys_and_where_it_has_not(
    name: str, tmp_path: Path
) -> None:
    cause, path = CAUSES[name], tmp_path / "params.yaml"
    overrides = [f"++{option}" for option in options_of(cause.line())]
    short = {"tasks": {}, "method": cause.method, **cause.blocks}
    for before in (short, settings(cause.method, **cause.blocks)):
        YAML().dump(before, path)
        apply_overrides(path, overrides)
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        made = Params.model_validate(content).model_dump(by_alias=True)
        assert {key: value_at(made, key) for key in cause.tried} == cause.tried


@pytest.mark.parametrize("remedy", MEASURED)
def test_figures_stand_on_the_page_that_is_named(remedy: str) -> None:
    assert any(cause.remedy == remedy for cause in CAUSES.values()), "no cause leads to it"
    pages = re.findall(r"\((docs/\S+\.md)\)", MEASURED[remedy])
    figures = re.findall(r"\d+\.\d(?: \[[^]]*\]| ± \d+\.\d)?", MEASURED[remedy])
    assert len(pages) == bool(figures)
    for page in pages:
        text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
        assert all(re.search(rf"(?<![\d.]){re.escape(one)}", text) for one in figures), figures


NOTHING = {
    "nothing forgotten": chain_of(HELD),
    "one task": chain_of(HELD[:1]),
    "few and poor rows that held": chain_of(HELD, (6, 8), audit=FAILED, pseudo=REJECTED),
    "forgetting at the bound": chain_of([[90.0], [80.0, 90.0]], (6, 8)),
    "no more than chance in 20 test rows": chain_of([[90.0], [62.0, 90.0]], num_test_rows=20),
    "a new task below by chance": chain_of([[90.0], [90.0, 62.0]], num_test_rows=20),
    "a harder task": chain_of([[90.0], [90.0, 75.0]]),
    "a low first task": chain_of([[50.0], [50.0, 90.0]]),
    "test rows forgotten": chain_of([[90.0], [None, 90.0]]),
    "the first task's rows never scored": chain_of([[None], [None, 20.0]]),
}


@pytest.mark.parametrize("name", NOTHING)
def test_no_advice_where_nothing_is_wrong(name: str) -> None:
    assert advice(NOTHING[name]) == []


@pytest.mark.parametrize("method", ["replay", "derpp", "multitask"])
def test_no_advice_against_forgetting_where_none_was_measured(method: str) -> None:
    assert advice(chain_of(FORGOTTEN), method) == []


def test_a_training_is_unstable_where_its_loss_rose_and_did_not_fall_again() -> None:
    def with_losses(losses: Sequence[float]) -> list[str]:
        return advice(chain_of(HELD, losses=losses))

    assert with_losses(RISEN)
    assert with_losses(FALLING) == []
    assert with_losses([*FALLING[:12], 3.0, 3.2, *FALLING[14:]]) == [], "it fell again"
    assert with_losses([loss / 100 for loss in FALLING[:-1]] + [0.08]) == [], "too small to matter"
    assert with_losses([9.0, 9.5, 1.0]) == [], "too short to tell"


@pytest.mark.parametrize("method", METHODS)
def test_never_two_lines_and_never_the_settings_of_now(method: str) -> None:
    rng, told = random.Random(0), 0
    for _ in range(100):
        matrix = [[rng.uniform(20, 100) for _ in range(i + 1)] for i in range(3)]
        held = rng.choice([(0, 8), (16, 8), (100, 8), (9, 0)])
        blocks = rng.choice([{}, INIT, MANY, {"generate": {"gamma": 1.0}}])
        lines = advice(chain_of(matrix, held, audit=rng.choice([{}, FAILED])), method, **blocks)
        assert len(lines) <= 1
        told += len(lines)
        now = settings(method, **blocks)
        for key, value in (one.split("=") for line in lines for one in options_of(line)):
            assert str(value_at(now, key)).lower() != value
    assert told, "these figures are bad ones"


def kept_runs(*names: str) -> list[FinishedRun]:
    return read_folders([ROOT / "docs" / "results" / f"{name}.jsonl" for name in names], completed)


@pytest.mark.slow
def test_kept_runs_are_advised_what_was_then_measured_to_help() -> None:
    """By method, rows per class and number of tasks. `held` follows from `pseudo`."""
    found: dict[tuple[str, int, int], set[str]] = {}
    for run in kept_runs("clinc150", "clinc150_together", "clinc150_15_tasks"):
        summary, tasks = run.summary, run.summary["tasks"]
        counts = summary["pseudo"][tasks[-1]]
        rows = (counts["valid"] + counts.get("carried", 0)) // (len(tasks) - 1)
        held = {task: {"rows": rows, "classes": 10 if len(tasks) == 15 else 8} for task in tasks}
        now = GenerateParams.model_fields
        options = {
            key: run.params[f"generate.{key}"] for key in now if f"generate.{key}" in run.params
        }
        parameters = settings(run.method, generate=options, **REAL_MODEL)
        lines = advice_on({"audits": {}, **summary, "held": held}, {}, parameters)
        remedies = {name for name, what in MEASURED.items() if what in "".join(lines)}
        found.setdefault((run.method, options["rows_per_class"], len(tasks)), set()).update(
            remedies or {"none"}
        )
    assert found == {
        ("lamol_kd", 0, 5): {"rows", "none"},  # one of 18 forgot less than ten points
        ("lamol_kd", 5, 5): {"rows", "none"},  # two of 13 forgot more
        ("lamol_kd", 10, 5): {"none"},
        ("lamol_kd", 0, 15): {"rows"},
        ("lamol_kd", 5, 15): {"rows"},
        ("lamol_kd", 10, 15): {"rows"},
        ("lamol_kd", 20, 15): {"none"},
        ("lamol", 0, 5): {"rows"},
        ("lamol", 0, 15): {"rows"},
        ("l2kd", 0, 5): {"rows"},
        ("ewc", 0, 5): {"rehearse"},
        ("finetune", 0, 5): {"rehearse"},
        ("finetune", 10, 15): {"rehearse"},
        **{key: {"none"} for key in [("derpp", 0, 5), ("replay", 0, 5)]},
        **{key: {"none"} for key in [("multitask", 0, 5), ("multitask", 10, 15)]},
    }


@pytest.mark.slow
def test_no_task_of_the_kept_runs_was_learnt_badly() -> None:
    gaps = [
        (run.summary["score_matrix"][0][0] - row[-1], run.method)
        for run in kept_runs(*(path.stem for path in (ROOT / "docs" / "results").glob("*.jsonl")))
        for row in run.summary["score_matrix"]
    ]
    assert round(max(gaps)[0], 1) == 14.3 < LOW_NEW_TASK_POINTS
    assert round(max(gap for gap, method in gaps if method == "multitask"), 1) == 13.0
