"""Pseudo-samples of an untrained teacher: counts, order, provenance, refill, same seed same row."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from lamol_core.artifacts.manifest import Provenance
from lamol_core.decoding.answers import answers_of, input_likelihoods
from lamol_core.decoding.completions import Completion
from lamol_core.decoding.decode import decode
from lamol_core.errors import GenerationError
from lamol_core.generation import drawing
from lamol_core.generation.drawing import draw_from_checkpoint
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.requests import Request
from lamol_core.models.checkpoints import load_model, save_checkpoint
from lamol_core.records import PseudoSample, TaskFacts
from lamol_core.text.chat_pieces import find_pieces
from lamol_core.text.params import TextParams
from lamol_core.text.template import TokenTemplate
from lamol_core.text.tokenizer import TextCodec
from tests.fakes import sharpen, tiny_llama
from tests.generation.drawn import LIMITS, draw, of_labels, sampler, texts
from tests.messages import names, naming
from tests.text.chat_families import chatml


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


def draw_turns(
    folder: Path,
    trained: dict[str, dict[int, int]],
    positions: int,
    counts: dict[str, int],
    **changes: Any,
) -> list[PseudoSample]:
    """Samples of tasks, of which a has rows of one and of six answers, by its facts."""
    tokenizer = chatml()
    model = sharpen(tiny_llama(vocab_size=len(tokenizer), max_position_embeddings=positions))
    pieces, made = find_pieces(tokenizer), Provenance()
    save_checkpoint(folder, model, made, tokenizer=tokenizer, pieces=pieces, turns=trained)
    facts = {"a": TaskFacts("a", "rouge_l", "text", (), {}, num_answers={1: 5, 6: 5})}
    text = TextParams(format="chat", max_input_tokens=6, max_target_tokens=3)
    params = GenerateParams.model_validate(changes)
    return draw_from_checkpoint(
        folder, "abc", counts, params, text, new_task="new", seed=0, facts_by_task=facts
    )


def num_answers(drawn: list[PseudoSample]) -> set[int]:
    return {len(one.history_ids) // 2 + 1 for one in drawn if one.source_task == "a"}


def test_samples_have_as_many_turns_as_the_rows_that_the_teacher_was_trained_on(
    tmp_path: Path,
) -> None:
    counts = {"a": 9}
    cut = draw_turns(tmp_path / "cut", {"a": {2: 5, 3: 5}}, 256, counts)
    assert num_answers(cut) == {2, 3}
    whole = draw_turns(tmp_path / "whole", {"other": {2: 5}}, 256, counts)
    assert num_answers(whole) == {1, 6}


def test_turns_are_as_many_as_fit_and_another_tasks_longer_prompt_is_no_matter(
    tmp_path: Path,
) -> None:
    counts = {"a": 9, "a_task_with_a_much_longer_name_than_the_other_one_has": 2}
    drawn = draw_turns(tmp_path, {}, 120, counts)
    assert 1 < max(num_answers(drawn)) < 6


def test_a_row_of_free_format_ends_at_the_most_tokens_of_its_own_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest: Counter[int] = Counter()  # by the number of ends that a row is to have

    def noting(*given: Any, **more: Any) -> list[Completion]:
        written = decode(*given, **more)
        for end, one in zip(given[4], written, strict=True):
            longest[end.times] = max(longest[end.times], len(one.ids))
        return written

    monkeypatch.setattr(drawing, "decode", noting)
    changes = {"format": "reject", "refill": False}
    draw_turns(tmp_path, {"a": {1: 5, 3: 5}}, 256, {"a": 40}, **changes)
    of_one, of_three = (most for _, most in sorted(longest.items()))
    assert 2 * of_one < of_three


def test_inputs_are_drawn_for_the_labels_that_their_prompts_name(
    codec: TextCodec, tiny_checkpoint: Path
) -> None:
    """Equal shares; free text keeps the published order."""
    labels = ["book_flight", "cancel"]
    params = GenerateParams(topk=300, max_attempts=50)
    text = TextParams(gen_order="target_first", max_input_tokens=6, max_target_tokens=3)
    counts = {"a": 8, "free": 3}
    samples = draw_from_checkpoint(
        tiny_checkpoint, "abc", counts, params, text,
        new_task="new", seed=0, facts_by_task={"a": of_labels("a", labels)},
    )  # fmt: skip
    of_a = [s for s in samples if s.source_task == "a" and s.valid]
    assert Counter(s.target for s in of_a) == dict.fromkeys(labels, 4)
    for sample in of_a:
        assert sample.target_ids == codec.encode([sample.target])[0]
        assert len(sample.input_ids) >= 1 and not set(sample.input_ids) & {codec.control.ans}
    tries = [s for s in samples if s.source_task == "a"]
    by_index = {s.gen_index: s.target for s in tries}
    assert all(s.target == by_index[s.gen_index] for s in tries), "a label is drawn for again"
    assert not {s.target for s in samples if s.source_task == "free"} & set(labels)
    freely = GenerateParams(topk=300, format="reject", refill=False)
    for sample in draw_from_checkpoint(
        tiny_checkpoint, "abc", {"a": 8}, freely, text,
        new_task="new", seed=0, facts_by_task={"a": of_labels("a", labels)},
    ):  # fmt: skip
        assert sample.valid or sample.reject_reason in ("no_eos", "many_ans", "control_token")
        assert sample.target in labels or sample.reject_reason == "many_ans"


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
        asked.draw([Request("task0", 5)], counts.append)
    assert 5 < sum(count for count in counts if count > 0) <= 15
    assert 0 <= sum(counts) < 5, "rejected draws are taken back"


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


def test_likelihoods_of_inputs_are_those_of_one_row_alone(
    teacher: PreTrainedModel, codec: TextCodec
) -> None:
    inputs = codec.encode(["the card", "is it open on sunday", "a"])
    prompt = codec.control.gen_by_task[0]
    found = input_likelihoods(teacher, [prompt], inputs, codec.control.pad)
    for ids, value in zip(inputs, found, strict=True):
        with torch.no_grad():
            logits = teacher(input_ids=torch.tensor([[prompt, *ids]])).logits[0].log_softmax(-1)
        alone = -sum(logits[t, token].item() for t, token in enumerate(ids))
        assert value == pytest.approx(alone, rel=1e-4)


def test_an_input_with_no_positions_left_for_an_answer_has_none(codec: TextCodec) -> None:
    torch.manual_seed(0)
    size = {"n_positions": 12, "n_embd": 16, "n_layer": 1, "n_head": 2}
    gpt2 = sharpen(GPT2LMHeadModel(GPT2Config(vocab_size=600, **size)).eval())
    longest, template = LIMITS.max_target_tokens, TokenTemplate(codec.control)
    fits = size["n_positions"] - 1 - longest
    prompts = [template.answer_prompt(ids) for ids in ([5] * fits, [5] * (fits + 1), [7])]
    long, too_long, short = answers_of(gpt2, template, prompts, longest, batch_size=256)
    assert long and short and too_long == []
    alone = answers_of(gpt2, template, prompts[2:], longest, batch_size=256)
    assert alone == [short], "its neighbours are as they were"


def test_without_refill_rejected_samples_are_missing(
    teacher: PreTrainedModel, codec: TextCodec
) -> None:
    samples = draw(teacher, codec, (30,), topk=300, refill=False)
    assert {s.attempt for s in samples} == {1} and len(samples) == 30
    assert 0 < sum(s.valid for s in samples) < 30
