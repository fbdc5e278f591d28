"""Turn pydantic's errors about a block of params.yaml into sentences that name the key."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from lamol_core.config.section import Section
from lamol_core.errors import did_you_mean, nearest

ANY_NAME, ANY_INDEX = "*", "#"
"""In the path of a key: any name in a mapping, any index in a list."""


def sentences(
    error: ValidationError, model: type[BaseModel], value: object, key: str = ""
) -> list[str]:
    """A sentence for each wrong key of a block. `value` is the block as the file has it.

    `key` is the block's own key; "" means that the block is the whole file."""
    return [_sentence(dict(detail), model, value, key) for detail in error.errors()]


def _sentence(detail: dict[str, Any], model: type[BaseModel], value: object, block: str) -> str:
    location = _keys_of_file(detail, value)
    key = ".".join([block, *location] if block else location)
    if detail["type"] == "extra_forbidden" and _is_removed(location, model):
        return f"{key}: an earlier version of lamol had this key. Delete the line."
    if detail["type"] == "extra_forbidden":
        return f"{key}: unknown key{_meant(location, model, block)}."
    if detail["type"] == "missing":
        return f"{key}: missing."
    if detail.get("input") is None and detail["type"] in ("model_type", "dict_type"):
        return f"{key}: empty. Delete the line, or add keys below it."
    is_key, scalar = detail["loc"][-1:] == ("[key]",), int | float | date
    if detail["type"] == "string_type" and (is_key or isinstance(detail["input"], scalar)):
        return f"{key}: {unquoted(detail['input'])}"
    given = repr(detail.get("input"))
    shown = given if len(given) <= 60 else given[:57] + "..."
    message = detail["msg"].removeprefix("Value error, ")
    return f"{key}: {message} (given: {shown})."


def unquoted(value: object) -> str:
    """The end of a sentence about a value that YAML does not read as text."""
    return f"YAML reads {value} as {type(value).__name__}, not as text. Put it in quotes."


def _keys_of_file(detail: dict[str, Any], value: Any) -> list[str]:
    """The path of the wrong key in the file. pydantic also names members of unions; they are left
    out."""
    keys, location = [], list(detail["loc"])
    if location[-1:] == ["[key]"]:  # of a mapping, whose name in `loc` is not always the file's
        location[-2:] = []
    for part in location:
        of_list = isinstance(value, list) and isinstance(part, int)
        if of_list or (isinstance(value, Mapping) and part in value):
            value = value[part]
            keys.append(str(part))
    if len(location) < len(detail["loc"]):
        return [*keys, str(detail["input"])]
    return [*keys, str(detail["loc"][-1])] if detail["type"] == "missing" else keys


def _meant(location: Sequence[str], model: type[BaseModel], block: str) -> str:
    """A hint for an unknown key: a similar key of the same section, or the places where the key is
    known; "" without either."""
    *above, key = location
    known = list(dict.fromkeys(_all_keys(model)))
    siblings = [path[-1] for path in known if _is_below(above, path)]
    elsewhere = [path for path in known if ANY_INDEX not in path]
    names = [path[-1] for path in elsewhere]
    if key not in names:
        if hint := did_you_mean(key, siblings):
            return hint
        key = nearest(key, names) or ""
    found = [".".join(filter(None, (block, *path))) for path in elsewhere if path[-1] == key]
    return f" (did you mean {' or '.join(found)}?)" if found else ""


def _is_removed(location: Sequence[str], model: type[BaseModel]) -> bool:
    """Whether an earlier version had this key. The sections above it are no unions."""
    *above, key = location
    for name in above:
        field = model.model_fields.get(name)
        sections = _sections_in(field.annotation) if field else []
        if len(sections) != 1:
            return False
        (model,) = sections
    return issubclass(model, Section) and key in model.removed


def _is_below(above: Sequence[str], path: Sequence[str]) -> bool:
    """Whether `path`, a path of a known key, is one step below the keys `above`."""
    return len(path) == len(above) + 1 and all(
        step in (ANY_NAME, ANY_INDEX, key) for step, key in zip(path, above, strict=False)
    )


def _all_keys(section: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key below a section. Of a union, the keys of every member are listed."""
    for name, field in section.model_fields.items():
        path = (*above, field.alias or name)
        yield path
        steps: dict[Any, tuple[str, ...]] = {dict: (ANY_NAME,), list: (ANY_INDEX,)}
        inner = steps.get(get_origin(field.annotation), ())
        for part in _sections_in(field.annotation):
            yield from _all_keys(part, (*path, *inner))


def _sections_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_in(part)]
