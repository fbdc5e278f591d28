"""Rows in the chat templates of four families."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerBase

from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.records import to_history
from lamol_core.text.chat import ChatCodec
from lamol_core.text.chat_pieces import DATE, PIECES, ChatPieces, find_pieces, with_fixed_date
from lamol_core.text.encoded import IGNORED, EncodedView
from lamol_core.text.template import Supervise, TaskPrompts
from tests.messages import naming
from tests.text.chat_families import FAMILIES, chatml, mistral

TOKENIZERS = {name: make() for name, make in FAMILIES.items()}
CODECS = {name: ChatCodec(one, find_pieces(one)) for name, one in TOKENIZERS.items()}
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda text: text.strip() == text and text != ""
)
THREE = [("lamp off", "done"), ("what is France?", "a land"), ("next song, please", "music on")]
ROLES = "user", "assistant"
each_family = pytest.mark.parametrize("family", FAMILIES)


def rendered(family: str, *turns: tuple[str, str], is_prompt: bool = False) -> list[int]:
    messages = [{"role": role, "content": text} for role, text in turns]
    tokenizer = TOKENIZERS[family]
    encoded = tokenizer.apply_chat_template(
        messages, chat_template=with_fixed_date(tokenizer), add_generation_prompt=is_prompt
    )
    return list(encoded["input_ids"])


def up_to(ids: list[int], end: int) -> list[int]:
    """The ids up to the last `end`."""
    return ids[: len(ids) - ids[::-1].index(end)]


@pytest.mark.slow
@each_family
@given(turns=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_the_ids_of_a_row_are_those_of_the_chat_template(
    family: str, turns: list[tuple[str, str]]
) -> None:
    require_ids_of_the_template(family, turns)


@each_family
def test_the_ids_of_several_turns_are_those_of_the_chat_template(family: str) -> None:
    require_ids_of_the_template(family, THREE)


def require_ids_of_the_template(family: str, turns: list[tuple[str, str]]) -> None:
    codec, template = CODECS[family], CODECS[family].template()
    *before, (x, y) = turns
    (x_ids,), (y_ids,) = codec.encode_inputs([x]), codec.encode_targets([y])
    history = codec.encode_history(to_history(before))
    (qa,) = template.row("r", "new", "home", x_ids, y_ids, history).views(("qa",))
    messages = [(role, text) for turn in turns for role, text in zip(ROLES, turn, strict=True)]
    assert list(qa.ids) == up_to(rendered(family, *messages), template.end)
    prompt = rendered(family, *messages[:-1], is_prompt=True)
    assert list(template.answer_prompt(x_ids, history=history)) == prompt
    assert codec.decode_input(x_ids) == x and codec.decode_target(y_ids) == y


def encoded(family: str, supervise: Supervise = "last") -> tuple[EncodedView, EncodedView]:
    """Both views of THREE turns."""
    codec = CODECS[family]
    template = codec.template(TaskPrompts(["home"], supervise=supervise))
    *before, (x, y) = THREE
    history = codec.encode_history(to_history(before))
    (x_ids,), (y_ids,) = codec.encode_inputs([x]), codec.encode_targets([y])
    qa, gen = template.row("r", "new", "home", x_ids, y_ids, history).views(("qa", "gen"))
    return qa, gen


@each_family
def test_of_several_turns_the_last_answer_is_supervised_or_all(family: str) -> None:
    codec, template = CODECS[family], CODECS[family].template()
    inputs = codec.encode_inputs([x for x, _ in THREE])
    answers = [[*ids, template.end] for ids in codec.encode_targets([y for _, y in THREE])]
    (last, gen), (every, same_gen) = encoded(family), encoded(family, "all")
    assert last.ids == every.ids and gen == same_gen
    assert learnt(last) == answers[-1]
    assert learnt(every) == list(chain(*answers))
    turns = zip(inputs, answers, strict=True)
    assert learnt(gen) == [i for x, y in turns for i in (*x, template.end_of_input, *y)]
    qa_from = last.ids[len(template.before_input("home")) :]
    assert gen.ids[-len(qa_from) :] == qa_from, "GEN has another beginning alone"
    begins = TOKENIZERS[family].decode(gen.ids[: gen.supervised[0][0]])
    assert "conversation of 3 turns" in begins and "home" in begins


def learnt(view: EncodedView) -> list[int]:
    return [label for label in view.labels if label != IGNORED]


def test_a_template_that_has_the_system_message_later_refuses_it_with_turns() -> None:
    """As Mistral v0.3: the system message stands in the last user's turn of a prompt alone."""
    later = mistral()
    later.chat_template = str(later.chat_template).replace("if loop.first", "if loop.last")
    pieces = find_pieces(later)
    assert pieces.between is not None and not pieces.system_first
    prompts = TaskPrompts(["home", "music"], systems={"home": "Be brief.", "music": ""})
    template = ChatCodec(later, pieces).template(prompts)
    template.row("r", "new", "music", [30], [31], [([32], [33])])
    template.row("r", "new", "home", [30], [31])
    with pytest.raises(ConfigError, match=naming("chat template")):
        template.row("r", "new", "home", [30], [31], [([32], [33])])


def test_broken_pieces_say_how_to_make_them_anew(tmp_path: Path) -> None:
    find_pieces(chatml()).write(tmp_path)
    kept = json.loads((tmp_path / PIECES).read_text())
    del kept["system_first"]
    (tmp_path / PIECES).write_text(json.dumps(kept))
    with pytest.raises(ArtifactError, match=naming("lamol backbone")):
        ChatPieces.read(tmp_path)


@each_family
def test_the_answer_and_the_end_of_its_turn_are_supervised(family: str) -> None:
    codec, template = CODECS[family], CODECS[family].template()
    (x,), (y,) = codec.encode_inputs(["lamp off"]), codec.encode_targets(["music on"])
    qa, gen = template.row("r", "new", "home", x, y).views(("qa", "gen"))
    assert [label for label in qa.labels if label != IGNORED] == [*y, template.end]
    learnt = [label for label in gen.labels if label != IGNORED]
    assert learnt == [*x, template.end_of_input, *y, template.end]
    asked = TOKENIZERS[family].decode(gen.ids[: gen.supervised[0][0]])
    assert "home" in asked and "home" not in TOKENIZERS[family].decode(qa.ids)


@each_family
def test_a_prompt_of_a_label_names_it_and_x_alone_is_supervised(family: str) -> None:
    codec, template = (
        CODECS[family],
        CODECS[family].template(TaskPrompts(["home"], target_first={"home"})),
    )
    (x,), (y,) = codec.encode_inputs(["lamp off"]), codec.encode_targets(["music on"])
    (gen,) = template.row("r", "new", "home", x, y).views(("gen",))
    assert [label for label in gen.labels if label != IGNORED] == [*x, template.end_of_lone_input]
    assert "music on" in TOKENIZERS[family].decode(template.draw_prompt("home", y))
    shared = CODECS[family].template(TaskPrompts(["home"], names_task=False))
    assert "home" not in TOKENIZERS[family].decode(shared.draw_prompt("home", y))


@each_family
@pytest.mark.parametrize("text", ["{} off", "off {}", "o{}ff"])
def test_a_text_that_spells_a_special_token_has_none(family: str, text: str) -> None:
    codec, template = CODECS[family], CODECS[family].template()
    added = TOKENIZERS[family].added_tokens_decoder
    special = {i: token.content for i, token in added.items() if token.special}
    for name in special.values():
        spelt = text.format(name)
        for ids in (*codec.encode_inputs([spelt]), *codec.encode_targets([spelt])):
            assert not special.keys() & set(ids)
        assert codec.decode_input(codec.encode_inputs([spelt])[0]).strip() == spelt
    banned = {*template.never_in_text, template.end, template.end_of_input}
    assert special.keys() <= banned


@each_family
def test_a_system_message_stands_where_the_template_has_it(family: str) -> None:
    template, system = CODECS[family].template(TaskPrompts(["home"])), "Write one user's message of"
    prompt = list(template.draw_prompt("home"))
    text = TOKENIZERS[family].decode(prompt)
    instruction = text[text.index(system) : text.index("to it.") + len("to it.")]
    (x,) = CODECS[family].encode_inputs(["lamp off"])
    turns = [("system", instruction), ("user", "lamp off")]
    if family == "gemma":  # without a system role
        turns = [("user", f"{instruction}\n\nlamp off")]
    whole = up_to(rendered(family, *turns), template.end_of_input)
    own = [*prompt, *x, template.end_of_input]
    if family.startswith(
        "mistral"
    ):  # x has its space in both views, the template has none after "\n\n"
        whole, own = (list(TOKENIZERS[family].decode(ids).split()) for ids in (whole, own))
    assert own == whole


@each_family
def test_no_special_token_is_left_of_one_inside_another(family: str) -> None:
    tokenizer, codec = TOKENIZERS[family], CODECS[family]
    special = {i: one.content for i, one in tokenizer.added_tokens_decoder.items() if one.special}
    nested = [f"{name[:3]}{name}{name[3:]}" for name in special.values()]
    plain, spelt = (
        codec.template(TaskPrompts(["home"], systems={"home": system})).before_input("home")
        for system in ("Be brief.", f"Be {nested}.")
    )
    assert [i for i in spelt if i in special] == [i for i in plain if i in special]


TRIMS = {"llama3": {*ROLES, "system"}, "gemma": {*ROLES, "system"}, "mistral": {"assistant"}}


@each_family
def test_white_space_stays_or_is_cut_as_in_the_template(family: str) -> None:
    codec, spaced = CODECS[family], "\n lamp off "
    trims = TRIMS.get(family.partition("_")[0], set())
    assert {*find_pieces(TOKENIZERS[family]).trims} == trims
    (x,), (y,) = codec.encode_inputs([spaced]), codec.encode_targets([spaced])
    assert codec.decode_input(x) == (spaced.strip() if "user" in trims else spaced)
    assert codec.decode_target(y) == (spaced.strip() if "assistant" in trims else spaced)


@each_family
def test_a_special_token_that_takes_the_space_after_it_stays_out_of_the_texts(family: str) -> None:
    """As those of Phi-3."""
    tokenizer = FAMILIES[family]()
    special = {i: one.content for i, one in tokenizer.added_tokens_decoder.items() if one.special}
    greedy = [AddedToken(name, special=True, rstrip=True) for name in special.values()]
    tokenizer.backend_tokenizer.add_special_tokens(greedy)
    codec = ChatCodec(tokenizer, find_pieces(tokenizer))
    for text in ("\n hi", "  lamp off"):
        for ids in (*codec.encode_inputs([text]), *codec.encode_targets([text])):
            assert ids and not {*ids} & special.keys()


def test_pieces_are_kept_beside_the_weights(tmp_path: Path) -> None:
    assert ChatPieces.read(tmp_path) is None
    for tokenizer in TOKENIZERS.values():
        pieces = find_pieces(tokenizer)
        pieces.write(tmp_path)
        assert ChatPieces.read(tmp_path) == pieces
    assert all(find_pieces(one).have_turns(with_system=True) for one in TOKENIZERS.values())


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
    with pytest.raises(ConfigError, match=naming("text.format")):
        find_pieces(with_template(change))


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
