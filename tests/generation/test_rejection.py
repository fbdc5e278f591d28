"""Which drawn rows count: duplicates, labels, contradictions, surplus, rows carried over."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from lamol_core.errors import ConfigError
from lamol_core.generation.carry_over import carried_rows, count_rows
from lamol_core.generation.drawing import PseudoSampler, _writable, draw_from_checkpoint
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.requests import Request, assigned
from lamol_core.records import PseudoSample, TaskFacts
from lamol_core.text.normalise import normalise
from lamol_core.text.tokenizer import PAD, TextCodec, reserved_tokens
from tests.fakes import CORPUS, splitting_tokenizer
from tests.generation.drawn import LIMITS, SHORT, draw, sampler
from tests.messages import names, naming


def test_a_text_that_was_drawn_already_is_drawn_again(
    writer: PreTrainedModel, codec: TextCodec
) -> None:
    plain = draw(writer, codec, (30,), text=SHORT, topk=4)
    unique = draw(writer, codec, (30,), text=SHORT, topk=4, unique=True, max_attempts=200)

    def kept(samples: list[PseudoSample]) -> list[tuple[str, str]]:
        return [(s.input.casefold().split(), s.target.casefold().split())  # type: ignore[misc]
                for s in samples if s.valid]  # fmt: skip

    assert len(set(map(str, kept(plain)))) < 30, "few tokens a step repeat themselves"
    assert len(kept(unique)) == len(set(map(str, kept(unique)))) == 30
    assert any(s.reject_reason == "duplicate" for s in unique)


def test_a_label_of_another_task_is_rejected(writer: PreTrainedModel, codec: TextCodec) -> None:
    plain = draw(writer, codec, (30,), text=SHORT, topk=4)
    common = Counter(normalise(s.target) for s in plain if s.valid).most_common(2)
    labels = frozenset(label for label, _ in common)
    asked: dict[str, Any] = {"text": SHORT, "topk": 4, "known_labels": True, "max_attempts": 200}
    held = draw(writer, codec, (30,), labels=labels, **asked)
    kept = [s for s in held if s.valid]
    assert len(kept) == 30 and {normalise(s.target) for s in kept} == labels
    assert {s.reject_reason for s in held if not s.valid} >= {"unknown_label"}
    free_text = draw(writer, codec, (30,), **asked)
    assert not any(s.reject_reason == "unknown_label" for s in free_text)


def test_a_row_counts_for_the_task_that_has_its_label(
    writer: PreTrainedModel, codec: TextCodec
) -> None:
    asked = sampler(writer, codec, SHORT, topk=4, known_labels=True, max_attempts=200)
    plain = sampler(writer, codec, SHORT, topk=4)
    gens = codec.control.gen_by_task
    common = Counter(
        normalise(s.target) for s in plain.draw([Request("x", gens[1], 60)]) if s.valid
    ).most_common(4)
    labels = [frozenset(label for label, _ in common[i::2]) for i in (0, 1)]
    requests = [Request(f"task{i}", gens[i], 25, labels[i]) for i in (0, 1)]
    samples = asked.draw(requests)
    for request in requests:
        mine = [s for s in samples if s.valid and s.source_task == request.source_task]
        assert len(mine) == 25
        assert {normalise(s.target) for s in mine} <= request.labels
    assert any(s.row_id.split("/")[2] != s.source_task for s in samples if s.valid)
    assert len({s.row_id for s in samples}) == len(samples)
    assert samples == asked.draw(requests)


def test_rows_are_carried_over_and_the_rest_is_drawn(
    tiny_checkpoint: Path, teacher: PreTrainedModel, codec: TextCodec
) -> None:
    before = draw(teacher, codec, (6, 6))
    wanted = {"task0": 4, "task1": 9, "task2": 3}
    carried = carried_rows(before, wanted, balance=False)
    assert Counter(s.source_task for s in carried) == {"task0": 4, "task1": 6}
    assert {s.row_id for s in carried} <= {s.row_id for s in before if s.valid}

    params = GenerateParams(max_attempts=50, unique=True)
    samples = draw_from_checkpoint(
        tiny_checkpoint, "abc", wanted, params, LIMITS, new_task="next", seed=0, carried=carried
    )
    kept = Counter(s.source_task for s in samples if s.valid)
    assert kept == wanted
    assert [s for s in samples if s.row_id.startswith("new/")] == carried
    texts = [(s.source_task, normalise(s.input), normalise(s.target)) for s in samples if s.valid]
    assert len({text for text in texts if text[0] != "task0"}) == 12, (
        "unique among carried rows too"
    )
    assert [s.source_task for s in samples] == sorted(s.source_task for s in samples)


def row(index: int, target: str, task: str = "a", valid: bool = True) -> PseudoSample:
    return PseudoSample(
        f"b/pseudo/{task}/{index:06d}.1", task, index, 1, "x", target, [1], [2], valid,
        "" if valid else "duplicate", 0.0, 0, "t",
    )  # fmt: skip


def test_carried_rows_are_balanced_over_labels() -> None:
    rows = [row(i, "common" if i < 8 else "rare") for i in range(10)]
    targets = [s.target for s in carried_rows(rows, {"a": 4}, balance=True)]
    assert targets == ["common", "common", "rare", "rare"]
    assert carried_rows(rows, {"a": 0, "other": 5}, balance=True) == []


def test_the_rows_that_hold_each_earlier_task_are_counted() -> None:
    """Valid ones, carried or drawn; of the classes those that were learnt."""
    rows = [*(row(i, "y") for i in range(3)), row(3, "y", valid=False), row(4, "free", task="b")]
    earlier = [
        TaskFacts("a", "accuracy", "classes", ("x", "y", "z"), {"train": 40}, 2),
        TaskFacts("b", "rouge_l", "text", (), {"train": 40}),
        TaskFacts("c", "rouge_l", "text", (), {"train": 40}),
    ]
    counts = count_rows(rows, earlier, num_carried=2, carry_over=False)
    assert counts["held"] == {
        "a": {"rows": 3, "classes": 2},
        "b": {"rows": 1, "classes": 0},
        "c": {"rows": 0, "classes": 0},
    }
    assert (counts["carried"], counts["valid"], counts["rejected"]) == (2, 2, 1)


@pytest.mark.slow
def test_a_sample_that_the_teacher_contradicts_is_rejected(
    writer: PreTrainedModel, codec: TextCodec
) -> None:
    samples = draw(
        writer, codec, (2,), topk=3, self_consistent=True, max_attempts=120, draws_per_row=8
    )
    assert sum(s.valid for s in samples) == 2
    reasons = Counter(s.reject_reason for s in samples)
    assert reasons["inconsistent"] > 0
    agreed = [s for s in samples if s.reject_reason in ("", "surplus")]
    contradicted = [s for s in samples if s.reject_reason == "inconsistent"]
    for sample in (*agreed, *contradicted[:100]):
        ids = torch.tensor([[*sample.input_ids, codec.control.ans]])
        answer: list[int] = []
        while codec.control.eos not in answer and len(answer) <= LIMITS.max_target_tokens:
            with torch.no_grad():
                logits = writer(input_ids=ids).logits[0, -1]
            logits[[codec.control.ans, *codec.control.never_in_text]] = float("-inf")
            answer.append(int(logits.argmax()))
            ids = torch.cat([ids, torch.tensor([[answer[-1]]])], dim=1)
        text = codec.decode([token for token in answer if token != codec.control.eos])
        agrees = normalise(text) == normalise(sample.target)
        assert agrees == (sample.reject_reason != "inconsistent")


def test_more_draws_than_rows_keep_the_likelier_ones(
    writer: PreTrainedModel, codec: TextCodec
) -> None:
    text = LIMITS.model_copy(update={"max_target_tokens": 1})
    samples = draw(writer, codec, (5, 3), text=text, topk=3, draws_per_row=4)
    valid = Counter(s.source_task for s in samples if s.valid)
    surplus = [s for s in samples if s.reject_reason == "surplus"]
    assert valid == {"task0": 5, "task1": 3} and len(surplus) == 3 * 8
    for task in valid:
        by_label: dict[str, list[PseudoSample]] = {}
        for s in samples:
            if s.source_task == task and (s.valid or s.reject_reason == "surplus"):
                by_label.setdefault(s.target.strip().casefold(), []).append(s)
        for rows in by_label.values():
            kept = [s.nll for s in rows if s.valid]
            assert not kept or max(kept) <= min([s.nll for s in rows if not s.valid], default=99)


def test_labels_that_are_carried_over_leave_room_for_others(
    writer: PreTrainedModel, codec: TextCodec
) -> None:
    plain = draw(writer, codec, (30,), text=SHORT, topk=4)
    common = Counter(normalise(s.target) for s in plain if s.valid).most_common(2)
    have, lack = (label for label, _ in common)
    asked = sampler(
        writer, codec, SHORT, topk=4, known_labels=True, balance_labels=True, max_attempts=200
    )
    gen = codec.control.gen_by_task[0]
    request = Request("task0", gen, 10, frozenset({have, lack}), Counter({have: 10}))
    samples = asked.draw([request])
    assert Counter(normalise(s.target) for s in samples if s.valid) == {lack: 10}


def test_labels_that_no_sample_can_have_are_told_before_anything_is_drawn(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A label that is longer than a sample's target is named and not waited for. Where all are,
    no draw is spent on them."""
    asked: list[Request] = []

    def never(sampler: PseudoSampler, requests: list[Request], *given: object) -> list[object]:
        asked.extend(requests)
        return []

    def draw_with(*labels: str, known_labels: bool = True) -> None:
        draw_from_checkpoint(
            tiny_checkpoint, "", {"a": 1}, GenerateParams(known_labels=known_labels), LIMITS,
            new_task="b", seed=0, labels_by_task={"a": labels},
        )  # fmt: skip

    monkeypatch.setattr(PseudoSampler, "draw", never)
    long = "book a hotel in Lisbon"
    draw_with("a", long)
    assert asked[-1].labels == {"a"}
    assert names(caplog.messages[-1], 1, 2, f"'{long}'", "text.max_target_tokens", 3)
    with pytest.raises(ConfigError, match=naming("text.max_target_tokens", 3, "'a'")):
        draw_with(long, f"{long}s")
    assert len(asked) == 1
    draw_with(long, f"{long}s", known_labels=False)
    assert len(asked) == 2, "then samples of any label count"


def test_labels_are_compared_in_the_form_in_which_the_teacher_writes_them() -> None:
    tokenizer = splitting_tokenizer([*CORPUS, "Card-Lost!"])
    tokenizer.add_tokens(reserved_tokens(1), special_tokens=True)
    tokenizer.pad_token = PAD
    codec, labels = TextCodec(tokenizer), ["Card-Lost!", "LIGHT", "☂", "☃"]
    writable = _writable("a", labels, codec, True, max_tokens=9)
    assert set(writable) == {"card - lost !", "light"}
    assert set(_writable("a", labels, codec, True, max_tokens=1)) == {"light"}
    request = Request("a", 5, 1, frozenset(writable))
    for target, valid in (("card - lost !", True), ("Light", True), ("card - lost", False)):
        one = PseudoSample("b/pseudo/a/0.1", "a", 0, 1, "x", target, [], [], True, "", 0.0, 0, "")
        assert assigned(one, [request]).valid == valid
