"""Write docs/parameters.md from the blocks of params.yaml, and docs/commands.md and README's table
of commands from the command line.

    python scripts/make_docs.py     # tests/test_project_files.py finds old pages
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import griffe
from pydantic.fields import FieldInfo
from typer.main import get_command

from lamol_core.artifacts.spec import STAGES, Artifact
from lamol_core.audit.limits import Limit
from lamol_core.audit.registry import CHECKS
from lamol_core.config.section import Section
from lamol_core.data.columns import Columns
from lamol_core.data.sources.registry import SOURCES
from lamol_core.methods.registry import METHODS
from lamol_core.parameters import Params
from lamol_core.reporting.tables import markdown_row
from stages.cli import COMMANDS, app

ROOT = Path(__file__).parents[1]
NOTE = "<!-- Written by scripts/make_docs.py. Do not edit. -->"
PARAMETERS = f"""\
{NOTE}
# Parameters

Every key of `params.yaml`, its type, its default and its meaning.

- A stage reads the block that has its name, and those that `dvc.yaml` lists beside it.
- A key left out has its default. An unknown key is an error.
- A block that a stage reads must stand in the file; `{{}}` stands for its defaults.
- `lamol init` writes [some values that differ](own-data.md#what-lamol-init-writes).
- [Audit](audit.md) defines the figures of `audit.limits`.

## Single keys
"""
COMMAND_PAGE = f"""\
{NOTE}
# Commands

`lamol COMMAND --help` prints the help and the options. Every command has `--debug`: it shows the
traceback of an error. TASK is a name in `params.yaml`, AFTER the task that it follows. A stage
also reads what `params.yaml` names: a task's source, the backbone's files.

| exit code | meaning |
|---:|---|
| 0 | done |
| 1 | a bug in lamol |
| 2 | wrong usage |
| 3 | wrong configuration or data |
| 4 | a corrupt or missing artefact |
| 5 | training diverged, generation failed, or an audit failed where `mix.gate` is `fail` |
| 130, 143 | stopped by Ctrl-C, or by `kill` |

`dvc repro` has its own: 255 where a stage failed.
"""
HEADER = [markdown_row("key", "type", "default", "meaning"), "|---|---|---|---|"]
QUESTIONS = {figure: f"{check.title}?" for check in CHECKS for figure in check.limits}
README_TABLE = re.compile(r"(<!-- commands -->\n).*?(<!-- end -->)", re.S)
BOUNDS = {
    "ge": "at least",
    "gt": "above",
    "le": "at most",
    "lt": "below",
    "multiple_of": "a multiple of",
}
TASKS: dict[str, str] = {"task": "TASK", "before": "AFTER", "base": "base"}
WORDS = {bool: "true, false", str: "text", int: "integer", float: "number", types.NoneType: "null"}


def parameters_page() -> str:
    """The single keys, then a section for each block, in the order of `Params`."""
    single, sections = [], []
    for name, field in Params.model_fields.items():
        block = field.annotation
        if name == "tasks":
            sections.append(_tasks())
        elif isinstance(block, type) and issubclass(block, Section):
            sections.append(_section(name, block))
        else:
            single.append(_row(name, field, _sentences(Params)[name]))
    return "\n".join([PARAMETERS, *HEADER, *single, "", *sections])


def _tasks() -> str:
    """The block of a task, and the keys of its source: those of every kind, and each kind's own."""
    block = get_args(Params.model_fields["tasks"].annotation)[1]
    common = _rows(Columns, Columns.model_fields)
    kinds: dict[str, list[str]] = {}
    for kind, source in SOURCES.items():
        own = [key for key in source.model_fields if key not in {"kind", *Columns.model_fields}]
        for row in _rows(source, own):
            kinds.setdefault(row, []).append(kind)
    of_a_kind = [f"| {', '.join(names)} {row}" for row, names in kinds.items()]
    return "\n".join(
        [
            *[_section("tasks.TASK", block), "### tasks.TASK.source\n"],
            *["Keys of every kind:\n", *HEADER, *common, ""],
            *["Keys of one kind:\n", f"| kind {HEADER[0]}", f"|---{HEADER[1]}", *of_a_kind, ""],
        ]
    )


def _section(name: str, block: type[Section]) -> str:
    method = f"Parameters of the method `{name}`. " if name in METHODS else ""
    rows = list(_rows(block, block.model_fields))
    if not rows:
        return f"## {name}\n\n{method}There are none.\n"
    about = griffe.Docstring(inspect.getdoc(block) or "").parse("google")[0].value
    return "\n".join([f"## {name}\n", f"{method}{about}\n", *HEADER, *rows, ""])


def _rows(block: type[Section], keys: Iterable[str], prefix: str = "") -> Iterator[str]:
    sentences = _sentences(block)
    for key in keys:
        field = block.model_fields[key]
        name, inner = prefix + (field.alias or key), field.annotation
        if isinstance(inner, type) and issubclass(inner, Limit):
            default = f"`{{warn: {field.default.warn:g}, fail: {field.default.fail:g}}}`"
            yield markdown_row(f"`{name}`", "limits", default, QUESTIONS[key])
        elif isinstance(inner, type) and issubclass(inner, Section):
            yield from _rows(inner, inner.model_fields, f"{name}.")
        else:
            yield _row(name, field, sentences[key])


def _row(name: str, field: FieldInfo, sentence: str) -> str:
    default = "required" if field.is_required() else f"`{json.dumps(_default(field))}`"
    return markdown_row(f"`{name}`", _type(field), default, sentence)


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def _sentences(block: type[Section]) -> dict[str, str]:
    """The sentence of each key, from the `Attributes` in the docstrings of a block and its bases.
    A key without one is a KeyError later."""
    return {
        item.name: " ".join(item.description.split())
        for base in reversed(block.__mro__)
        for part in griffe.Docstring(base.__doc__ or "").parse("google")
        if part.kind is griffe.DocstringSectionKind.attributes
        for item in part.value
    }


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{word} {getattr(bound, key):g}"
        for bound in field.metadata
        for key, word in BOUNDS.items()
        if hasattr(bound, key)
    ]
    return ", ".join([_words(field.annotation), *bounds])


def _words(kind: Any) -> str:
    """The words for a type: `Literal` by its values, a union by its members."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _words(inside[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inside)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_words, inside)))
    if origin in (list, tuple):
        return f"list of {_words(inside[0])}"
    return "mapping" if origin is dict else WORDS.get(kind, "source")


def commands_page() -> str:
    """Every command with its help, its arguments and its options."""
    group: Any = get_command(app)
    lines = [COMMAND_PAGE]
    for panel, commands in COMMANDS.items():
        lines.append(f"## {panel}\n")
        for example in commands:
            name = example.split()[0]
            context = group.make_context("lamol", [name], resilient_parsing=True)
            _, command, _ = group.resolve_command(context, [name])
            about, shown = str(command.help).split("\n\nExample: ")
            lines += [f"### lamol {name}\n", about, "", f"    {shown}", ""]
            lines += [*_files(name), *_options(command), ""]
    return "\n".join(lines).rstrip() + "\n"


def _files(name: str) -> list[str]:
    """What a stage reads and writes; [] for other commands."""
    if (stage := STAGES.get(name)) is None:
        return []
    reads = [_path(read.artifact, TASKS[read.of], read.part) for read in stage.reads]
    writes = [_path(one, TASKS["task" if stage.of_task else "base"]) for one in stage.writes]
    blocks = [f"`{block.replace('${key}', 'TASK')}`" for block in stage.blocks]
    parts = {"Reads": reads, "Writes": writes, "Blocks of `params.yaml`": blocks}
    return [f"- {title}: {', '.join(items) or 'none'}." for title, items in parts.items()] + [""]


def _path(artifact: Artifact, task: str, part: str = "") -> str:
    path = artifact.path.format(task=task)
    return f"`{path}/{part}`" if part else f"`{path}`"


def _options(command: Any) -> list[str]:
    rows = [
        markdown_row(f"`{_names(param)}`", str(param.help))
        for param in command.params
        if param.name not in ("help", "debug")
    ]
    return [markdown_row("argument or option", "meaning"), "|---|---|", *rows] if rows else []


def _names(param: Any) -> str:
    if param.opts[0][0] != "-":
        return str(param.metavar or param.name).upper()
    kind = param.type_descriptor.annotation
    value = "|".join(get_args(kind)) if get_origin(kind) is Literal else "VALUE"
    return ", ".join(param.opts) + ("" if param.is_flag else f" {param.metavar or value}")


def readme() -> str:
    """README.md with its table of commands."""
    rows = [
        markdown_row(f"`lamol {example.split()[0]}`", text)
        for commands in COMMANDS.values()
        for example, text in commands.items()
    ]
    table = "\n".join([markdown_row("command", "what it does"), "|---|---|", *rows])
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return README_TABLE.sub(rf"\1\n{table}\n\n\2", text)


PAGES = {
    "README.md": readme,
    "docs/parameters.md": parameters_page,
    "docs/commands.md": commands_page,
}


def main() -> None:
    for name, page in PAGES.items():
        (ROOT / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
