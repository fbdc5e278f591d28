"""Files that describe a table of pseudo-samples to users outside the project: a dataset card for
people and hubs, and a Croissant description (MLCommons, version 1.0) for machines."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from lamol_core.artifacts.spec import PSEUDO
from lamol_core.audit.spec import Audited
from lamol_core.audit.verdicts import ABOUT
from lamol_core.records import OF_TURNS, with_turns
from lamol_core.reporting.page import source_of, templates_of
from lamol_core.reporting.tables import markdown_row, markdown_table

TABLE = Path(PSEUDO.path).name
WARNING = (
    "A language model wrote these rows. They can repeat its training data word for word, they can "
    "be wrong, and they can contain facts about real people."
)
CROISSANT_TYPES = {
    pa.string(): "sc:Text",
    pa.int64(): "sc:Integer",
    pa.bool_(): "sc:Boolean",
    pa.float32(): "sc:Float",
    pa.list_(pa.int32()): "sc:Integer",
    pa.list_(pa.list_(pa.int32())): "sc:Integer",
}
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))


def dataset_card(content: Mapping[str, Any], audited: Audited) -> str:
    """Return a README.md with front matter for the Hugging Face hub. `content` is the content of
    audit.json."""
    templates = templates_of("lamol_core.audit")
    markdown = templates.overlay(autoescape=False, keep_trailing_newline=True)
    return markdown.get_template("card.md.j2").render(
        table=TABLE,
        audit=content,
        audited=audited,
        origin=audited.origin,
        size=next((name for most, name in SIZES if len(audited.drawn) < most), "n>1M"),
        warning=WARNING,
        fields=_description(audited)["recordSet"][0]["field"],
        titles=lambda *titles, **texts: "\n".join(markdown_table(titles, (), **texts)),
        row=markdown_row,
    )


def croissant(content: Mapping[str, Any], audited: Audited) -> str:
    """Return the Croissant description as JSON-LD: the table's file with its hash, and one field
    per column."""
    card = _description(audited)
    card["name"] = f"pseudo-samples-{audited.origin.new_task}"
    verdicts = ", ".join(f"{about} {content[about]['verdict']}" for about in ABOUT)
    card["description"] = f"{WARNING} Its audit: {verdicts}."
    card["distribution"][0]["sha256"] = audited.origin.table_sha256
    return json.dumps(card, indent=1) + "\n"


def _description(audited: Audited) -> dict[str, Any]:
    """Return the Croissant description of a table of pseudo-samples. Its template has the name
    and the meaning of each column; the rest follows from the table's schema."""
    has_turns = any(sample.history for sample in audited.drawn)
    card: dict[str, Any] = json.loads(source_of(templates_of("lamol_core.audit"), "croissant.json"))
    (records,) = card["recordSet"]
    meanings = {field["name"]: field["description"] for field in records["field"]}
    records["field"] = [
        {
            "@type": "cr:Field",
            "@id": f"rows/{column.name}",
            "name": column.name,
            "description": meanings[column.name],
            "dataType": CROISSANT_TYPES[column.type],
            **({"repeated": True} if pa.types.is_list(column.type) else {}),
            "source": {"fileObject": {"@id": TABLE}, "extract": {"column": column.name}},
        }
        for column in with_turns(PSEUDO.schema, OF_TURNS.names if has_turns else ())
    ]
    return card
