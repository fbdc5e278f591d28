"""Rows in the chat templates of five families."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from lamol_core.records import to_history
from lamol_core.text.chat import ChatCodec
from lamol_core.text.chat_pieces import find_pieces, with_fixed_date
from lamol_core.text.encoded import IGNORED, EncodedView
from lamol_core.text.template import Supervise, TaskPrompts
from tests.text.chat_families import FAMILIES

TOKENIZERS = {name: make() for name, make in FAMILIES.items()}
CODECS = {name: ChatCodec(one, find_pieces(one)) for name, one in TOKENIZERS.items()}
LETTERS = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], include_characters="\n\t")
TEXTS = st.text(LETTERS, min_size=1).filter(lambda text: text.strip() == text and text != "")
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
@example(turns=[("Say in one word:\n\n\tlamp  off", "done\n- at last")])
def test_the_ids_of_a_row_are_those_of_the_chat_template(
    family: str, turns: list[tuple[str, str]]
) -> None:
    require_ids_of_the_template(family, turns)


@pytest.mark.parametrize("system", ["", "Be brief.\nNo jokes."])
@pytest.mark.parametrize("family", ["chatml", "gemma", "llama3", "zephyr"])
def test_the_ids_of_several_turns_are_those_of_the_chat_template(family: str, system: str) -> None:
    require_ids_of_the_template(family, THREE, system)


@pytest.mark.parametrize("family", ["mistral", "mistral_prepending"])
def test_without_a_system_message_mistral_s_ids_are_those_of_its_template(family: str) -> None:
    require_ids_of_the_template(family, THREE)


def require_ids_of_the_template(
    family: str, turns: list[tuple[str, str]], system: str = ""
) -> None:
    codec = CODECS[family]
    template = codec.template(TaskPrompts(systems={"home": system}))
    *before, (x, y) = turns
    (x_ids,), (y_ids,) = codec.encode_inputs([x]), codec.encode_targets([y])
    history = codec.encode_history(to_history(before))
    (qa,) = template.row("r", "new", "home", x_ids, y_ids, history).views(("qa",))
    messages = [(role, text) for turn in turns for role, text in zip(ROLES, turn, strict=True)]
    if system and family == "gemma":  # without a system role
        messages[0] = ("user", f"{system}\n\n{messages[0][1]}")
    elif system:
        messages.insert(0, ("system", system))
    assert list(qa.ids) == up_to(rendered(family, *messages), template.end)
    prompt = rendered(family, *messages[:-1], is_prompt=True)
    assert list(template.answer_prompt(x_ids, "home", history)) == prompt
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
