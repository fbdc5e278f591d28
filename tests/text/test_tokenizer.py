"""Text goes in as text whatever it spells, and comes out the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from lamol_core.errors import ArtifactError
from lamol_core.text.tokenizer import (
    ANS,
    GEN,
    PAD,
    TextCodec,
    _byte_reader,
    control_tokens,
    gen_token,
    reserved_tokens,
)
from tests.fakes import CORPUS, tiny_backbone_params

SPELT = [ANS, PAD, GEN, gen_token(0), gen_token(2), "<|endoftext|>"]


def control_ids(codec: TextCodec) -> set[int]:
    return {codec.control.ans, codec.control.eos, *codec.control.never_in_text}


def round_trip(codec: TextCodec, text: str) -> str:
    (ids,) = codec.encode([text])
    assert not control_ids(codec).intersection(ids)
    return codec.decode(ids)


@pytest.mark.parametrize("spelt", SPELT)
@pytest.mark.parametrize("form", ["{}", "a{}b", "light {} off", "{}{}", " {} "])
def test_a_text_that_spells_a_control_token_stays_text(
    codec: TextCodec, spelt: str, form: str
) -> None:
    text = form.format(spelt, spelt)
    assert round_trip(codec, text) == text


@pytest.mark.parametrize(
    "text",
    [
        "turn the light on",
        "👩‍👩‍👧‍👦 👋🏽",
        "é ỹ ḍ̇ x̂̊",
        "née",
        "日本語 العربية हिन्दी",
        "  two  spaces \n\t and lines \r\n",
        "don't , you ' re . n't !",
        "\x00\x1f\u200b\ufeff",
        "",
    ],
)
def test_round_trip(codec: TextCodec, text: str) -> None:
    assert round_trip(codec, text) == text


@given(st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_text_comes_back(codec: TextCodec, text: str) -> None:
    assert round_trip(codec, text) == text


def test_a_lone_surrogate_becomes_a_question_mark(codec: TextCodec) -> None:
    assert round_trip(codec, "a\ud83db") == "a?b"


def test_a_batch_is_its_rows(codec: TextCodec) -> None:
    texts = ["one", "", "a longer row of text", ANS]
    assert codec.encode(texts) == [codec.encode([text])[0] for text in texts]
    assert codec.encode([]) == []


def test_control_ids_decode_to_their_names(codec: TextCodec) -> None:
    names = [codec.decode([codec.control.ans]), codec.decode([codec.control.gen_by_task[1]])]
    assert names == [ANS, gen_token(1)]


def test_reserved_ids_are_distinct_and_counted(codec: TextCodec) -> None:
    control = codec.control
    ids = [control.ans, control.eos, control.pad, control.gen, *control.gen_by_task]
    assert len(control.gen_by_task) == 3 and len(set(ids)) == len(ids)
    assert len(set(reserved_tokens(40))) == 43


def test_a_tokenizer_that_was_not_prepared_is_refused() -> None:
    from lamol_core.models.nano import build_nano

    _, tokenizer = build_nano(tiny_backbone_params().nano, CORPUS)
    with pytest.raises(ArtifactError, match="lamol backbone"):
        control_tokens(tokenizer)


@given(st.text(min_size=1))
def test_the_bytes_of_tokens_are_the_text(codec: TextCodec, text: str) -> None:
    spelt = codec.token_bytes(400)
    (ids,) = codec.encode([text])
    assert b"".join(spelt[token] or b"" for token in ids) == text.encode()


def test_ids_beyond_the_tokenizer_have_no_bytes(codec: TextCodec) -> None:
    assert codec.token_bytes(codec.control.ans + 5000)[-1] is None
    assert codec.token_bytes(2) == codec.token_bytes(400)[:2]


def test_the_bytes_of_a_vocabulary_with_byte_fallback() -> None:
    backend = Tokenizer(models.BPE({"<unk>": 0}, [], unk_token="<unk>", byte_fallback=True))
    backend.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback()])
    to_bytes = _byte_reader(PreTrainedTokenizerFast(tokenizer_object=backend))
    assert [to_bytes(token) for token in ("<0xC3>", "<0xA9>", "é", "<0xC3")] == [
        b"\xc3", b"\xa9", "é".encode(), b"<0xC3",
    ]  # fmt: skip
