"""Files that describe a table of pseudo-samples to users outside the project: a dataset card for
people and hubs, and a Croissant description (MLCommons, version 1.0) for machines."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from lamol_core.artifacts.spec import PSEUDO
from lamol_core.audit.spec import Audited
from lamol_core.reporting.page import source_of, templates_of
from lamol_core.reporting.tables import markdown_table

TABLE = Path(PSEUDO.path).name
WARNING = (
    "A language model wrote these rows. They can repeat its training data word for word, they can "
    "be wrong, and they can contain facts about real people."
)
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
COLUMNS = {
    "row_id": "new task / pseudo / task whose token was the prompt / index.attempt",
    "source_task": "the task that the row belongs to",
    "gen_index": "index of the requested row",
    "attempt": "number of the draw for this index",
    "input": "what the teacher wrote before ANS",
    "target": "what the teacher wrote after ANS",
    "input_ids": "the input as ids of the teacher's tokenizer",
    "target_ids": "the target as ids of the teacher's tokenizer",
    "valid": "whether the row is trained on",
    "reject_reason": "why the row is not trained on",
    "nll": "mean negative log-likelihood per token under the teacher, in nats",
    "seed": "random seed of the draw",
    "teacher_sha256": "hash of the checkpoint that wrote the row",
    "label_idx_cil": "always -1: not a real row",
}
CROISSANT_TYPES = {
    pa.string(): "sc:Text",
    pa.int64(): "sc:Integer",
    pa.bool_(): "sc:Boolean",
    pa.float32(): "sc:Float",
    pa.list_(pa.int32()): "sc:Integer",
}


def dataset_card(content: Mapping[str, Any], audited: Audited) -> str:
    """Return a README.md with front matter for the Hugging Face hub. `content` is the content of
    audit.json."""
    checks, origin = content["checks"], audited.origin
    tasks = [(t.name, t.tasks_since, len(t.kept), len(t.rejected)) for t in audited.tasks]
    verdicts = [
        (name, f"{check['title']}?", check["verdict"], check["rows_flagged"])
        for name, check in checks.items()
    ]
    columns = [(f"`{name}`", COLUMNS[name]) for name in PSEUDO.schema.names]
    notes = [f"{name}: {note}" for name, check in checks.items() for note in check["notes"]]
    templates = templates_of("lamol_core.audit")
    markdown = templates.overlay(autoescape=False, keep_trailing_newline=True)
    return markdown.get_template("card.md.j2").render(
        table=TABLE,
        origin=origin,
        size=next((name for most, name in SIZES if len(audited.drawn) < most), "n>1M"),
        warning=WARNING,
        num_carried=sum(sample.row_id in origin.carried for sample in audited.kept),
        verdict=content["verdict"],
        notes=[*content["notes"], *notes],
        markdown_table=markdown_table,
        tasks=tasks,
        checks=verdicts,
        columns=columns,
    )


def croissant(content: Mapping[str, Any], audited: Audited) -> str:
    """Return the Croissant description as JSON-LD: the table's file with its hash, and one field
    per column."""
    origin = audited.origin
    card = json.loads(source_of(templates_of("lamol_core.audit"), "croissant.json"))
    card["name"] = f"pseudo-samples-{origin.new_task}"
    card["description"] = f"{WARNING} Its audit: {content['verdict']}."
    card["distribution"][0]["sha256"] = origin.table_sha256
    card["recordSet"][0]["field"] = [
        {
            "@type": "cr:Field",
            "@id": f"rows/{column.name}",
            "name": column.name,
            "description": COLUMNS[column.name],
            "dataType": CROISSANT_TYPES[column.type],
            **({"repeated": True} if pa.types.is_list(column.type) else {}),
            "source": {"fileObject": {"@id": TABLE}, "extract": {"column": column.name}},
        }
        for column in PSEUDO.schema
    ]
    return json.dumps(card, indent=1) + "\n"
