"""Read params.yaml, apply `--set` overrides, and validate its blocks."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.composer import ComposerError
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode

from lamol_core import __version__
from lamol_core.config.errors import sentences
from lamol_core.errors import ConfigError, UsageError, numbered, one_line

B = TypeVar("B", bound=BaseModel)


def read_params(path: Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """params.yaml as plain data. Each override, `key.sub=value`, replaces a value (read as YAML).

    Raises ConfigError where the file is missing or is not a YAML mapping, UsageError for a
    malformed override."""
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file. Run in the folder of a sequence, or make one: `lamol init DIR`."
        )
    yaml = YAML(typ="safe", pure=True)  # its errors name the alias; those of the parser in C do not
    try:
        data = yaml.load(path.read_text(encoding="utf-8"))
    except DuplicateKeyError as error:
        raise ConfigError(f"{path}: {_twice(path)}. Rename or delete one.") from error
    except (YAMLError, ValueError) as error:  # an impossible date is a ValueError
        hint = " Each alias `*name` needs an anchor `&name` above it."
        advice = hint if isinstance(error, ComposerError) else ""
        raise ConfigError(f"{path}: not readable as YAML: {one_line(error)}.{advice}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: not a mapping. It needs at least the key `tasks:`.")
    for override in overrides:
        _apply_override(data, override, yaml)
    return data


def read_own_params(path: Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Like `read_params`. Also raises ConfigError where the file was made for another version of
    lamol."""
    data = read_params(path, overrides)
    for problem in version_problems(data):
        raise ConfigError(f"{path}: {problem}")
    return data


def version_problems(data: Mapping[str, Any]) -> list[str]:
    """A sentence where params.yaml names another version of lamol than the installed one; else
    []."""
    wanted = data.get("lamol_version")
    if wanted in (None, __version__):
        return []
    return [
        f"lamol_version is {wanted}, but {__version__} is installed. Write the installed version "
        "there (every stage then runs again), or install the other."
    ]


def validate(model: type[B], value: object, key: str = "") -> tuple[B | None, list[str]]:
    """Validate a block of params.yaml; returns it as `model` and its problems, a sentence each. The
    block is None where there are problems. `key` is the block's own key."""
    try:
        return TypeAdapter(model).validate_python(value), []
    except ValidationError as error:
        return None, sentences(error, model, value, key)


def params_error(
    problems: Iterable[str], overridden: bool = False, path: Path = Path("params.yaml")
) -> ConfigError:
    """The error that lists these problems of params.yaml. `overridden`: whether --set was used."""
    listed = list(problems)
    where = f"{path} with --set" if overridden else str(path)
    return ConfigError(f"{where}: {numbered(listed)}")


def round_trip_yaml() -> YAML:
    """A reader and writer of YAML that keeps comments and the order of keys."""
    yaml = YAML()
    yaml.width = 100
    return yaml


def _apply_override(data: dict[str, Any], override: str, yaml: YAML) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UsageError(f"--set {override}: wanted key=value, like lamol_kd.temperature=4.")
    node = data
    *parents, last = key.split(".")
    for part in parents:
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            empty = "is empty in params.yaml. Delete its line, or give it keys."
            why = empty if child is None else "is a value, it has no keys below it."
            raise ConfigError(f"--set {override}: {part!r} {why}")
        node = child
    try:
        node[last] = yaml.load(text)
    except (YAMLError, ValueError) as error:
        raise UsageError(f"--set {override}: the value is not YAML: {one_line(error)}.") from error


def _twice(path: Path) -> str:
    """A text that names every repeated key of a YAML file with its line numbers."""
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
