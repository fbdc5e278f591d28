"""Joining a mix to its rows: order, tokens of tasks, and what is not there."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.records import Example, MixRow, PseudoSample, to_history
from lamol_core.text.chat import ChatCodec
from lamol_core.text.chat_pieces import find_pieces
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.template import TaskPrompts
from lamol_core.text.tokenizer import TextCodec
from lamol_core.training.encoding import TrainingSet
from tests.messages import naming
from tests.text.chat_families import chatml

REAL = [Example(f"b/train/{i}", "b", f"book a flight {i}", "book_flight", i) for i in range(3)]
PSEUDO = [
    PseudoSample("b/pseudo/a/0.1", "a", 0, 1, "x", "y", [40, 41], [42], True, "", 1.0, 0, "0")
]
MIX = [
    MixRow(0, "new", "b", "b/train/2", 2),
    MixRow(1, "pseudo", "a", "b/pseudo/a/0.1", -1),
    MixRow(2, "new", "b", "b/train/0", 0),
]
LEARNT, MOST = TaskPrompts(["a", "b"]), 256


def encode(
    mix: Sequence[MixRow],
    pseudo: Sequence[PseudoSample],
    lineage: Sequence[str],
    task_specific: bool,
    codec: TextCodec,
) -> list[EncodedRow]:
    prompts = TaskPrompts(lineage, task_specific)
    rows, num_cut = TrainingSet(mix, REAL, pseudo, prompts, MOST).encode(codec)
    assert num_cut == 0
    return rows


def begins_with(row: EncodedRow) -> int:
    """The first id of the GEN view."""
    return row.views(("gen",))[0].ids[0]


def test_the_pseudo_samples_of_each_task_are_counted() -> None:
    training_set = TrainingSet(MIX, REAL, PSEUDO, LEARNT, MOST)
    assert training_set.num_pseudo_rows == {"a": 1}
    assert training_set.has_pseudo_rows
    assert not TrainingSet(MIX[:1], REAL, (), LEARNT, MOST).has_pseudo_rows


def test_rows_come_in_the_order_of_the_mix(codec: TextCodec) -> None:
    rows = encode(MIX, PSEUDO, ["a", "b"], True, codec)
    assert [(row.row_id, row.origin) for row in rows] == [(m.row_id, m.origin) for m in MIX]
    assert codec.decode(rows[0].input_ids) == "book a flight 2"
    assert codec.decode(rows[2].target_ids) == "book_flight"


def test_pseudo_rows_are_the_ids_that_were_drawn(codec: TextCodec) -> None:
    # encoding their text again could give other pieces
    row = encode(MIX, PSEUDO, ["a", "b"], True, codec)[1]
    assert (list(row.input_ids), list(row.target_ids)) == ([40, 41], [42])


def test_each_row_has_the_token_of_its_own_task(codec: TextCodec) -> None:
    first, second = codec.control.gen_by_task[:2]
    specific = encode(MIX, PSEUDO, ["a", "b"], True, codec)
    assert [begins_with(row) for row in specific] == [second, first, second]
    shared = encode(MIX, PSEUDO, ["a", "b"], False, codec)
    assert {begins_with(row) for row in shared} == {codec.control.gen}


def test_a_row_that_is_not_there_is_named_with_the_remedy(codec: TextCodec) -> None:
    mix = [*MIX, MixRow(3, "new", "b", "b/train/9", 0)]
    with pytest.raises(ArtifactError, match=naming("b/train/9", "dvc repro mix@b")):
        encode(mix, PSEUDO, ["a", "b"], True, codec)


def test_a_pseudo_row_that_was_rejected_is_none_of_the_mix(codec: TextCodec) -> None:
    rejected = [replace(PSEUDO[0], valid=False, reject_reason="duplicate")]
    with pytest.raises(ArtifactError, match=naming("b/pseudo/a/0.1", "dvc repro mix@b")):
        encode(MIX, rejected, ["a", "b"], True, codec)


def test_more_tasks_than_reserved_tokens(codec: TextCodec) -> None:
    names = ["a", "b", "c", "d"]
    with pytest.raises(ConfigError, match=naming("backbone.max_tasks", 3, 4)):
        encode(MIX, PSEUDO, names, True, codec)
    assert len(encode(MIX, PSEUDO, names, False, codec)) == 3


def test_inputs_are_cut_and_counted_and_the_rest_is_kept(codec: TextCodec) -> None:
    long = replace(PSEUDO[0], input_ids=list(range(40, 54)), target_ids=[42, 43])
    training_set = TrainingSet(MIX, REAL, [long], LEARNT, MOST)
    (whole, _), (rows, num_cut) = (
        replace(training_set, max_length=length).encode(codec) for length in (MOST, 16)
    )
    assert num_cut == 1
    assert list(rows[1].input_ids) == long.input_ids[3:]
    assert rows[0] == whole[0] and rows[2] == whole[2]
    assert rows[1].target_ids == whole[1].target_ids
    assert max(len(view.ids) for view in rows[1].views(("qa", "gen"))) == 16


def test_a_target_that_does_not_fit_is_named(codec: TextCodec) -> None:
    long = replace(PSEUDO[0], target_ids=[42] * 6)
    with pytest.raises(ConfigError, match=naming("text.max_length", 8, long.row_id, 6)):
        TrainingSet(MIX, REAL, [long], LEARNT, max_length=8).encode(codec)


def test_the_target_comes_first_in_the_tasks_that_say_so(codec: TextCodec) -> None:
    prompts = replace(LEARNT, target_first={"a"})
    rows, _ = TrainingSet(MIX, REAL, PSEUDO, prompts, MOST).encode(codec)
    learnt = [row.views(("gen",))[0].num_supervised for row in rows]
    for row, num in zip(rows, learnt, strict=True):
        y = 0 if row.origin == "pseudo" else len(row.target_ids) + 1
        assert num == len(row.input_ids) + 1 + y


TURNS = [("turn it on", "done"), ("what is it", "a lamp")]
CHAT = ChatCodec(chatml(), find_pieces(chatml()))


def of_turns(max_length: int = MOST, **changes: Any) -> TrainingSet:
    """A real row of three turns, and a pseudo row of two."""
    real = [replace(REAL[0], history=to_history(TURNS))]
    pseudo = [replace(PSEUDO[0], history=to_history([("x", "y")]), history_ids=[[50, 51], [52]])]
    mix = [MixRow(0, "new", "b", real[0].row_id, 0), MIX[1]]
    return TrainingSet(mix, real, pseudo, replace(LEARNT, **changes), max_length)


def test_rows_have_their_earlier_turns() -> None:
    (new, drawn), num_cut = of_turns().encode(CHAT)
    assert num_cut == 0
    told = [(CHAT.decode_input(x), CHAT.decode_target(y)) for x, y in new.history]
    assert told == TURNS
    assert drawn.history == [([50, 51], [52])], "the ids that were drawn"
    (last,), (every,) = (
        rows[0].views(("qa",))
        for rows, _ in (of_turns(supervise=which).encode(CHAT) for which in ("last", "all"))
    )
    assert last.ids == every.ids and len(last.supervised) == 1 and len(every.supervised) == 3


def test_rows_that_are_too_long_lose_their_oldest_turns_and_are_counted() -> None:
    (whole, _), _ = of_turns().encode(CHAT)
    longest = max(len(view.ids) for view in whole.views(("qa", "gen")))
    (cut, _), num_cut = of_turns(max_length=longest - 1).encode(CHAT)
    assert num_cut == 1 and list(cut.history) == list(whole.history)[1:]
    assert cut.input_ids == whole.input_ids


def test_several_turns_need_chat_format(codec: TextCodec) -> None:
    with pytest.raises(ConfigError, match=naming("text.format", "chat")):
        of_turns().encode(codec)
