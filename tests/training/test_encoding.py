"""Joining a mix to its rows: order, tokens of tasks, and what is not there."""

from dataclasses import replace

import pytest

from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.records import Example, MixRow, PseudoSample
from lamol_core.text.tokenizer import TextCodec
from lamol_core.training.encoding import encode_mix
from tests.messages import naming

REAL = [Example(f"b/train/{i}", "b", f"book a flight {i}", "book_flight", i) for i in range(3)]
PSEUDO = [
    PseudoSample("b/pseudo/a/0.1", "a", 0, 1, "x", "y", [40, 41], [42], True, "", 1.0, 0, "0")
]
MIX = [
    MixRow(0, "new", "b", "b/train/2", 2),
    MixRow(1, "pseudo", "a", "b/pseudo/a/0.1", -1),
    MixRow(2, "new", "b", "b/train/0", 0),
]


def test_rows_come_in_the_order_of_the_mix(codec: TextCodec) -> None:
    rows = encode_mix(MIX, REAL, PSEUDO, codec, ["a", "b"], True)
    assert [(row.row_id, row.origin) for row in rows] == [(m.row_id, m.origin) for m in MIX]
    assert codec.decode(rows[0].input_ids) == "book a flight 2"
    assert codec.decode(rows[2].target_ids) == "book_flight"


def test_pseudo_rows_are_the_ids_that_were_drawn(codec: TextCodec) -> None:
    # encoding their text again could give other pieces
    row = encode_mix(MIX, REAL, PSEUDO, codec, ["a", "b"], True)[1]
    assert (list(row.input_ids), list(row.target_ids)) == ([40, 41], [42])


def test_each_row_has_the_token_of_its_own_task(codec: TextCodec) -> None:
    first, second = codec.control.gen_by_task[:2]
    specific = encode_mix(MIX, REAL, PSEUDO, codec, ["a", "b"], True)
    assert [row.gen_token for row in specific] == [second, first, second]
    shared = encode_mix(MIX, REAL, PSEUDO, codec, ["a", "b"], False)
    assert {row.gen_token for row in shared} == {codec.control.gen}


def test_a_row_that_is_not_there_is_named_with_the_remedy(codec: TextCodec) -> None:
    mix = [*MIX, MixRow(3, "new", "b", "b/train/9", 0)]
    with pytest.raises(ArtifactError, match=naming("b/train/9", "dvc repro mix@b")):
        encode_mix(mix, REAL, PSEUDO, codec, ["a", "b"], True)


def test_a_pseudo_row_that_was_rejected_is_none_of_the_mix(codec: TextCodec) -> None:
    rejected = [replace(PSEUDO[0], valid=False, reject_reason="duplicate")]
    with pytest.raises(ArtifactError, match=naming("b/pseudo/a/0.1", "dvc repro mix@b")):
        encode_mix(MIX, REAL, rejected, codec, ["a", "b"], True)


def test_more_tasks_than_reserved_tokens(codec: TextCodec) -> None:
    names = ["a", "b", "c", "d"]
    with pytest.raises(ConfigError, match=naming("backbone.max_tasks", 3, 4)):
        encode_mix(MIX, REAL, PSEUDO, codec, names, True)
    assert len(encode_mix(MIX, REAL, PSEUDO, codec, names, False)) == 3
