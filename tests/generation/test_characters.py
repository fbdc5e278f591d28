"""Whole characters, compared with Python's own UTF-8 decoder."""

from __future__ import annotations

import codecs

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lamol_core.decoding.samplers import TopKSampler
from lamol_core.generation.automaton import FormatAutomaton
from lamol_core.generation.characters import (
    AFTER_F4,
    BROKEN,
    NUM_STATES,
    ONE,
    UNREACHABLE,
    WHOLE,
    CharacterSteps,
    steps_of_tokens,
    tokens_to_whole,
)
from lamol_core.generation.parsing import parse_sample
from lamol_core.text.params import TextParams
from lamol_core.text.template import ControlTokens, TokenTemplate
from tests.fakes import Decodes

CPU = torch.device("cpu")
BYTES = steps_of_tokens([bytes([byte]) for byte in range(256)])
MISSING = tokens_to_whole(BYTES)  # a token a byte


def python_accepts(text: bytes, final: bool) -> bool:
    """Whether these bytes are UTF-8, or with final=False can still become it."""
    if text[0] == 0xED and text[1] >= 0xA0:
        return False  # a surrogate: Python says so only when the third byte is there
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text, final=final)
    except UnicodeDecodeError:
        return False
    return True


def is_text(text: bytes) -> bool:
    return text.decode("utf-8", "replace").encode() == text


def state_after(text: bytes) -> int:
    state = WHOLE
    for byte in text:
        state = int(BYTES[state, byte])
    return state


LEADS = [0x00, 0x41, 0x7F, 0x80, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
         0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]  # fmt: skip


@pytest.mark.parametrize("lead", LEADS)
def test_every_second_and_third_byte_as_python_has_it(lead: int) -> None:
    for second in range(256):
        for text in (
            bytes([lead, second]),
            bytes([lead, second, 0x80]),
            bytes([lead, second, 0x7F]),
        ):
            state = state_after(text)
            assert (state != BROKEN) == python_accepts(text, final=False), text
            assert (state == WHOLE) == python_accepts(text, final=True), text


@given(st.text(min_size=1), st.data())
def test_what_is_missing_is_what_completes_the_character(text: str, data: st.DataObject) -> None:
    whole = text.encode("utf-8", "replace")
    cut = data.draw(st.integers(0, len(whole)))
    state = state_after(whole[:cut])
    rest = next(end for end in range(cut, len(whole) + 1) if is_text(whole[:end]))
    assert rest - cut == MISSING[state]


def test_a_token_is_its_bytes_one_after_the_other() -> None:
    table = steps_of_tokens([b"", "aé".encode(), "é".encode()[:1], "é".encode()[1:], None])
    assert table.shape == (NUM_STATES, 5)
    assert table[:, 0].tolist() == list(range(NUM_STATES))
    assert table[WHOLE, 1] == WHOLE and table[WHOLE, 2] == ONE
    assert table[WHOLE, 3] == BROKEN and table[table[WHOLE, 2], 3] == WHOLE
    assert set(table[:, 4]) == {BROKEN}


def test_a_vocabulary_without_the_bytes_that_would_end_a_character() -> None:
    steps = CharacterSteps.over(["é".encode()[:1], b"\xf4", b"\xa9", b"\xa0\xa1"], CPU)
    assert steps.missing[WHOLE].tolist() == [1] + [UNREACHABLE] * 3
    assert steps.missing[AFTER_F4].tolist() == [UNREACHABLE] * 4


CONTROL = ControlTokens(ans=256, eos=257, pad=258, gen=259, gen_by_task=(260,))
TEMPLATE = TokenTemplate(CONTROL)
VOCABULARY = [
    *(bytes([byte]) for byte in range(256)),
    b"<ans>", b"<eos>", b"<pad>", b"<gen>", b"<gen0>",
    "\N{GRINNING FACE}".encode()[:3], "x\N{EURO SIGN}".encode()[:-1], None, None,
]  # fmt: skip


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 5), st.sampled_from([1, 20, 300]))
@settings(max_examples=60, deadline=None)
def test_random_logits_over_bytes_give_whole_characters(seed: int, x: int, y: int, k: int) -> None:
    """Most tokens are half characters; limits as short as one token leave no room for them."""
    limits, rows = TextParams(max_input_tokens=x, max_target_tokens=y), 8
    characters = CharacterSteps.over(VOCABULARY, CPU)
    machine = FormatAutomaton([False] * rows, TEMPLATE, limits, characters)
    sampler = TopKSampler(range(seed, seed + rows), k, machine, limits.max_sample_tokens, CPU)
    generator = torch.Generator().manual_seed(seed)
    written: list[list[int]] = [[] for _ in range(rows)]
    live = list(range(rows))
    for step in range(limits.max_sample_tokens):
        logits = 3 * torch.randn(len(live), len(VOCABULARY), generator=generator)
        tokens = sampler.choose(logits, torch.tensor(live), torch.full((len(live),), step))
        for row, token in zip(live, tokens.tolist(), strict=True):
            written[row].append(token)
        live = [row for row in live if written[row][-1] != CONTROL.eos]
        if not live:
            break
    assert not live, "a row outlived the length limit"

    def spell(ids: tuple[int, ...]) -> str:
        texts = [VOCABULARY[token] for token in ids]
        assert None not in texts, "an id without text was drawn"
        return b"".join(text for text in texts if text is not None).decode("utf-8", "replace")

    for ids in written:
        parsed = parse_sample(ids, TEMPLATE, Decodes(spell))  # type: ignore[arg-type]
        assert parsed.reject_reason in ("", "empty_input", "empty_target")  # white space alone
