"""Pseudo-samples of an untrained teacher: counts, order, provenance, refill, same seed same row."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from lamol_core.decoding.answers import answers_of, input_likelihoods
from lamol_core.errors import GenerationError
from lamol_core.generation.carry_over import carried_rows
from lamol_core.generation.drawing import PseudoSampler, draw_from_checkpoint
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.requests import Request
from lamol_core.models.checkpoints import load_model
from lamol_core.records import PseudoSample
from lamol_core.text.normalise import normalise
from lamol_core.text.params import TextParams
from lamol_core.text.tokenizer import TextCodec
from tests.fakes import sharpen
from tests.messages import names, naming

LIMITS = TextParams(max_input_tokens=6, max_target_tokens=3)
SHORT = TextParams(max_input_tokens=2, max_target_tokens=1)


@pytest.fixture(scope="module")
def teacher(tiny_checkpoint: Path) -> PreTrainedModel:
    """Untrained, and given to white space: at times nothing else stands in a target."""
    model = sharpen(load_model(tiny_checkpoint, torch.device("cpu")))
    codec = TextCodec.load(tiny_checkpoint)
    table = model.get_input_embeddings().weight
    blank = [i for i in range(len(table)) if codec.decode([i]).isspace()]
    with torch.no_grad():
        table[blank] *= 3
    return model


def draw(
    teacher: PreTrainedModel,
    codec: TextCodec,
    counts: tuple[int, ...] = (9,),
    seed: int = 0,
    labels: frozenset[str] = frozenset(),
    text: TextParams = LIMITS,
    **changes: Any,
) -> list[PseudoSample]:
    requests = [
        Request(f"task{i}", codec.control.gen_by_task[i], count, labels)
        for i, count in enumerate(counts)
    ]
    return sampler(teacher, codec, text, seed, **changes).draw(requests)


def sampler(
    teacher: PreTrainedModel,
    codec: TextCodec,
    text: TextParams = LIMITS,
    seed: int = 0,
    **changes: Any,
) -> PseudoSampler:
    params = GenerateParams.model_validate({"max_attempts": 50, **changes})
    return PseudoSampler(
        teacher, codec, params, text, new_task="new", seed=seed, teacher_sha256="abc"
    )


def texts(samples: list[PseudoSample]) -> list[tuple]:
    return [(s.row_id, s.input_ids, s.target_ids, s.reject_reason) for s in samples]


def test_the_same_row_whatever_the_batch(teacher: PreTrainedModel, codec: TextCodec) -> None:
    one, three, many = (draw(teacher, codec, topk=300, batch_size=b) for b in (1, 3, 64))
    assert texts(one) == texts(three) == texts(many)
    assert [s.seed for s in one] == [s.seed for s in many]
    assert any(s.attempt > 1 for s in one), "rows that are drawn again are to be compared too"


def test_the_same_row_whatever_the_number_asked_for(
    teacher: PreTrainedModel, codec: TextCodec
) -> None:
    few, many = draw(teacher, codec, (4,)), draw(teacher, codec, (9,))
    assert texts(few) == [row for row in texts(many) if int(row[0].split("/")[-1][:6]) < 4]


def test_another_seed_gives_other_rows(teacher: PreTrainedModel, codec: TextCodec) -> None:
    first, second = draw(teacher, codec), draw(teacher, codec, seed=1)
    assert not {s.seed for s in first} & {s.seed for s in second}
    assert [s.input_ids for s in first] != [s.input_ids for s in second]


def test_counts_are_met_and_rejected_rows_stay(teacher: PreTrainedModel, codec: TextCodec) -> None:
    samples = draw(teacher, codec, (20, 7), topk=300)
    valid = Counter(s.source_task for s in samples if s.valid)
    assert valid == {"task0": 20, "task1": 7}
    rejected = [s for s in samples if not s.valid]
    assert rejected and {s.reject_reason for s in rejected} <= {"empty_input", "empty_target"}
    assert all(s.reject_reason == "" for s in samples if s.valid)
    for task, count in (("task0", 20), ("task1", 7)):
        for index in range(count):
            tries = [s for s in samples if (s.source_task, s.gen_index) == (task, index)]
            assert [s.attempt for s in tries] == list(range(1, len(tries) + 1))
            assert [s.valid for s in tries] == [False] * (len(tries) - 1) + [True]


def test_order_and_provenance(teacher: PreTrainedModel, codec: TextCodec) -> None:
    samples = draw(teacher, codec, (5, 4), topk=300)
    keys = [(s.source_task, s.gen_index, s.attempt) for s in samples]
    assert keys == sorted(keys)
    assert len({s.row_id for s in samples}) == len({s.seed for s in samples}) == len(samples)
    for s in samples:
        assert s.row_id == f"new/pseudo/{s.source_task}/{s.gen_index:06d}.{s.attempt}"
        assert (s.teacher_sha256, s.label_idx_cil) == ("abc", -1)
        assert s.nll > 0 and 0 <= s.seed < 2**63
        assert 1 <= len(s.input_ids) <= 6 and 1 <= len(s.target_ids) <= 3
        assert codec.decode(s.input_ids) == s.input and codec.decode(s.target_ids) == s.target


def test_too_few_is_an_error_that_shows_the_reasons(
    teacher: PreTrainedModel, codec: TextCodec
) -> None:
    with pytest.raises(GenerationError) as caught:
        draw(teacher, codec, (8,), format="reject", max_attempts=2)
    assert names(caught.value, "task0", "new", 8, "generate.max_attempts", 2)
    # with 11 tokens at the most, nearly every draw of an untrained model has no EOS among 300 words
    assert names(caught.value, "no_eos", "generate.format: constrain")
    assert caught.value.exit_code == 5


def test_attempts_are_bounded(teacher: PreTrainedModel, codec: TextCodec) -> None:
    counts: list[int] = []
    asked = sampler(teacher, codec, format="reject", max_attempts=3)
    with pytest.raises(GenerationError, match=naming("task0", "generate.max_attempts", 3)):
        asked.draw([Request("task0", codec.control.gen, 5)], counts.append)
    assert 5 < sum(counts) <= 15


def test_the_prompt_is_the_tasks_token(tiny_checkpoint: Path, codec: TextCodec) -> None:
    def drawn(specific: bool, counts: dict[str, int]) -> list[PseudoSample]:
        return draw_from_checkpoint(
            tiny_checkpoint,
            "abc",
            counts,
            GenerateParams(max_attempts=50),
            LIMITS.model_copy(update={"use_task_specific_gen_token": specific}),
            new_task="new",
            seed=0,
        )

    model = load_model(tiny_checkpoint, torch.device("cpu"))

    def nll(sample: PseudoSample, gen: int) -> float:
        """Of the whole sequence after this prompt, EOS as it stands; ANS where it was put."""
        control = codec.control
        ids = [gen, *sample.input_ids, control.ans, *sample.target_ids, control.eos]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(dim=-1)
        written = [-logits[t, ids[t + 1]].item() for t in range(len(ids) - 1)]
        return sum(written) / len(written)

    counts = {"a": 2, "b": 0, "c": 2}
    for specific in (True, False):
        for sample in drawn(specific, counts):
            index = list(counts).index(sample.source_task)
            gen = codec.control.gen_for(index, specific)
            others = {codec.control.gen, *codec.control.gen_by_task} - {gen}
            assert sample.nll == pytest.approx(nll(sample, gen), rel=1e-4)
            assert all(abs(sample.nll - nll(sample, other)) > 1e-7 for other in others)


@pytest.fixture(scope="module")
def writer(teacher: PreTrainedModel, codec: TextCodec) -> PreTrainedModel:
    """The same without its white space, and given to end: nearly all it writes is well formed."""
    model = copy.deepcopy(teacher)
    table = model.get_input_embeddings().weight
    blank = [i for i in range(len(table)) if codec.decode([i]).isspace()]
    with torch.no_grad():
        table[blank] = 0.0
        table[codec.control.eos] *= 4
    return model


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


def test_likelihoods_of_inputs_are_those_of_one_row_alone(
    teacher: PreTrainedModel, codec: TextCodec
) -> None:
    inputs = codec.encode(["the card", "is it open on sunday", "a"])
    prompt = codec.control.gen_by_task[0]
    found = input_likelihoods(teacher, prompt, inputs, codec.control.pad)
    for ids, value in zip(inputs, found, strict=True):
        with torch.no_grad():
            logits = teacher(input_ids=torch.tensor([[prompt, *ids]])).logits[0].log_softmax(-1)
        alone = -sum(logits[t, token].item() for t, token in enumerate(ids))
        assert value == pytest.approx(alone, rel=1e-4)


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


def test_carried_rows_are_balanced_over_labels() -> None:
    def row(index: int, target: str) -> PseudoSample:
        return PseudoSample(
            f"b/pseudo/a/{index:06d}.1", "a", index, 1, "x", target, [1], [2], True, "", 0.0, 0, "t"
        )

    rows = [row(i, "common" if i < 8 else "rare") for i in range(10)]
    targets = [s.target for s in carried_rows(rows, {"a": 4}, balance=True)]
    assert targets == ["common", "common", "rare", "rare"]
    assert carried_rows(rows, {"a": 0, "other": 5}, balance=True) == []


def test_an_input_with_no_positions_left_for_an_answer_has_none(codec: TextCodec) -> None:
    torch.manual_seed(0)
    size = {"n_positions": 12, "n_embd": 16, "n_layer": 1, "n_head": 2}
    gpt2 = sharpen(GPT2LMHeadModel(GPT2Config(vocab_size=600, **size)).eval())
    longest = LIMITS.max_target_tokens
    fits = size["n_positions"] - 1 - longest
    inputs = [[5] * fits, [5] * (fits + 1), [7]]
    long, too_long, short = answers_of(gpt2, codec, inputs, longest, batch_size=256)
    assert long and short and too_long == []
    alone = answers_of(gpt2, codec, [[7]], longest, batch_size=256)
    assert alone == [short], "its neighbours are as they were"


def test_a_sample_that_the_teacher_contradicts_is_rejected(
    writer: PreTrainedModel, codec: TextCodec
) -> None:
    samples = draw(
        writer, codec, (2,), topk=3, self_consistent=True, max_attempts=120, draws_per_row=8
    )
    assert sum(s.valid for s in samples) == 2
    reasons = Counter(s.reject_reason for s in samples)
    assert reasons["inconsistent"] > 0
    for sample in samples:
        if sample.reject_reason not in ("", "inconsistent", "surplus"):
            continue
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


def test_without_refill_rejected_samples_are_missing(
    teacher: PreTrainedModel, codec: TextCodec
) -> None:
    samples = draw(teacher, codec, (30,), topk=300, refill=False)
    assert {s.attempt for s in samples} == {1} and len(samples) == 30
    assert 0 < sum(s.valid for s in samples) < 30
