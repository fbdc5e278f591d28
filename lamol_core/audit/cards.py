"""What goes along with a table of pseudo-samples that leaves the project: a dataset card for people
and hubs, and a Croissant description (MLCommons, version 1.0) for machines."""

import json
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
from ruamel.yaml import YAML

from lamol_core.artifacts.spec import PSEUDO
from lamol_core.audit.spec import Audited
from lamol_core.reporting.tables import markdown_table

TABLE = Path(PSEUDO.path).name
WARNING = (
    "A language model wrote these rows. They can hold what it was trained on, word for word, and "
    "they can be wrong, and they can tell of real people."
)
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
COLUMNS = {
    "row_id": "new task / pseudo / task whose token prompted it / index.attempt",
    "source_task": "the task that it is a row of",
    "gen_index": "which of the rows wanted",
    "attempt": "how often it was drawn",
    "input": "what the teacher wrote before ANS",
    "target": "what it wrote after",
    "input_ids": "the same as ids of its tokenizer",
    "target_ids": "the same as ids of its tokenizer",
    "valid": "whether it is trained on",
    "reject_reason": "why not",
    "nll": "mean negative log-likelihood of its tokens under the teacher, in nats",
    "seed": "of its draw",
    "teacher_sha256": "the checkpoint that wrote it",
    "label_idx_cil": "-1: no real row",
}
CROISSANT_TYPES = {
    pa.string(): "sc:Text",
    pa.int64(): "sc:Integer",
    pa.bool_(): "sc:Boolean",
    pa.float32(): "sc:Float",
    pa.list_(pa.int32()): "sc:Integer",
}


def dataset_card(content: Mapping[str, Any], audited: Audited) -> str:
    """A README.md with front matter as the Hugging Face hub reads it; `content` is audit.json's."""
    origin = audited.origin
    num_rows = sum(len(task.drawn) for task in audited.tasks)
    front = {
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "source_datasets": [],
        "size_categories": [next((name for most, name in SIZES if num_rows < most), "n>1M")],
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "continual-learning", "pseudo-samples"],
        "pretty_name": f"Pseudo-samples drawn before {origin.new_task}",
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": TABLE}]}],
    }
    tasks = [(task.name, task.age, len(task.kept), len(task.rejected)) for task in audited.tasks]
    verdicts = [
        (name, f"{told['title']}?", told["verdict"], told["rows_flagged"])
        for name, told in content["checks"].items()
    ]
    columns = [(f"`{name}`", COLUMNS[name]) for name in PSEUDO.schema.names]
    return "\n".join(
        [
            "---",
            _yaml(front).rstrip(),
            "---",
            f"# Pseudo-samples drawn before `{origin.new_task}`",
            "",
            WARNING,
            "",
            "Before it is published, whoever does so adds `license`, `language` and his name.",
            "",
            f"Written by the checkpoint `{origin.teacher_sha256}` with seed {origin.seed}.",
            *_carried(audited),
            "",
            *markdown_table(("imitates", "tasks learnt since", "rows kept", "rejected"), tasks),
            "",
            f"## Audit: {content['verdict']}",
            "",
            *(line for note in _notes(content) for line in (note, "")),
            *markdown_table(
                ("check", "question", "verdict", "rows flagged"), verdicts, texts=(0, 1, 2)
            ),
            "",
            "## Columns",
            "",
            *markdown_table(("column", "meaning"), columns, texts=(0, 1)),
            "",
        ]
    )


def _notes(content: Mapping[str, Any]) -> list[str]:
    """What is not known of the table, or only by the way."""
    checks = content["checks"].items()
    of_checks = (f"{name}: {note}" for name, told in checks for note in told["notes"])
    return [*content["notes"], *of_checks]


def _carried(audited: Audited) -> list[str]:
    num = sum(s.row_id in audited.origin.carried for task in audited.tasks for s in task.kept)
    said = (
        f"But {num} rows were carried over from earlier tables; `teacher_sha256` of each says who "
        "wrote it."
    )
    return [said] if num else []


def croissant(content: Mapping[str, Any], audited: Audited) -> str:
    """The table as JSON-LD: its file with hash, and a field a column."""
    origin = audited.origin
    fields = [
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
    described = {
        "@context": {
            "@language": "en",
            "@vocab": "https://schema.org/",
            "cr": "http://mlcommons.org/croissant/",
            "dct": "http://purl.org/dc/terms/",
            "sc": "https://schema.org/",
            "column": "cr:column",
            "conformsTo": "dct:conformsTo",
            "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
            "extract": "cr:extract",
            "field": "cr:field",
            "fileObject": "cr:fileObject",
            "recordSet": "cr:recordSet",
            "repeated": "cr:repeated",
            "source": "cr:source",
        },
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"pseudo-samples-{origin.new_task}",
        "description": f"{WARNING} Its audit: {content['verdict']}.",
        "version": "1.0.0",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": TABLE,
                "name": TABLE,
                "contentUrl": TABLE,
                "encodingFormat": "application/x-parquet",
                "sha256": origin.table_sha256,
            }
        ],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "field": fields}],
    }
    return json.dumps(described, indent=1) + "\n"


def _yaml(values: dict[str, Any]) -> str:
    buffer = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(values, buffer)
    return buffer.getvalue()
