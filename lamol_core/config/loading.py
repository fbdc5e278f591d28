"""Reading params.yaml. Unknown keys are errors; all errors are told at once, a sentence each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.composer import ComposerError
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode

from lamol_core.config.blocks import BASE, RESERVED_NAMES, TASK_NAME, Params
from lamol_core.errors import ConfigError, UsageError, as_list, did_you_mean, nearest


def read_params(path: Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """params.yaml as plain data, with `key.sub=value` overrides laid over it (values are YAML).

    Raises ConfigError when the file is missing or is not a YAML mapping.
    """
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file. Run in the folder of a sequence, or make one: `lamol init DIR`."
        )
    yaml = YAML(typ="safe")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"))
    except DuplicateKeyError as error:
        raise ConfigError(f"{path}: {_twice(path)}. Rename or delete one.") from error
    except ComposerError as error:
        raise ConfigError(
            f"{path}: not readable as YAML: {_one_line(error)}. (`*name` stands for what `&name` "
            "marks: where that was taken out, write it in the first place that names it.)"
        ) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {_one_line(error)}.") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a mapping with at least `tasks:` is expected.")
    for override in overrides:
        _apply_override(data, override, yaml)
    return data


def load_params(path: Path, overrides: Iterable[str] = ()) -> Params:
    """Read, check and freeze params.yaml. Raises ConfigError that names every wrong key."""
    data = read_params(path, overrides)
    problems = find_problems(data)
    if problems:
        where = f"{path} with --set" if overrides else path
        raise ConfigError(f"{where}: {len(problems)} to mend:{as_list(problems)}")
    return Params.model_validate(data)


def find_problems(data: Mapping[str, Any]) -> list[str]:
    """All that is wrong with the text of params.yaml, one sentence each; sources are not opened."""
    problems: list[str] = []
    try:
        Params.model_validate(dict(data))
    except ValidationError as error:
        problems += [_sentence(dict(detail)) for detail in error.errors()]
    tasks = data.get("tasks")
    if isinstance(tasks, Mapping):
        problems += find_order_problems(tasks)
    return problems


def find_order_problems(tasks: Mapping[Any, Any]) -> list[str]:
    """Names outside the pattern, unknown predecessors, cycles."""
    problems = [] if tasks else ["tasks: no task is listed."]
    for name, task in tasks.items():
        if not isinstance(name, str) or not TASK_NAME.fullmatch(name) or name in RESERVED_NAMES:
            problems.append(
                f"tasks.{name}: not a task name (wanted {TASK_NAME.pattern}, and none of "
                f"{', '.join(RESERVED_NAMES)})."
            )
        after = _after(task)
        if after is not None and after != BASE and after not in tasks:
            hint = did_you_mean(str(after), [*map(str, tasks), BASE])
            problems.append(f"tasks.{name}.after: there is no task {after!r}{hint}.")
    return problems + [
        f"tasks: {' -> '.join(map(str, cycle))} is a cycle; one of them must be after {BASE!r}."
        for cycle in _cycles(tasks)
    ]


def _after(task: Any) -> str | None:
    """The predecessor that a task's block names, if it names one as it should."""
    after = task.get("after") if isinstance(task, Mapping) else None
    return after if isinstance(after, str) else None


def _cycles(tasks: Mapping[Any, Any]) -> list[list[Any]]:
    cycles: list[list[Any]] = []
    done: set[Any] = set()
    for start in tasks:
        path: list[Any] = []
        name = start
        while name in tasks and name not in done and name not in path:
            path.append(name)
            name = _after(tasks[name])
        if name in path:
            cycles.append([*path[path.index(name) :], name])
        done.update(path)
    return cycles


def _sentence(detail: dict[str, Any]) -> str:
    location = [str(part) for part in detail["loc"]]
    # pydantic names the member of a union in the path: that is no key of the user's file
    if location[0] == "tasks" and location[2:3] == ["source"]:
        del location[3:4]
    if location[:3] == ["backbone", "nano", "corpus"]:
        del location[4:5]
    key = ".".join(location)
    if detail["type"] == "extra_forbidden":
        return _unknown_key(location)
    if detail["type"] == "missing":
        return f"{key}: missing."
    if detail.get("input") is None and detail["type"] in ("model_type", "dict_type"):
        if key == "tasks":
            return "tasks: names no task. Name at least one below it."
        return f"{key}: nothing stands below it. Delete the line, or give it keys."
    given = repr(detail.get("input"))
    shown = given if len(given) <= 60 else given[:57] + "..."
    message = detail["msg"].removeprefix("Value error, ")
    return f"{key}: {message} (given: {shown})."


def _unknown_key(location: Sequence[str]) -> str:
    """Where the key stands elsewhere, or what it may be a slip of: in its own section first."""
    *above, key = location
    keys = dict(_all_keys(Params))
    places = [place for place, name in keys.items() if name == key]
    hint = did_you_mean(key, _keys_of(_sections_at(above)))
    if places:
        hint = f" (did you mean {' or '.join(places)}?)"
    elif not hint and (near := nearest(key, keys.values())):
        hint = f" (did you mean {' or '.join(p for p, name in keys.items() if name == near)}?)"
    return f"{'.'.join(location)}: unknown key{hint}."


def _all_keys(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key of params.yaml below a section: where it stands, and its last part. (Sources of a
    nano model's corpus have the keys of a task's.)"""
    for name, field in section.model_fields.items():
        key = field.alias or name
        yield f"{prefix}{key}", key
        if key == "corpus":
            continue
        below = f"{prefix}{key}.TASK." if key == "tasks" else f"{prefix}{key}."
        for part in _sections_in(field.annotation):
            yield from _all_keys(part, below)


def _sections_at(location: Sequence[str]) -> list[type[BaseModel]]:
    """The sections (of a union: its members) that keys lead to; names of tasks, places in lists and
    members of unions lead no further."""
    sections: list[type[BaseModel]] = [Params]
    for part in location:
        below = [
            section
            for above in sections
            for name, field in above.model_fields.items()
            if (field.alias or name) == part
            for section in _sections_in(field.annotation)
        ]
        sections = below or sections
    return sections


def _sections_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_in(part)]


def _keys_of(sections: Iterable[type[BaseModel]]) -> set[str]:
    return {
        field.alias or name for section in sections for name, field in section.model_fields.items()
    }


def _apply_override(data: dict[str, Any], override: str, yaml: YAML) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UsageError(f"--set {override}: wanted key=value, like lamol_kd.temperature=4.")
    node = data
    *parents, last = key.split(".")
    for part in parents:
        child = node.setdefault(part, {})
        if child is None:
            raise ConfigError(
                f"--set {override}: in params.yaml nothing stands below {part!r}. Delete its line, "
                "or give it keys."
            )
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: {part!r} is a value, it has no keys below it.")
        node = child
    try:
        node[last] = yaml.load(text)
    except YAMLError as error:
        raise UsageError(f"--set {override}: the value is not YAML: {_one_line(error)}.") from error


def _twice(path: Path) -> str:
    """Which keys a YAML file lists twice, each with its place."""
    found: list[str] = []

    def walk(node: Any, above: tuple[str, ...]) -> None:
        lines: dict[str, int] = {}
        for key, value in node.value if isinstance(node, MappingNode) else ():
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                what = "task" if above == ("tasks",) else "key"
                shown = name if what == "task" else ".".join((*above, name))
                found.append(f"{what} {shown!r} is listed twice (lines {lines[name]} and {line})")
            lines[name] = line
            walk(value, (*above, name))
        for item in node.value if isinstance(node, SequenceNode) else ():
            walk(item, above)

    walk(YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8")), ())
    return "; ".join(found)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def resolve_path(path: str, root: Path) -> Path:
    """A path of params.yaml, whose folder `root` is: `~` expanded, absolute ones as they are."""
    try:
        return root / Path(path).expanduser()
    except RuntimeError:  # the home of a user that is not there
        return root / path


def originals(path: Path) -> list[Path]:
    """Where a path in a copy that `dvc exp run --temp` or `--queue` made may lie in the project
    itself, which is the copy's own layout below DVC's root or Git's; [] outside of copies."""
    parts = path.resolve().parts
    for i in range(len(parts)):
        if parts[i : i + 3] == (".dvc", "tmp", "exps"):
            inside = parts[i + 4 :]
            return [Path(*parts[:i], *inside[k:]) for k in range(len(inside) + 1)]
    return []


def say_missing(path: Path, given: str, root: Path) -> str:
    """That a path of params.yaml is not there, and why that may be."""
    if not given.startswith(("/", "~")) and originals(root):
        return (
            f"{path}: no such file or folder in this copy of the project. `dvc exp run --temp` "
            "and `--queue` copy only what Git or DVC track, and relative paths that lead out "
            "of the project do not resolve there: give `path` as an absolute path."
        )
    return f"{path}: no such file or folder. A relative `path` starts at the folder of params.yaml."
