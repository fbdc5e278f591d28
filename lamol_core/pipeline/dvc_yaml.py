"""dvc.yaml: the one of a new folder, and one held against its params.yaml."""

import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lamol_core.artifacts.spec import DATA, maker
from lamol_core.data.sources.registry import parse_source
from lamol_core.parameters import Params

CODE = ("stages/", "lamol_core/")
"""How a code dependency of the checkout's dvc.yaml begins."""
SOURCE = "${item.source.path}"
"""What `prepare` depends on in a folder whose tasks are all read from files."""
PARAMETER = re.compile(r"(?<!\\)\$\{")
"""Where DVC puts a parameter in."""


def read_pipeline() -> str:
    """The text of the checkout's dvc.yaml; a wheel carries it beside this file."""
    packaged = resources.files("lamol_core.pipeline") / "dvc.yaml"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "dvc.yaml").read_text(encoding="utf-8")


def adapt_pipeline(text: str, params: Mapping[str, Any]) -> str:
    """dvc.yaml for a folder without lamol's code: the installed version stands for it.

    `prepare` depends on each task's file, `backbone` on the files its tokenizer is trained on. All
    other lines stay as they are."""
    stages: list[str] = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if not _is_code(line)]
        files = _files_of_stage(lines, params)
        stages.append("\n".join(_with_version(lines, files)))
    return "\n\n".join(stages)


def _is_code(line: str) -> bool:
    entries = [entry for entry in line.strip().split(", ") if entry]
    return bool(entries) and all(entry.startswith(CODE) for entry in entries)


def _files_of_stage(lines: list[str], params: Mapping[str, Any]) -> list[str]:
    """What a stage depends on in the user's files, as it is written into dvc.yaml."""
    names = {line.strip().removesuffix(":") for line in lines if line.startswith("  ")}
    sources = [task["source"] for task in params["tasks"].values()]
    if "prepare" in names and None not in map(_file_of, sources):
        return [f'"{SOURCE}"']
    if "backbone" in names and params["backbone"]["kind"] == "nano":
        paths = map(_file_of, params["backbone"]["nano"]["corpus"])
        # DVC would take ${ for the beginning of a parameter
        escaped = [path.replace("${", "\\${") for path in paths if path is not None]
        return [json.dumps(path, ensure_ascii=False) for path in escaped]
    return []


def _file_of(source: Any) -> str | None:
    """The file or folder that a well-formed block reads; None for a demo's or a hub's rows."""
    return parse_source(source).local_path


def _with_version(lines: list[str], files: list[str]) -> list[str]:
    """A stage's lines with `lamol_version` among its parameters, and these files in its deps."""
    written: list[str] = []
    has_params = any(line.strip().startswith("params:") for line in lines)
    for place, line in enumerate(lines):
        indent = line[: len(line) - len(line.lstrip())]
        if line.strip().startswith("params: ["):
            line = line.replace("params: [", "params: [lamol_version, ", 1)
        if line.strip() == "deps: [":
            if not has_params:
                written.append(f"{indent}params: [lamol_version]")
            if not files and lines[place + 1].strip() == "]":
                continue
            written += [line, *(f"{indent}  {file}," for file in files)]
            continue
        if line.strip() == "]" and lines[place - 1].strip() == "deps: [" and not files:
            continue
        written.append(line)
    return written


def pipeline_problems(params: Params, root: Path) -> list[str]:
    """Where dvc.yaml can't have the tasks of params.yaml, or depends on a file that is gone."""
    file = root / "dvc.yaml"
    if not file.is_file():
        return []
    try:
        listed, of_prepare = _files_of(file, "backbone"), _files_of(file, "prepare")
    except (YAMLError, UnicodeDecodeError) as error:
        return [f"{file}: not readable as YAML: {' '.join(str(error).split())}."]
    corpus = params.backbone.nano.corpus
    read = [place.resolve() for source in corpus if (place := source.place(root)) is not None]
    problems = [
        f"dvc.yaml: `backbone` depends on {dep}, which is not there: DVC stops at it. Write what "
        "backbone.nano.corpus reads in its place, or take the line out."
        for dep in listed
        if not PARAMETER.search(dep) and not (at := root / _plain(dep)).exists()
        if at.resolve() not in read
    ]
    if SOURCE not in of_prepare:
        return problems
    for name, task in params.tasks.items():
        path = task.source.local_path
        if path is None:
            problems.append(
                f"dvc.yaml: `prepare` depends on `{SOURCE}`, and {name} is read from no file, "
                "which DVC can't resolve. Take that line out of `prepare` (DVC then does not see "
                f"when a task's file changes: `dvc repro -f {maker(DATA, 'TASK')}` reads it again)."
            )
        elif path.startswith("~"):
            problems.append(
                f"tasks.{name}.source: DVC knows no `~` ({path}). Write the whole path."
            )
    return problems


def pipeline_hints(params: Params, root: Path) -> list[str]:
    """Files of a nano model's corpus whose change DVC would not see; of a sound dvc.yaml."""
    path = root / "dvc.yaml"
    if params.backbone.kind != "nano" or not path.is_file():
        return []
    listed = _files_of(path, "backbone")
    known = {(root / _plain(dep)).resolve() for dep in listed}
    unseen = [
        str(source.local_path)
        for source in params.backbone.nano.corpus
        if (place := source.place(root)) is not None and place.resolve() not in known
    ]
    if not unseen or any(PARAMETER.search(dep) for dep in listed):
        return []
    return [
        f"dvc.yaml: `backbone` does not depend on {', '.join(unseen)}, of backbone.nano.corpus: "
        "DVC does not see when that changes. Add it to the `deps` there."
    ]


def _files_of(path: Path, name: str) -> list[str]:
    """What a stage depends on beside code, as dvc.yaml has it."""
    content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    stages = content.get("stages") if isinstance(content, dict) else None
    stage = stages.get(name) if isinstance(stages, dict) else None
    body = stage.get("do", stage) if isinstance(stage, dict) else None
    deps = body.get("deps") if isinstance(body, dict) else None
    return [dep for dep in deps or [] if isinstance(dep, str) and not dep.startswith(CODE)]


def _plain(dep: str) -> str:
    """A path without the marks that keep DVC from reading a parameter into it."""
    return dep.replace("\\${", "${")
