"""What a sequence will take: the work counted, and the seconds made of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import Provenance
from lamol_core.errors import ConfigError
from lamol_core.methods.ewc_memory import FisherMemory
from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.registry import METHODS
from lamol_core.models.backbones import build_backbone
from lamol_core.models.checkpoints import load_model, save_checkpoint
from lamol_core.parameters import Params
from lamol_core.preflight.estimate import estimate, say_time
from lamol_core.preflight.rates import Rates, bytes_below, measure_lengths, measure_rates
from lamol_core.preflight.trial import the_backbone, try_sequence
from lamol_core.preflight.work import RowTokens, TaskRows, TaskWork, lineage_of, plan_work
from lamol_core.records import Example, TaskFacts
from lamol_core.text.tokenizer import TextCodec
from tests.fakes import CORPUS, tiny_backbone_params
from tests.messages import names, naming

RATES = Rates(
    trained_tokens_per_s=100.0,
    drawn_tokens_per_s=50.0,
    answered_tokens_per_s=200.0,
    row_after_s=0.5,
    backbone_bytes=5_000_000,
    student_bytes=1_000_000,
    state_bytes=200_000,
)


def plan(method: str, **blocks: Any) -> list[TaskWork]:
    """Three tasks of 100 rows of 8 + 2 tokens, two classes each; c follows a, as b does."""
    source = {"kind": "demo", "task": "home"}
    params = Params.model_validate(
        {
            "method": method,
            "tasks": {n: {"after": after, "source": source} for n, after in ORDER.items()},
            "train": {"epochs": 2, "batch_size": 16},
            **blocks,
        }
    )
    sizes = {"train": 100, "test": 10}
    facts = {name: TaskFacts(name, "accuracy", "classes", ("x", "y"), sizes) for name in ORDER}
    tokens = RowTokens(8.0, 2.0)
    rows = {name: TaskRows(facts[name], tokens, tokens) for name in ORDER}
    return plan_work(params, params.chosen, rows)


ORDER = {"a": "base", "b": "a", "c": "b"}


def test_lamol_kd_by_hand() -> None:
    first, second, third = plan("lamol_kd")
    # QA has 10 + 2 tokens, GEN 10 + 3; two epochs of 100 rows, in batches of 16
    assert (first.steps, first.trained_tokens, first.drawn_tokens) == (14, 2 * 100 * 25, 0)
    assert (second.pseudo_rows, third.pseudo_rows) == (20, 20)
    assert third.trained_tokens == 2 * 120 * 25
    assert third.taught_tokens == 20 * 25
    assert third.drawn_tokens == 20 * 13
    assert third.answered_tokens == 3 * 10 * 12


def test_options_of_pseudo_samples_count() -> None:
    third = plan("lamol_kd", generate={"rows_per_class": 20, "draws_per_row": 3})[2]
    assert third.pseudo_rows == 2 * 2 * 20
    assert third.drawn_tokens == 3 * 80 * 13
    balanced = {"known_labels": True, "balance_labels": True, "max_attempts": 6}
    more = {"rows_per_class": 20, **balanced}
    assert plan("lamol_kd", generate=more)[2].drawn_tokens == 6 * 80 * 13
    checked = plan("lamol_kd", generate={"rows_per_class": 20, "self_consistent": True})[2]
    assert checked.answered_tokens == third.answered_tokens + 80 * 13


@pytest.mark.parametrize("method", METHODS)
def test_what_each_method_takes_beside_finetune(method: str) -> None:
    work, lower = plan(method)[2], plan("finetune")[2]
    assert work.trained_tokens >= lower.trained_tokens == 2 * 100 * 12
    more = {
        "multitask": {"new_rows": 300, "steps": 38, "trained_tokens": 2 * 300 * 12},
        "ewc": {"rows_after_training": 100},
        "replay": {"trained_tokens": 2 * 100 * 12 + 14 * 32 * 12},
        "l2kd": {"steps": 16 + 14, "taught_tokens": 100 * 25, "pseudo_rows": 20},
    }
    for name, value in more.get(method, {}).items():
        assert getattr(work, name) == value, name


def test_a_tree_counts_each_branch_from_the_base() -> None:
    source = {"kind": "demo", "task": "home"}
    order = {"a": "base", "b": "a", "c": "a"}
    tasks = {name: {"after": after, "source": source} for name, after in order.items()}
    params = Params.model_validate({"tasks": tasks})
    assert [lineage_of(params, name) for name in order] == [["a"], ["a", "b"], ["a", "c"]]


def test_seconds_are_work_over_rates() -> None:
    work = plan("ewc")
    foreseen = estimate(work, RATES, start_up_s=2.0, peak_memory_bytes=7)
    (first, *_), one = foreseen.tasks, work[0]
    assert first.train_s == one.trained_tokens / 100 + one.rows_after_training * 0.5
    assert first.evaluate_s == one.answered_tokens / 200
    assert foreseen.disk_bytes == 8_600_000, "the backbone, three students, three states"
    assert foreseen.total_s == pytest.approx(sum(task.total_s for task in foreseen.tasks))
    faster = estimate(work, replace(RATES, trained_tokens_per_s=200.0), 2.0, 7)
    assert faster.total_s < foreseen.total_s
    assert foreseen.as_dict()["tasks"][2]["task"] == "c"


@pytest.mark.parametrize(
    ("seconds", "said"), [(4.4, "4 s"), (89, "89 s"), (600, "10 min"), (3900, "1 h 05 min")]
)
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert say_time(seconds) == said


@pytest.mark.parametrize("method", METHODS)
def test_a_trial_trains_with_what_the_task_before_has_left(
    method: str, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = Params.model_validate({"tasks": {}, "method": method, "train": {"batch_size": 4}})
    rows = [Example(f"a/train/{i}", "a", f"turn the light {i}", "on", 0) for i in range(12)]
    penalties: list[float] = []
    original = FisherMemory.add_penalty

    def add_penalty(self: FisherMemory, model: nn.Module) -> float:
        penalties.append(original(self, model))
        return penalties[-1]

    monkeypatch.setattr(FisherMemory, "add_penalty", add_penalty)
    facts = TaskFacts("a", "accuracy", "classes", ("on",), {"train": 12})
    lengths = TaskRows(facts, RowTokens(5.0, 1.0), RowTokens(5.0, 1.0))
    rates = measure_rates(tiny_checkpoint, params, rows, lengths)
    weights = sum(p.numel() for p in load_model(tiny_checkpoint, "cpu").parameters())
    assert rates.student_bytes in (2 * weights, 4 * weights)
    assert rates.backbone_bytes == bytes_below(tiny_checkpoint) > 4 * weights
    if method == "ewc":
        assert penalties[-1] > 0, "the penalty costs time once there is something to hold"
        assert 4 * weights < rates.state_bytes < 5 * weights + 10_000
    if method == "derpp":
        logits = params.derpp.buffer_size * 2 * 2 * load_vocabulary(tiny_checkpoint)
        assert logits < rates.state_bytes < 2 * logits, "200 rows, answer and EOS, fp16"
    if type(params.chosen.memory(MemoryContext(0, decode=str))) is Memory:
        assert rates.state_bytes < 2_000


def test_one_task_alone_needs_no_second_token(tmp_path: Path) -> None:
    """The trial is that of a second task: it must not ask for more than the sequence does."""
    backbone = tiny_backbone_params().model_copy(update={"max_tasks": 1})
    model, tokenizer = build_backbone(backbone, tmp_path, CORPUS)
    save_checkpoint(tmp_path / "student", model, Provenance(), tokenizer=tokenizer)
    params = Params.model_validate({"tasks": {}, "train": {"batch_size": 4}})
    rows = [Example(f"a/train/{i}", "a", f"turn the light {i}", "on", 0) for i in range(12)]
    facts = TaskFacts("a", "accuracy", "classes", ("on",), {"train": 12})
    lengths = TaskRows(facts, RowTokens(5.0, 1.0), RowTokens(5.0, 1.0))
    assert measure_rates(tmp_path / "student", params, rows, lengths).trained_tokens_per_s > 0


def load_vocabulary(checkpoint: Path) -> int:
    return int(load_model(checkpoint, "cpu").get_output_embeddings().weight.shape[0])


def test_rows_are_as_long_as_training_and_sampling_cut_them(tiny_checkpoint: Path) -> None:
    long = "turn the light on " * 50
    rows = {"a": [Example(f"a/train/{i}", "a", long, "on", 0) for i in range(3)]}
    facts = {"a": TaskFacts("a", "accuracy", "classes", ("on",), {"train": 3})}
    codec = TextCodec.load(tiny_checkpoint)
    (answer,) = codec.encode(["on"])
    limits = {"max_length": 40, "max_input_tokens": 7}
    params = Params.model_validate({"tasks": {}, "text": limits})
    (task,) = measure_lengths(codec, facts, rows, params).values()
    assert task.real == RowTokens(40 - len(answer) - 3, len(answer), share_cut=1.0)
    assert task.drawn == RowTokens(7, len(answer), share_cut=1.0)


def test_what_will_be_cut_is_told_beforehand(tmp_path: Path, tiny_checkpoint: Path) -> None:
    lines = [f"{'turn the light on ' * (1 + 20 * (i < 3))}{i},{i % 2}\n" for i in range(40)]
    (tmp_path / "a.csv").write_text("input,target\n" + "".join(lines), encoding="utf-8")
    split = tmp_path / "a"
    split.mkdir()
    for name in ("train", "dev", "test"):
        (split / f"{name}.csv").write_text((tmp_path / "a.csv").read_text(), encoding="utf-8")
    source = {"kind": "csv", "path": "a"}
    blocks = {"text": {"max_length": 60, "max_input_tokens": 30}, "train": {"epochs": 1}}
    blocks |= {"backbone": tiny_backbone_params().model_dump()}
    told: dict[str, list[str]] = {}
    for method in ("lamol_kd", "finetune"):
        params = Params.model_validate(
            {"method": method, "tasks": {"a": {"after": "base", "source": source}}, **blocks}
        )
        told[method] = []
        try_sequence(params, tmp_path, tiny_checkpoint, told[method].append)
    cut, drawn = ("a:", 3, 40, "text.max_length", 60), ("a:", 3, 40, "text.max_input_tokens")
    for method, (read, written) in {"finetune": (1, 0), "lamol_kd": (1, 1)}.items():
        assert len([line for line in told[method] if names(line, *cut)]) == read
        assert len([line for line in told[method] if names(line, *drawn)]) == written


def test_a_forgotten_task_is_as_long_as_the_others(tmp_path: Path, tiny_checkpoint: Path) -> None:
    (tmp_path / "a.csv").write_text("input,target\n", encoding="utf-8")
    rows = "".join(f"turn the light {i},{'on' if i % 2 else 'off'}\n" for i in range(40))
    (tmp_path / "b.csv").write_text("input,target\n" + rows, encoding="utf-8")
    tasks = {
        "a": {"after": "base", "source": {"kind": "csv", "path": "a.csv"}},
        "b": {"after": "a", "source": {"kind": "csv", "path": "b.csv"}},
    }
    blocks = {"train": {"batch_size": 4, "epochs": 1}}
    params = Params.model_validate(
        {"tasks": tasks, "backbone": tiny_backbone_params().model_dump(), **blocks}
    )
    facts = TaskFacts("a", "accuracy", "classes", ("x", "y"), {"train": 50, "dev": 5, "test": 9})
    gone = Layout(tmp_path).forgotten("a")
    gone.mkdir(parents=True)
    (gone / "facts.json").write_text(json.dumps(facts.as_dict()), encoding="utf-8")
    (gone / "forgotten.json").write_text(json.dumps({}), encoding="utf-8")
    work, _ = try_sequence(params, tmp_path, tiny_checkpoint, lambda text: None)
    first, second = work
    assert (first.new_rows, first.steps) == (50, 13)
    assert first.trained_tokens / 50 == pytest.approx(second.trained_tokens / second.new_rows, 0.5)
    alone = params.model_copy(update={"tasks": {"a": params.tasks["a"]}})
    with pytest.raises(ConfigError, match=naming("check:")):
        try_sequence(alone, tmp_path, tiny_checkpoint, lambda text: None)


def test_another_backbone_than_the_one_that_is_there_is_made(tiny_checkpoint: Path) -> None:
    params = Params(tasks={}, backbone=tiny_backbone_params())
    with the_backbone(params, Path(), tiny_checkpoint) as folder:
        assert folder == tiny_checkpoint
    nano = params.backbone.nano.model_dump() | {"layers": 1}
    nano["corpus"] = [{"kind": "demo", "task": "home"}]
    other = Params(tasks={}, backbone=tiny_backbone_params(nano=nano))
    with the_backbone(other, Path(), tiny_checkpoint) as folder:
        assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == 1
    assert not folder.exists()
