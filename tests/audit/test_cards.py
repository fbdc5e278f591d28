"""What goes along with a table: front matter that a hub reads, JSON-LD that names every column."""

from __future__ import annotations

import json

import pyarrow as pa
from ruamel.yaml import YAML

from lamol_core.audit.cards import WARNING, croissant, dataset_card
from lamol_core.audit.params import AuditParams
from lamol_core.audit.verdicts import run_checks
from lamol_core.records import OF_TURNS, PSEUDO_SCHEMA
from tests.audit.corpus import clean, with_rows
from tests.audit.defects import with_turn
from tests.messages import mentions

TYPES = {
    pa.string(): "sc:Text",
    pa.int64(): "sc:Integer",
    pa.int32(): "sc:Integer",
    pa.bool_(): "sc:Boolean",
    pa.float32(): "sc:Float",
}
"""Croissant's name for the type of a column."""
AUDITED = clean(size=60)
CONTENT = run_checks(AUDITED, AuditParams()).as_dict()


def test_the_card_has_front_matter_verdicts_and_columns() -> None:
    card = dataset_card(CONTENT, AUDITED)
    _, front, body = card.split("---\n", 2)
    values = YAML(typ="safe").load(front)
    assert values["annotations_creators"] == ["machine-generated"]
    assert values["configs"][0]["data_files"][0]["path"] == "pseudo.parquet"
    assert values["size_categories"] == ["n<1K"]
    passed = [one for one in CONTENT["checks"].values() if one["verdict"] == "pass"]
    assert WARNING in body and CONTENT["verdict"] == "pass"
    assert mentions(body, "pass") == len(passed) + 3, (
        "each check's, the whole's, privacy's and quality's"
    )
    assert all(f"`{name}`" in body for name in PSEUDO_SCHEMA.names)
    assert "memorisation" in body


def test_the_description_names_every_column_once() -> None:
    described = json.loads(croissant(CONTENT, AUDITED))
    assert described["conformsTo"].endswith("croissant/1.0")
    (rows,) = described["recordSet"]
    assert [field["name"] for field in rows["field"]] == PSEUDO_SCHEMA.names
    by_name = {field["name"]: field for field in rows["field"]}
    for column in PSEUDO_SCHEMA:
        field = by_name[column.name]
        is_list = pa.types.is_list(column.type)
        assert field["dataType"] == TYPES[column.type.value_type if is_list else column.type]
        assert field.get("repeated", False) == is_list and field["description"]
        assert field["source"]["extract"] == {"column": column.name}
    (file,) = described["distribution"]
    assert file["@id"] == by_name["input"]["source"]["fileObject"]["@id"] == "pseudo.parquet"


def test_columns_of_turns_are_described_where_they_are() -> None:
    drawn = AUDITED.tasks[0].drawn
    turns = with_rows(AUDITED, {3: with_turn(drawn[3], "hello")})
    (rows,) = json.loads(croissant(CONTENT, turns))["recordSet"]
    assert [one["name"] for one in rows["field"]] == [*PSEUDO_SCHEMA.names, *OF_TURNS.names]
    assert all(one["description"] for one in rows["field"])
    assert "`history`" in dataset_card(CONTENT, turns)


def test_no_text_of_a_row_is_on_either() -> None:
    texts = [row.input for row in (*AUDITED.tasks[0].train, *AUDITED.tasks[0].drawn)]
    written = dataset_card(CONTENT, AUDITED) + croissant(CONTENT, AUDITED)
    assert not any(text in written for text in texts)
