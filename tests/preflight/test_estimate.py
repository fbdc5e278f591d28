"""What a sequence will take: the work counted, and the seconds made of it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import Provenance
from lamol_core.artifacts.store import bytes_below
from lamol_core.config.task_names import lineage
from lamol_core.errors import ConfigError
from lamol_core.methods.registry import METHODS
from lamol_core.models.backbones import build_backbone
from lamol_core.models.checkpoints import load_model, save_checkpoint
from lamol_core.parameters import Params
from lamol_core.preflight.estimate import (
    Estimate,
    estimate_sequence,
    foresee,
    say_time,
    the_backbone,
)
from lamol_core.preflight.rates import Rates, measure_rates
from lamol_core.preflight.row_tokens import RowTokens, TaskTokens, encode_tasks, prompts_of
from lamol_core.preflight.work import TaskWork, plan_work
from lamol_core.records import Example, TaskFacts, to_history
from lamol_core.text.chat import ChatCodec
from lamol_core.text.chat_pieces import find_pieces
from lamol_core.text.codecs import load_codec
from lamol_core.text.template import NUM_CONTROL, TaskPrompts
from tests.fakes import CORPUS, tiny_backbone_params
from tests.messages import names, naming
from tests.text.chat_families import chatml

RATES = Rates(
    trained_s=0.01,
    drawn_s=0.02,
    answered_s=0.005,
    training_s=3.0,
    backbone_bytes=5_000_000,
    task_bytes=1_200_000,
    num_weights=300_000,
)


def plan(method: str, **blocks: Any) -> list[TaskWork]:
    """Three tasks of 100 rows of 10 tokens, two classes each; c follows b, as b does a."""
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
    trained = sum(10 + NUM_CONTROL[view] for view in params.chosen.loss.views)
    tokens = RowTokens(trained, drawn=12, answered=12)
    return [*plan_work(params, facts, dict.fromkeys(ORDER, TaskTokens(tokens, tokens)))]


ORDER = {"a": "base", "b": "a", "c": "b"}


def test_lamol_kd_by_hand() -> None:
    first, second, third = plan("lamol_kd")
    # QA has 10 + 2 tokens, GEN 10 + 3; two epochs of 100 rows, in batches of 16
    assert (first.steps, first.trained_tokens, first.drawn_tokens) == (14, 2 * 100 * 25, 0)
    assert (second.pseudo_rows, third.pseudo_rows) == (20, 20)
    assert third.trained_tokens == 2 * 120 * 25
    assert third.drawn_tokens == 20 * 12
    assert third.answered_tokens == 3 * 10 * 12
    assert plan("lamol_kd", train={"steps": 15, "batch_size": 8})[2].trained_tokens == 120 * 25


def test_options_of_pseudo_samples_count() -> None:
    third = plan("lamol_kd", generate={"rows_per_class": 20})[2]
    assert third.pseudo_rows == 2 * 2 * 20
    assert third.drawn_tokens == 80 * 12
    carried = plan("lamol_kd", generate={"rows_per_class": 20, "carry_over": True})[2]
    assert carried.drawn_tokens == 40 * 12, "of the task before alone"


def test_zero_shot_scores_count() -> None:
    first, second, _ = plan("finetune", evaluate={"forward_transfer": True})
    assert (first.answered_tokens, second.answered_tokens) == (10 * 12, 4 * 10 * 12)


@pytest.mark.parametrize("method", METHODS)
def test_what_each_method_takes_beside_finetune(method: str) -> None:
    work, lower = plan(method)[2], plan("finetune")[2]
    assert work.trained_tokens >= lower.trained_tokens == 2 * 100 * 12
    assert METHODS[method].cost_per_token >= 1
    if method == "multitask":
        assert (work.new_rows, work.steps, work.trained_tokens) == (300, 38, 2 * 300 * 12)
    assert work.pseudo_rows == (20 if METHODS[method].rehearses else 0)


def test_a_tree_counts_each_branch_from_the_base() -> None:
    source = {"kind": "demo", "task": "home"}
    order = {"a": "base", "b": "a", "c": "a"}
    tasks = {name: {"after": after, "source": source} for name, after in order.items()}
    params = Params.model_validate({"tasks": tasks})
    lineages = [lineage(params.tasks, name) for name in order]
    assert lineages == [["a"], ["b", "a"], ["c", "a"]]


def test_seconds_are_tokens_times_rates() -> None:
    work = plan("ewc")
    foreseen = Estimate(foresee(work, RATES, cost_per_token=1.5, start_s=2.0), 8, 7, ())
    (first, *_), one = foreseen.tasks, work[0]
    assert first.train_s == pytest.approx(one.trained_tokens * 1.5 * 0.01 + 3.0)
    assert first.evaluate_s == one.answered_tokens * 0.005
    assert first.start_up_s >= 3 * 2.0, "three stages load torch"
    assert foreseen.total_s == pytest.approx(sum(task.total_s for task in foreseen.tasks))
    faster = foresee(work, replace(RATES, trained_s=0.005), 1.5, 2.0)
    assert faster[0].total_s < first.total_s
    figures = foreseen.as_dict()
    assert (figures["disk_bytes"], figures["peak_memory_bytes"]) == (8, 7)
    assert figures["tasks"][2]["task"] == "c"


@pytest.mark.parametrize(
    ("seconds", "said"), [(4.4, "4 s"), (89, "89 s"), (600, "10 min"), (3900, "1 h 05 min")]
)
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert say_time(seconds) == said


ROWS = [Example(f"a/train/{i}", "a", f"turn the light {i}", "on", 0) for i in range(12)]
PROMPTS = TaskPrompts(["a"], names_task=False)
FACTS = {"a": TaskFacts("a", "accuracy", "classes", ("on",), {"train": 40, "test": 4})}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_tried(method: str, tiny_checkpoint: Path) -> None:
    train = {"batch_size": 4, "precision": "fp32"}
    params = Params.model_validate({"tasks": {}, "method": method, "train": train})
    rates = measure_rates(tiny_checkpoint, params, ROWS, PROMPTS)
    weights = sum(p.numel() for p in load_model(tiny_checkpoint, "cpu").parameters())
    assert rates.backbone_bytes == bytes_below(tiny_checkpoint) > 4 * weights
    assert rates.trained_s > 0 and rates.answered_s > 0 and rates.training_s > 0
    assert (rates.drawn_s > 0) == METHODS[method].rehearses
    kept = rates.task_bytes - 4 * weights
    if method == "ewc":
        assert 4 * weights < kept < 5 * weights + 10_000
    elif method in ("replay", "derpp"):
        assert kept > 2_000
    else:
        assert 0 < kept < 2_000


def test_one_task_alone_needs_no_second_token(tmp_path: Path) -> None:
    """The trial is that of a second task: it must not ask for more than the sequence does."""
    backbone = tiny_backbone_params().model_copy(update={"max_tasks": 1})
    model, tokenizer = build_backbone(backbone, tmp_path, CORPUS)
    save_checkpoint(tmp_path / "student", model, Provenance(), tokenizer=tokenizer)
    params = Params.model_validate({"tasks": {}, "train": {"batch_size": 4}})
    assert measure_rates(tmp_path / "student", params, ROWS, PROMPTS).trained_s > 0


def test_rows_are_as_long_as_training_cuts_them(tiny_checkpoint: Path) -> None:
    texts = ["turn the light on " * (1 + 20 * (i < 3)) for i in range(40)]
    rows = {"a": [Example(f"a/train/{i}", "a", text, "on", 0) for i, text in enumerate(texts)]}
    codec = load_codec(tiny_checkpoint)
    blocks = {"tasks": {}, "text": {"max_length": 60, "max_input_tokens": 30}}
    short, y = (len(ids) for ids in codec.encode([texts[-1], "on"]))
    cut, drawn = ("a:", 3, 40, "text.max_length", 60), ("a:", 3, 40, "text.max_input_tokens")
    for method, num_drawn in {"finetune": 0, "lamol_kd": 1}.items():
        params = Params.model_validate({"method": method, **blocks})
        encoded, notes = encode_tasks(codec, rows, params, FACTS)
        tokens = encoded["a"].tokens
        # GEN has one token more than QA; a prompt of it is not drawn
        assert tokens.real.answered == pytest.approx((3 * 59 + 37 * (short + y + 2)) / 40)
        assert tokens.pseudo.drawn == pytest.approx((3 * 30 + 37 * short) / 40 + y + 2)
        views = {"finetune": 1, "lamol_kd": 2}[method]
        trained = views * tokens.real.answered + (views - 1)
        assert tokens.real.trained == pytest.approx(trained)
        assert len([note for note in notes if names(note, *cut)]) == 1
        assert len([note for note in notes if names(note, *drawn)]) == num_drawn
    with pytest.raises(ConfigError, match=naming("text.max_length")):
        long = {"a": [Example("a/train/0", "a", "on", texts[0], 0)]}
        encode_tasks(codec, long, params, FACTS)


def test_of_chat_data_the_beginning_that_prompts_share_is_trained_alone() -> None:
    codec = ChatCodec(chatml(), find_pieces(chatml()))
    row = Example("a/train/0", "a", "lamp off", "done", 0)
    params = Params.model_validate({"tasks": {}, "text": {"format": "chat"}})
    facts = {"a": replace(FACTS["a"], system="You are very, very brief.")}
    template = codec.template(prompts_of(params, facts))
    encoded, _ = encode_tasks(codec, {"a": [row]}, params, facts)
    tokens = encoded["a"].tokens.real
    assert tokens.answered == tokens.drawn
    prefixes = len(template.before_input("a")) + len(template.draw_prompt("a"))
    assert tokens.trained == 2 * tokens.answered + prefixes
    assert len(template.before_input("a")) > len(codec.template().before_input("a"))
    long = replace(row, history=to_history([("play the next song for me", "music on")]))
    of_long, _ = encode_tasks(codec, {"a": [long]}, params, facts)
    (turn,) = codec.encode_history(long.history)
    more = of_long["a"].tokens.real.answered - tokens.answered
    assert more == template.num_of_turn(*turn) == of_long["a"].tokens.pseudo.drawn - tokens.drawn
    most = len(codec.encode_inputs([row.input])[0])
    tight = {"tasks": {}, "text": {"format": "chat", "max_input_tokens": most}}
    params, (user, answer) = Params.model_validate(tight), turn
    assert len(user) > most, "a turn before the last is cut too"
    of_long, (note,) = encode_tasks(codec, {"a": [long]}, params, facts)
    drawn = of_long["a"].tokens.pseudo.drawn - tokens.drawn
    assert drawn == template.num_of_turn(user[:most], answer) and names(note, "a:", 1)


def test_a_tree_may_have_more_tasks_than_reserved_tokens(tiny_checkpoint: Path) -> None:
    names_ = [f"t{i}" for i in range(40)]
    facts = {name: replace(FACTS["a"], name=name) for name in names_}
    params = Params.model_validate({"tasks": {}})
    rows = {name: [replace(ROWS[0], task=name)] for name in names_}
    assert len(encode_tasks(load_codec(tiny_checkpoint), rows, params, facts)[0]) == 40


def put_backbone(root: Path, checkpoint: Path) -> Path:
    student = Layout(root).student("base")
    student.parent.mkdir(parents=True)
    student.symlink_to(checkpoint, target_is_directory=True)
    return student


def test_a_forgotten_task_is_as_long_as_the_others(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what a start takes is not asked here
    monkeypatch.setattr("lamol_core.preflight.estimate.subprocess.run", lambda *_, **__: None)
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
    put_backbone(tmp_path, tiny_checkpoint)
    gone = Layout(tmp_path).forgotten("a")
    gone.mkdir(parents=True)
    (gone / "facts.json").write_text(json.dumps(asdict(facts)), encoding="utf-8")
    (gone / "forgotten.json").write_text(json.dumps({}), encoding="utf-8")
    first, second = estimate_sequence(params, tmp_path).tasks
    assert (first.new_rows, first.steps) == (50, 13)
    assert first.trained_tokens / 50 == pytest.approx(second.trained_tokens / second.new_rows, 0.5)
    alone = params.model_copy(update={"tasks": {"a": params.tasks["a"]}})
    with pytest.raises(ConfigError, match=naming("check:")):
        estimate_sequence(alone, tmp_path)


def test_another_backbone_than_the_one_that_is_there_is_made(
    tmp_path: Path, tiny_checkpoint: Path
) -> None:
    student = put_backbone(tmp_path, tiny_checkpoint)
    params = Params(tasks={}, backbone=tiny_backbone_params())
    with the_backbone(params, tmp_path) as folder:
        assert folder == student
    nano = params.backbone.nano.model_dump() | {"layers": 1}
    nano["corpus"] = [{"kind": "demo", "task": "home"}]
    other = Params(tasks={}, backbone=tiny_backbone_params(nano=nano))
    with the_backbone(other, tmp_path) as folder:
        assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == 1
    assert not folder.exists()
