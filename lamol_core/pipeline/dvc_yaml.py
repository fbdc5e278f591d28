"""A sequence's dvc.yaml, held against its params.yaml."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lamol_core.parameters import Params

CODE = ("stages/", "lamol_core/")
"""How a code dependency of the checkout's dvc.yaml begins."""
SOURCE = "${item.source.path}"
"""What `prepare` depends on in a folder whose tasks are all read from files."""


def pipeline_problems(params: Params, root: Path) -> list[str]:
    """Where dvc.yaml can't have the tasks of params.yaml, or depends on a file that is gone."""
    file = root / "dvc.yaml"
    if not file.is_file():
        return []
    try:
        listed = _files_of_backbone(file)
    except (YAMLError, UnicodeDecodeError) as error:
        return [f"{file}: not readable as YAML: {' '.join(str(error).split())}."]
    corpus = params.backbone.nano.corpus
    read = [place.resolve() for source in corpus if (place := source.place(root)) is not None]
    problems = [
        f"dvc.yaml: `backbone` depends on {dep}, which is not there: DVC stops at it. Write what "
        "backbone.nano.corpus reads in its place, or take the line out."
        for dep in listed
        if "${" not in dep and not (root / dep).exists() and (root / dep).resolve() not in read
    ]
    if f"- {SOURCE}\n" not in file.read_text(encoding="utf-8"):
        return problems
    for name, task in params.tasks.items():
        path = task.source.local_path
        if path is None:
            problems.append(
                f"dvc.yaml: `prepare` depends on `{SOURCE}`, and {name} is read from no file, "
                "which DVC can't resolve. Take that line out of `prepare` (DVC then does not see "
                "when a task's file changes: `dvc repro -f prepare@TASK` reads it again)."
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
    listed = _files_of_backbone(path)
    known = {(root / dep).resolve() for dep in listed}
    unseen = [
        str(source.local_path)
        for source in params.backbone.nano.corpus
        if (place := source.place(root)) is not None and place.resolve() not in known
    ]
    if not unseen or any("${" in dep for dep in listed):
        return []
    return [
        f"dvc.yaml: `backbone` does not depend on {', '.join(unseen)}, of backbone.nano.corpus: "
        "DVC does not see when that changes. Add it to the `deps` there."
    ]


def _files_of_backbone(path: Path) -> list[str]:
    """What `backbone` depends on beside code, as dvc.yaml has it."""
    content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    stages = content.get("stages") if isinstance(content, dict) else None
    stage = stages.get("backbone") if isinstance(stages, dict) else None
    deps = stage.get("deps") if isinstance(stage, dict) else None
    return [dep for dep in deps or [] if isinstance(dep, str) and not dep.startswith(CODE)]
