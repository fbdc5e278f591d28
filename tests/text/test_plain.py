"""Texts in the form in which a tokenizer gives them back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamol_core.text.plain import PlainCodec, written_forms
from lamol_core.text.tokenizer import TextCodec
from tests.fakes import CORPUS, splitting_tokenizer


@pytest.fixture(scope="module")
def splitting(tmp_path_factory: pytest.TempPathFactory) -> PlainCodec:
    folder = tmp_path_factory.mktemp("splitting")
    splitting_tokenizer([*CORPUS, "Card-Lost!"]).save_pretrained(folder)
    return PlainCodec(folder / "tokenizer.json")


@given(st.lists(st.text()))
def test_a_tokenizer_that_loses_nothing_leaves_every_text_as_it_is(
    codec: TextCodec, tiny_checkpoint: Path, texts: list[str]
) -> None:
    plain = PlainCodec(tiny_checkpoint / "tokenizer.json")
    assert plain.encode(texts) == codec.encode(texts)
    assert [plain.decode(ids) for ids in plain.encode(texts)] == texts
    forms = written_forms(texts, codec)
    assert all(text == form for text, form in forms.items())
    assert all(text in forms for text in texts if text.isalnum() and text.isascii())


def test_one_that_lower_cases_and_splits_gives_each_label_its_form(splitting: PlainCodec) -> None:
    labels = ["Card-Lost!", "light_on", "LIGHT"]
    forms = {"Card-Lost!": "card - lost !", "light_on": "light _ on", "LIGHT": "light"}
    assert written_forms(labels, splitting) == forms


def test_labels_that_become_the_same_or_nothing_have_no_form(splitting: PlainCodec) -> None:
    """The tokenizer has no sign for either of two, or drops what tells them apart."""
    assert written_forms(["☂☂", "☃☃", "light-on", "light - on", " "], splitting) == {}
    assert set(written_forms(["light", "Light", "light  "], splitting)) == {
        "light", "Light", "light  ",
    }, "the same label, however it is spelt"  # fmt: skip
