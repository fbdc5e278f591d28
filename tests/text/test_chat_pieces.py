"""What is found in a chat template, and which templates are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerBase

from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.text.chat import ChatCodec
from lamol_core.text.chat_pieces import DATE, PIECES, ChatPieces, end_thinking, find_pieces
from lamol_core.text.template import TaskPrompts
from tests.messages import naming
from tests.text.chat_families import QWEN3, chatml, mistral
from tests.text.test_chat import CODECS, ROLES, TOKENIZERS, each_family, up_to


def test_a_template_that_has_the_system_message_later_refuses_it_with_turns() -> None:
    """As Mistral v0.3: the system message stands in the last user's turn of a prompt alone."""
    pieces = find_pieces(mistral())
    assert pieces.between is not None and not pieces.system_first
    prompts = TaskPrompts(["home", "music"], systems={"home": "Be brief.", "music": ""})
    template = ChatCodec(mistral(), pieces).template(prompts)
    template.row("r", "new", "music", [30], [31], [([32], [33])])
    template.row("r", "new", "home", [30], [31])
    with pytest.raises(ConfigError, match=naming("chat template")):
        template.row("r", "new", "home", [30], [31], [([32], [33])])


def test_a_system_message_in_the_first_user_s_turn_goes_with_several_turns() -> None:
    first = mistral()
    first.chat_template = str(first.chat_template).replace("loop.last", "loop.first")
    assert find_pieces(first) == replace(find_pieces(mistral()), system_first=True)


@pytest.mark.parametrize(
    ("first", "later", "is_greedy", "is_refused"),
    [
        ("[INST] ", "<s> ", False, False),
        ("[INST] ", "[INST]", False, True),
        ("[INST]", "<s>", False, False),
        ("[INST]", "<s>", True, True),
    ],
)
def test_turns_are_refused_where_a_user_s_text_has_other_tokens_later(
    first: str, later: str, is_greedy: bool, is_refused: bool
) -> None:
    """`is_greedy`: whether <s> takes the white space after it."""
    tokenizer = mistral()
    bos = AddedToken("<s>", special=True, rstrip=is_greedy)
    tokenizer.backend_tokenizer.add_special_tokens([bos])
    written = f"('{first}' if loop.first else '{later}')"
    tokenizer.chat_template = str(tokenizer.chat_template).replace("'[INST] '", written)
    pieces = find_pieces(tokenizer)
    assert pieces.between == f"</s>{later}"
    template = ChatCodec(tokenizer, pieces).template()
    refused = pytest.raises(ConfigError, match=naming("chat template"))
    with refused if is_refused else nullcontext():
        template.answer_prompt([30], history=[([32], [33])])


def test_broken_pieces_say_how_to_make_them_anew(tmp_path: Path) -> None:
    find_pieces(chatml()).write(tmp_path)
    kept = json.loads((tmp_path / PIECES).read_text())
    del kept["system_first"]
    (tmp_path / PIECES).write_text(json.dumps(kept))
    with pytest.raises(ArtifactError, match=naming("lamol backbone")):
        ChatPieces.read(tmp_path)


TRIMS = {"llama3": {*ROLES, "system"}, "gemma": {*ROLES, "system"}, "mistral": {"assistant"}}


@each_family
def test_white_space_stays_or_is_cut_as_in_the_template(family: str) -> None:
    codec, spaced = CODECS[family], "\n lamp off "
    trims = TRIMS.get(family.partition("_")[0], set())
    assert {*find_pieces(TOKENIZERS[family]).trims} == trims
    (x,), (y,) = codec.encode_inputs([spaced]), codec.encode_targets([spaced])
    assert codec.decode_input(x) == (spaced.strip() if "user" in trims else spaced)
    assert codec.decode_target(y) == (spaced.strip() if "assistant" in trims else spaced)


@pytest.mark.parametrize("cut", ["lstrip()", "rstrip()", "lstrip('\n')", "rstrip('\n')"])
def test_white_space_that_is_cut_at_one_end_counts_as_cut(cut: str) -> None:
    tokenizer = with_template(
        lambda text: text.replace("message['content']", f"message['content'].{cut}")
    )
    assert {*find_pieces(tokenizer).trims} == {*ROLES, "system"}
    own = mistral()  # writes a space of its own before an answer
    own.chat_template = str(own.chat_template).replace("['content'] | trim", f"['content'].{cut}")
    assert find_pieces(own).trims == ("assistant",)


@pytest.mark.parametrize("space", [" ", "\n", "\n\n ", " \n"])
def test_a_row_has_the_ids_of_a_template_that_cuts_line_ends_alone(space: str) -> None:
    """As that of Qwen 3 does, before the last answer."""
    tokenizer = chatml(QWEN3)
    end_thinking(tokenizer)
    pieces = find_pieces(tokenizer)
    assert pieces.turns_problem(with_system=False), "it writes no thoughts before earlier answers"
    codec = ChatCodec(tokenizer, pieces)
    texts = [f"{space}{text}{space}" for text in ("lamp off", "music on")]
    (x,), (y,) = codec.encode_inputs(texts[:1]), codec.encode_targets(texts[1:])
    stored = [codec.decode_input(x), codec.decode_target(y)]
    assert stored == [texts[0], "music on"]
    chat = [{"role": role, "content": text} for role, text in zip(ROLES, stored, strict=True)]
    template = codec.template()
    (qa,) = template.row("r", "new", "home", x, y).views(("qa",))
    row = list(tokenizer.apply_chat_template(chat)["input_ids"])
    assert list(qa.ids) == up_to(row, template.end)
    prompt = tokenizer.apply_chat_template(chat[:1], add_generation_prompt=True)["input_ids"]
    assert list(template.answer_prompt(x)) == list(prompt)


def test_pieces_are_kept_beside_the_weights(tmp_path: Path) -> None:
    assert ChatPieces.read(tmp_path) is None
    for family, tokenizer in TOKENIZERS.items():
        pieces = find_pieces(tokenizer)
        pieces.write(tmp_path)
        assert ChatPieces.read(tmp_path) == pieces
        assert pieces.turns_problem(with_system=False) == ""
        assert (pieces.turns_problem(with_system=True) == "") != family.startswith("mistral")


def test_the_day_is_the_same_in_every_run() -> None:
    before = find_pieces(TOKENIZERS["llama3"]).before
    assert DATE in before


def with_template(change: Callable[[str], str]) -> PreTrainedTokenizerBase:
    tokenizer = chatml()
    assert isinstance(tokenizer.chat_template, str)
    tokenizer.chat_template = change(tokenizer.chat_template)
    return tokenizer


PLAIN_ENDS = "{%- for m in messages -%}{{ m['role'] + ': ' + m['content'] + '\n' }}{%- endfor -%}"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "{% for message in messages %}",
        lambda text: text.replace("message['content']", "'hello'"),
        lambda text: text.replace("message['content']", "message['content'] * 2"),
        lambda text: text.replace("in messages", "in messages | reverse"),
        lambda text: text.replace("'<|im_start|>assistant\n'", "'<|im_start|>bot\n'"),
        lambda text: PLAIN_ENDS + "{% if add_generation_prompt %}assistant: {% endif %}",
    ],
    ids=["none", "broken", "drops", "repeats", "reorders", "other_prompt", "plain_ends"],
)
def test_templates_that_rows_cannot_be_read_from_are_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(ConfigError, match=naming("text.format", "tokens", "backbone.path")):
        find_pieces(with_template(change))


@pytest.mark.parametrize("role", ROLES)
def test_the_turn_that_does_not_end_with_a_special_token_is_named(role: str) -> None:
    content = "message['content'] + "
    ended = f"{content}('. ' if message['role'] == '{role}' else '') + "
    tokenizer = with_template(lambda text: text.replace(content, ended))
    with pytest.raises(ConfigError, match=naming(f"{role}'s", "'. '")):
        find_pieces(tokenizer)


@pytest.mark.parametrize("index", [1, 7, 15])
def test_a_template_that_renders_some_answers_otherwise_has_no_piece_between(index: int) -> None:
    other = "('' if loop.last else 'then ')"
    pieces = find_pieces(
        with_template(
            lambda text: text.replace(
                "message['content']",
                f"({other} if loop.index0 == {index} else '') + message['content']",
            )
        )
    )
    assert pieces.between is None and pieces.header == find_pieces(chatml()).header
    template = ChatCodec(chatml(), pieces).template()
    with pytest.raises(ConfigError, match=naming("chat template")):
        template.answer_prompt([30], history=[([32], [33])])
