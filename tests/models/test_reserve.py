"""Reserved tokens: ids, first rows, and heads of their own."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from lamol_core.errors import ConfigError
from lamol_core.models.nano import build_nano
from lamol_core.models.reserve import end_with_turns, reserve_tokens
from lamol_core.text.template import ANS
from lamol_core.text.tokenizer import GEN, PAD, gen_token, reserved_tokens
from tests.fakes import CORPUS, tiny_backbone_params, tiny_llama
from tests.messages import naming

PARAMS = tiny_backbone_params()


def fresh(tied: bool) -> tuple[LlamaForCausalLM, PreTrainedTokenizerBase]:
    model, tokenizer = build_nano(PARAMS.nano, CORPUS)
    if not tied:
        model = tiny_llama(vocab_size=len(tokenizer), tie_word_embeddings=False)
    return model, tokenizer


def tables(model: LlamaForCausalLM) -> list[torch.Tensor]:
    return [model.get_input_embeddings().weight, model.get_output_embeddings().weight]


@pytest.mark.parametrize("tied", [True, False])
def test_first_rows(tied: bool) -> None:
    model, tokenizer = fresh(tied)
    before = [table.detach().clone() for table in tables(model)]
    reserve_tokens(model, tokenizer, PARAMS)
    if not tied:
        assert tables(model)[0].data_ptr() != tables(model)[1].data_ptr()
    ids = dict(
        zip(reserved_tokens(3), tokenizer.convert_tokens_to_ids(reserved_tokens(3)), strict=True)
    )
    for old, new in zip(before, tables(model), strict=True):
        torch.testing.assert_close(new[: len(old)], old, rtol=0, atol=0)
        for name, text in ((ANS, PARAMS.ans_text), (PAD, PARAMS.gen_text)):
            pieces = tokenizer(text, add_special_tokens=False)["input_ids"]
            torch.testing.assert_close(new[ids[name]], old[pieces].mean(dim=0))
        gens = [new[ids[name]] for name in (GEN, *(gen_token(i) for i in range(3)))]
        start = old[tokenizer(PARAMS.gen_text, add_special_tokens=False)["input_ids"]].mean(dim=0)
        for i, row in enumerate(gens):
            assert all(not torch.equal(row, other) for other in gens[i + 1 :])
            # noise of a tenth of the table's spread: near the common start, not at it
            assert 0 < (row - start).std() < 0.3 * old.std()


def test_embeddings_are_resized_once_and_every_id_has_a_row() -> None:
    model, tokenizer = fresh(tied=True)
    old = len(tokenizer)
    reserve_tokens(model, tokenizer, PARAMS)
    assert len(tokenizer) == old + 3 + PARAMS.max_tasks
    assert all(len(table) == len(tokenizer) for table in tables(model))
    assert model.config.vocab_size == len(tokenizer)
    new_ids = tokenizer.convert_tokens_to_ids(reserved_tokens(PARAMS.max_tasks))
    assert new_ids == list(range(old, len(tokenizer)))


def test_a_table_with_spare_rows_is_not_cut() -> None:
    _, tokenizer = fresh(tied=True)
    model = tiny_llama(vocab_size=len(tokenizer) + 50)
    reserve_tokens(model, tokenizer, PARAMS)
    assert len(tables(model)[0]) == model.config.vocab_size > len(tokenizer)


def test_config_and_tokenizer_agree_on_the_ends() -> None:
    model, tokenizer = fresh(tied=True)
    reserve_tokens(model, tokenizer, PARAMS)
    assert tokenizer.pad_token == PAD and model.config.pad_token_id == tokenizer.pad_token_id
    assert model.config.eos_token_id == tokenizer.eos_token_id != tokenizer.pad_token_id


@pytest.mark.parametrize("tied", [True, False])
def test_reserving_depends_on_no_random_state(tied: bool) -> None:
    made = []
    for seed in (1, 2):
        model, tokenizer = fresh(tied)
        torch.manual_seed(seed)
        reserve_tokens(model, tokenizer, PARAMS)
        made.append([table.detach().clone() for table in tables(model)])
    for first, second in zip(*made, strict=True):
        assert torch.equal(first, second)


def test_a_prepared_backbone_is_not_prepared_again() -> None:
    model, tokenizer = fresh(tied=True)
    reserve_tokens(model, tokenizer, PARAMS)
    with pytest.raises(ConfigError, match=naming("backbone", ANS)):
        reserve_tokens(model, tokenizer, PARAMS)


def test_a_tokenizer_without_end_and_a_text_without_tokens_are_refused() -> None:
    model, tokenizer = fresh(tied=True)
    for block in ("ans_text", "gen_text"):
        with pytest.raises(ConfigError, match=naming("backbone", "''")):
            reserve_tokens(model, tokenizer, PARAMS.model_copy(update={block: ""}))
    tokenizer.eos_token = None
    with pytest.raises(ConfigError, match=naming("backbone.path")):
        reserve_tokens(model, tokenizer, PARAMS)


@pytest.mark.parametrize(("known", "ends"), [(None, 5), (5, 5), (3, [3, 5]), ([5, 3], [5, 3])])
def test_the_end_of_a_turn_is_one_end_more(known: object, ends: object) -> None:
    model, _ = fresh(tied=True)
    model.generation_config.eos_token_id = known
    end_with_turns(model, 5)
    assert model.generation_config.eos_token_id == ends


@pytest.mark.parametrize("known", ["x", {}, [[1]], [2, "a"], -1, 1.5, True, 10**12])
def test_an_end_that_is_no_token_is_refused(known: object) -> None:
    model, _ = fresh(tied=True)
    model.generation_config.eos_token_id = known
    with pytest.raises(ConfigError, match=naming("generation_config.json", "eos_token_id")):
        end_with_turns(model, 5)
