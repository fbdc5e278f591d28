"""Greedy decoding is transformers' own, for every architecture, batch and prompt length."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from lamol_core.decoding import engine
from lamol_core.decoding.answers import likeliest
from lamol_core.decoding.completions import Completion, Writer, log_normaliser
from lamol_core.decoding.decode import BEGINNING, decode, runs_in_slots
from lamol_core.decoding.decode import PROMPTS as tried_with
from lamol_core.decoding.engine import SlotEngine
from lamol_core.decoding.slots import SlotCache, bytes_per_slot
from lamol_core.text.template import End
from tests.fakes import (
    ARCHITECTURES,
    CONTROL,
    FIRST_TEXT_ID,
    GROUPED_ARCHITECTURES,
    OTHER_ARCHITECTURES,
    VOCABULARY,
    sharpen,
)
from tests.messages import names

CPU = torch.device("cpu")
NEW_TOKENS = 12
FORBIDDEN = (CONTROL.ans, *CONTROL.never_in_text)


def make_prompts() -> list[tuple[int, ...]]:
    rng = random.Random(0)
    return [
        tuple(rng.randrange(FIRST_TEXT_ID, VOCABULARY) for _ in range(length))
        for length in (5, 1, 9, 3, 3, 7, 2, 11)
    ]


PROMPTS = make_prompts()


def greedy(model: PreTrainedModel, eos: int, batch_size: int, **kwargs) -> list[Completion]:  # type: ignore[no-untyped-def]
    choose, ends = likeliest(FORBIDDEN, CPU), [End(eos)] * len(PROMPTS)
    return decode(model, PROMPTS, choose, NEW_TOKENS, ends, CONTROL.pad, batch_size, **kwargs)


def generated(model: PreTrainedModel, eos: int) -> list[tuple[int, ...]]:
    """What `generate` writes after each prompt, one left-padded batch; cut after EOS."""
    longest = max(map(len, PROMPTS))
    ids = torch.tensor([[CONTROL.pad] * (longest - len(p)) + list(p) for p in PROMPTS])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in PROMPTS])
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        eos_token_id=eos,
        pad_token_id=CONTROL.pad,
        suppress_tokens=list(FORBIDDEN),
    )[:, longest:].tolist()
    return [tuple(row[: row.index(eos) + 1] if eos in row else row) for row in output]


def find_eos(model: PreTrainedModel) -> int:
    """An id that ends some rows early, at different steps, and others not: what must be tested."""
    free = greedy(model, VOCABULARY - 1, batch_size=8)

    def variety(eos: int) -> int:
        return len({c.ids.index(eos) if eos in c.ids else -1 for c in free})

    return max(range(FIRST_TEXT_ID, VOCABULARY - 1), key=variety)


def check_against_generate(model: PreTrainedModel) -> None:
    eos = find_eos(model)
    expected = generated(model, eos)
    assert len({len(row) for row in expected}) > 1, "rows should leave at different steps"
    for batch_size in (1, 3, 8):
        assert [c.ids for c in greedy(model, eos, batch_size)] == expected


@pytest.mark.parametrize("architecture", GROUPED_ARCHITECTURES)
def test_greedy_is_generate(architecture: str, caplog: pytest.LogCaptureFixture) -> None:
    model = sharpen(GROUPED_ARCHITECTURES[architecture]())
    check_against_generate(model)
    assert not caplog.messages, "these run in the engine"
    assert model.config._attn_implementation == "eager", "the attention is as it was"


@pytest.mark.parametrize("architecture", OTHER_ARCHITECTURES)
def test_other_models_fall_back_with_a_warning(
    architecture: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = sharpen(OTHER_ARCHITECTURES[architecture]())
    check_against_generate(model)
    assert any(names(message, type(model).__name__) for message in caplog.messages)


def test_the_fallback_ignores_what_a_hub_adds_to_generation() -> None:
    model = sharpen(OTHER_ARCHITECTURES["mistral"]())
    eos = find_eos(model)
    expected = generated(model, eos)
    model.generation_config.repetition_penalty = 5.0
    assert [c.ids for c in greedy(model, eos, batch_size=3)] == expected
    assert model.generation_config.repetition_penalty == 5.0


@pytest.mark.parametrize("architecture", GROUPED_ARCHITECTURES | OTHER_ARCHITECTURES)
def test_what_all_prompts_begin_with_is_read_once(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = sharpen((GROUPED_ARCHITECTURES | OTHER_ARCHITECTURES)[architecture](), 0, 0.2).eval()
    begin = (9, 8, 7, 9, 8, 7, 11, 12, 9, 8)
    shared = [begin + prompt for prompt in PROMPTS]
    alone = [c.ids for prompt in shared for c in answer(model, [prompt], batch_size=1)]
    read: list[int] = []
    original = SlotEngine._read_padded

    def counting(self: Any, prompts: Any, slots: Any, num_read: int) -> Any:
        read.append(sum(len(prompt) - num_read for prompt in prompts))
        return original(self, prompts, slots, num_read)

    monkeypatch.setattr(SlotEngine, "_read_padded", counting)
    assert [c.ids for c in answer(model, shared, batch_size=3)] == alone
    if runs_in_slots(model, CONTROL.pad):
        # one row's beginning, all rows' own tokens and one more each; the engine is tried before
        tried = 2 * (len(BEGINNING) + sum(map(len, tried_with)))
        assert sum(read) <= len(begin) + sum(len(prompt) + 1 for prompt in PROMPTS) + tried
        assert sum(read) < sum(map(len, shared)), "each row would have read it"


def test_a_model_that_cannot_share_a_beginning_does_not_run_in_slots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = sharpen(GROUPED_ARCHITECTURES["grouped_llama"](), 0, 0.2).eval()
    assert runs_in_slots(model, CONTROL.pad, BEGINNING)
    monkeypatch.setattr(SlotCache, "share", lambda self, width: None)
    assert not runs_in_slots(model, CONTROL.pad, BEGINNING) and runs_in_slots(model, CONTROL.pad)


def answer(model: PreTrainedModel, prompts: Sequence[Any], batch_size: int) -> list[Completion]:
    ends, choose = [End(CONTROL.eos)] * len(prompts), likeliest(FORBIDDEN, CPU)
    return decode(model, prompts, choose, NEW_TOKENS, ends, CONTROL.pad, batch_size)


def scripted(lengths: list[int]) -> Writer:
    """Ends row i after `lengths[i]` tokens."""
    last = torch.tensor(lengths) - 1

    def choose(logits: torch.Tensor, rows: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        return torch.where(length == last[rows], CONTROL.eos, FIRST_TEXT_ID)

    return Writer(choose, [End(CONTROL.eos)] * len(lengths), max(lengths), CPU)


def test_a_row_that_ends_makes_room_at_once() -> None:
    """One long row and many short ones in two slots: the short ones take turns in the other."""
    model, lengths = ARCHITECTURES["llama"](), [12, *[1] * 6, *[3] * 2]
    sizes: list[int] = []
    model.register_forward_hook(
        lambda module, args, kwargs, output: sizes.append(len(kwargs["input_ids"])),
        with_kwargs=True,
    )
    writer = scripted(lengths)
    prompts = [(FIRST_TEXT_ID,)] * len(lengths)
    SlotEngine(model, prompts, writer, 2, CONTROL.pad).run(lambda count: None)
    assert sizes == [2] * 12
    assert [len(c.ids) for c in writer.completions()] == lengths


def test_each_row_ends_at_its_own_most_tokens() -> None:
    ends = [End(CONTROL.eos, most=2), End(CONTROL.eos), End(CONTROL.eos, most=99)]
    model, choose = ARCHITECTURES["llama"](), likeliest([CONTROL.eos], CPU)
    for batch_size in (1, 3):
        written = decode(model, [(6,), (7,), (8, 9)], choose, 5, ends, CONTROL.pad, batch_size)
        assert [len(one.ids) for one in written] == [2, 5, 5]


def sizes_of_reads(lengths: list[int], answers: list[int], num_slots: int) -> list[tuple[int, int]]:
    """(rows, width) of each forward that reads prompts of these lengths."""
    model, sizes = ARCHITECTURES["llama"](), []

    def note(module, args, kwargs, output) -> None:  # type: ignore[no-untyped-def]
        rows, width = kwargs["input_ids"].shape
        if kwargs.get("past_key_values") is not None and width > 1:
            sizes.append((rows, width))

    model.base_model.register_forward_hook(note, with_kwargs=True)
    writer = scripted(answers)
    prompts = [(FIRST_TEXT_ID,) * length for length in lengths]
    SlotEngine(model, prompts, writer, num_slots, CONTROL.pad).run(lambda count: None)
    assert [len(c.ids) for c in writer.completions()] == answers
    return sizes


def test_one_long_prompt_does_not_make_the_short_ones_be_read_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "READ_AT_ONCE", 24)
    assert sizes_of_reads([2, 4, 4, 4, 4, 20], [1] * 6, 6) == [(5, 4), (1, 20)]


def test_longer_prompts_are_read_when_a_quarter_of_the_slots_is_free() -> None:
    """Eight slots: rows end after 1, 2, 3 and 4 tokens, and two newcomers come at a time."""
    lengths = [2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4]
    answers = [1, 2, 3, 4, 8, 8, 8, 8, 8, 8, 8, 8]
    assert sizes_of_reads(lengths, answers, 8) == [(8, 3), (2, 4), (2, 4)]


def test_a_model_with_a_window_is_not_decoded_in_slots() -> None:
    """Two short rows would not show the window: the configuration does, on every device."""
    model = ARCHITECTURES["llama"]()
    assert runs_in_slots(model, CONTROL.pad)
    for name, value in (("sliding_window", 256), ("layer_types", ["full_attention", "chunked"])):
        model = ARCHITECTURES["llama"]()
        setattr(model.config, name, value)
        assert not runs_in_slots(model, CONTROL.pad)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nll_is_the_mean_over_the_written_tokens(architecture: str) -> None:
    model = sharpen(ARCHITECTURES[architecture]())
    completions = greedy(model, find_eos(model), 3, wants_nll=True)
    for prompt, completion in zip(PROMPTS, completions, strict=True):
        ids = torch.tensor([[*prompt, *completion.ids]])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0].log_softmax(dim=-1)
        positions = range(len(prompt) - 1, ids.shape[1] - 1)
        written = [-logits[t, ids[0, t + 1]].item() for t in positions]
        assert completion.nll == pytest.approx(sum(written) / len(written), rel=1e-4)


def test_length_limit_and_forbidden_tokens() -> None:
    model = sharpen(ARCHITECTURES["llama"]())
    completions = greedy(model, CONTROL.eos, batch_size=4)
    assert max(len(c.ids) for c in completions) == NEW_TOKENS
    assert not {token for c in completions for token in c.ids} & set(FORBIDDEN)


def test_a_bounded_cache_has_fewer_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    model = sharpen(GROUPED_ARCHITECTURES["grouped_llama"]())
    eos = find_eos(model)
    capacity = max(map(len, PROMPTS)) - 1 + NEW_TOKENS
    # 2 layers of keys and values, one head of width 8, fp32
    assert bytes_per_slot(model, capacity) == capacity * 2 * 2 * 8 * 4
    monkeypatch.setattr(engine, "CACHE_BYTES", 3 * bytes_per_slot(model, capacity))
    sizes: list[int] = []
    model.register_forward_hook(
        lambda module, args, kwargs, output: sizes.append(len(kwargs["input_ids"])),
        with_kwargs=True,
    )
    expected = generated(model, eos)
    sizes.clear()
    assert [c.ids for c in greedy(model, eos, batch_size=8)] == expected
    assert max(sizes) == 3


def test_every_finished_row_is_counted_once() -> None:
    counts: list[int] = []
    model = sharpen(ARCHITECTURES["llama"]())
    greedy(model, find_eos(model), 3, on_rows_done=counts.append)
    assert sum(counts) == len(PROMPTS) and min(counts) > 0


def test_no_prompts_no_completions() -> None:
    model = ARCHITECTURES["llama"]()
    assert decode(model, [], likeliest((2,), CPU), 3, [], CONTROL.pad, batch_size=4) == []


def test_likelihoods_of_low_precision_logits_are_summed_in_fp32() -> None:
    logits = torch.randn(4, 5000, generator=torch.Generator().manual_seed(0)).bfloat16()
    torch.testing.assert_close(
        log_normaliser(logits), logits.float().logsumexp(dim=-1), rtol=1e-4, atol=0.0
    )
