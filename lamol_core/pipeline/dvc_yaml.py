"""Writes dvc.yaml for a new folder, and checks whether a dvc.yaml agrees with its params.yaml."""

import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lamol_core import __version__
from lamol_core.artifacts.spec import DATA, maker
from lamol_core.data.sources.registry import parse_source
from lamol_core.errors import one_line
from lamol_core.parameters import Params
from lamol_core.reporting.comparison.finished_runs import flatten

CODE = ("stages/", "lamol_core/")
"""The code dependencies in the checkout's dvc.yaml begin with one of these."""
SOURCE = "${item.source.path}"
"""The dependency of `prepare` in a folder whose tasks are all read from files."""
PARAMETER = re.compile(r"(?<!\\)\$\{")
"""Matches the beginning of an expression that DVC replaces by a parameter."""
CODE_LINE = re.compile(r"^ *(?:(?:stages|lamol_core)/\S+ ?)+\n", re.MULTILINE)
DEPS = re.compile(r"^( *)deps: \[\n", re.MULTILINE)
NO_DEPS = re.compile(r"^ *deps: \[\n *\]\n", re.MULTILINE)


def read_pipeline() -> str:
    """Return the text of the checkout's dvc.yaml; a wheel holds a copy beside this file."""
    packaged = resources.files("lamol_core.pipeline") / "dvc.yaml"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "dvc.yaml").read_text(encoding="utf-8")


def adapt_pipeline(text: str, params: Mapping[str, Any]) -> str:
    """Return dvc.yaml for a folder without lamol's code: stages depend on the installed version
    instead.

    `prepare` depends on each task's file, `backbone` on the files its tokenizer is trained on.
    All other lines stay as they are."""
    return "\n\n".join(_adapt_stage(stage, params) for stage in text.split("\n\n"))


def _adapt_stage(text: str, params: Mapping[str, Any]) -> str:
    if "params: [" in text:
        text = text.replace("params: [", "params: [lamol_version, ", 1)
    else:
        text = DEPS.sub(r"\1params: [lamol_version]\n\g<0>", text)
    files = _files_of_stage(text, params)
    text = DEPS.sub(
        lambda deps: deps[0] + "".join(f"{deps[1]}  {file},\n" for file in files),
        CODE_LINE.sub("", text),
    )
    return NO_DEPS.sub("", text)


def _files_of_stage(text: str, params: Mapping[str, Any]) -> list[str]:
    """Return the user's files that a stage depends on, as dvc.yaml spells them. `text` is the
    stage."""
    sources = [parse_source(task["source"]) for task in params["tasks"].values()]
    if "  prepare:" in text and all(source.local_path is not None for source in sources):
        return [f'"{SOURCE}"']
    if "  backbone:" in text and params["backbone"]["kind"] == "nano":
        paths = (parse_source(block).local_path for block in params["backbone"]["nano"]["corpus"])
        # DVC would take ${ for the beginning of a parameter
        escaped = [path.replace("${", "\\${") for path in paths if path is not None]
        return [json.dumps(path, ensure_ascii=False) for path in escaped]
    return []


def pipeline_problems(params: Params, root: Path) -> list[str]:
    """Return a sentence for each problem of dvc.yaml at which DVC would stop: a missing
    parameter or file, or a task that is read from no file."""
    path = root / "dvc.yaml"
    try:
        stages = _read_stages(path)
    except (YAMLError, ValueError) as error:
        return [f"{path}: not readable as YAML: {one_line(error)}."]
    problems = []
    listed = [name for stage in stages.values() for name in stage.get("params") or ()]
    if "lamol_version" in listed and "lamol_version" not in params.model_fields_set:
        problems.append(
            "lamol_version: missing, and dvc.yaml has it as a parameter. Write `lamol_version: "
            f"{__version__}`."
        )
    corpus = params.backbone.nano.corpus
    read = [file.resolve() for source in corpus if (file := source.location(root)) is not None]
    problems += [
        f"dvc.yaml: `backbone` depends on {dep}, which is missing: DVC stops at it. Name what "
        "backbone.nano.corpus reads there, or delete the line."
        for dep in _files_of(stages, "backbone")
        if not PARAMETER.search(dep) and not (dep_path := root / _plain(dep)).exists()
        if dep_path.resolve() not in read
    ]
    for name, task in params.tasks.items() if SOURCE in _files_of(stages, "prepare") else ():
        given = task.source.local_path
        if given is None:
            problems.append(
                f"dvc.yaml: `prepare` depends on `{SOURCE}`, but {name} is read from no file: DVC "
                "stops at it. Delete that line of `prepare`, and run "
                f"`dvc repro -f {maker(DATA, 'TASK')}` after a change of a task's file."
            )
        elif given.startswith("~"):
            problems.append(
                f"tasks.{name}.source: DVC does not expand `~` ({given}). Write the whole path."
            )
    return problems


def pipeline_hints(params: Params, root: Path) -> list[str]:
    """Return a sentence on the files of a nano model's corpus whose changes DVC would not see;
    [] where it sees all. dvc.yaml must have no `pipeline_problems`."""
    stages = _read_stages(root / "dvc.yaml")
    listed = _files_of(stages, "backbone")
    known = {(root / _plain(dep)).resolve() for dep in listed}
    unseen = [
        str(source.local_path)
        for source in params.backbone.nano.corpus
        if (file := source.location(root)) is not None and file.resolve() not in known
    ]
    is_nano = params.backbone.kind == "nano"
    if not (stages and is_nano and unseen) or any(PARAMETER.search(dep) for dep in listed):
        return []
    return [
        f"dvc.yaml: `backbone` does not depend on {', '.join(unseen)}, of backbone.nano.corpus: "
        "DVC does not see when that changes. Add it to the `deps` there."
    ]


def interpolation_hints(data: Mapping[str, Any]) -> list[str]:
    """Return a sentence on the texts of params.yaml (`data`) that hold `${`; [] where none does.
    `dvc repro` leaves them alone, but `dvc exp run -S` replaces `${...}` (OmegaConf) or fails."""
    keys = [key for key, value in flatten(data).items() if "${" in str(value)]
    if not keys:
        return []
    return [
        f"{', '.join(keys)}: `dvc exp run -S` takes `${{` for the beginning of a parameter. Rename "
        "the file or column if you use that; `dvc repro` reads it as it is."
    ]


def _read_stages(path: Path) -> dict[str, Any]:
    """Return the body of each stage by its name; {} where dvc.yaml is missing, or holds nothing
    that DVC reads as stages."""
    if not path.is_file():
        return {}
    try:
        stages = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["stages"].items()
        bodies = {name: stage.get("do", stage) for name, stage in stages}
    except (AttributeError, KeyError, TypeError):
        return {}
    return {name: body for name, body in bodies.items() if isinstance(body, dict)}


def _files_of(stages: Mapping[str, Any], name: str) -> list[str]:
    """Return the files other than code that a stage depends on."""
    deps = stages.get(name, {}).get("deps") or []
    return [dep for dep in deps if isinstance(dep, str) and not dep.startswith(CODE)]


def _plain(dep: str) -> str:
    """Return a path without the backslashes that keep DVC from reading `${` as a parameter."""
    return dep.replace("\\${", "${")
