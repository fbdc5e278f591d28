"""What is wrong with a block of params.yaml, in sentences that name the key."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lamol_core.errors import did_you_mean, nearest


def sentences(error: ValidationError, model: type[BaseModel], place: str = "") -> list[str]:
    """A sentence for each wrong key of a block; `place` is where the block stands, "" for the
    whole file."""
    return [_sentence(dict(detail), model, place) for detail in error.errors()]


def _sentence(detail: dict[str, Any], model: type[BaseModel], place: str) -> str:
    location = _without_tags([str(part) for part in detail["loc"]], model)
    key = ".".join([place, *location] if place else location)
    if detail["type"] == "extra_forbidden":
        return _unknown_key(location, model, place)
    if detail["type"] == "missing":
        return f"{key}: missing."
    if detail.get("input") is None and detail["type"] in ("model_type", "dict_type"):
        return f"{key}: nothing stands below it. Delete the line, or give it keys."
    given = repr(detail.get("input"))
    shown = given if len(given) <= 60 else given[:57] + "..."
    message = detail["msg"].removeprefix("Value error, ")
    return f"{key}: {message} (given: {shown})."


def _without_tags(location: Sequence[str], model: type[BaseModel]) -> list[str]:
    """The keys of the user's file: pydantic names the member of a union in between, by its tag."""
    kept: list[str] = []
    sections: list[type[BaseModel]] = [model]
    for part in location:
        members = [section for section in sections if part in _tags(section)]
        if len(sections) > 1 and members:
            sections = members
            continue
        kept.append(part)
        sections = _below(sections, part) or sections
    return kept


def _tags(section: type[BaseModel]) -> tuple[str, ...]:
    field = section.model_fields.get("kind")
    return get_args(field.annotation) if field is not None else ()


def _unknown_key(location: Sequence[str], model: type[BaseModel], place: str) -> str:
    """Where the key stands elsewhere, or what it may be a slip of: in its own section first."""
    *above, key = location
    prefix = f"{place}." if place else ""
    keys = dict(_all_keys(model, prefix))
    places = [where for where, name in keys.items() if name == key]
    hint = did_you_mean(key, _keys_of(_sections_at(above, model)))
    if places:
        hint = f" (did you mean {' or '.join(places)}?)"
    elif not hint and (near := nearest(key, keys.values())):
        hint = f" (did you mean {' or '.join(p for p, name in keys.items() if name == near)}?)"
    return f"{prefix}{'.'.join(location)}: unknown key{hint}."


def _all_keys(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key below a section: where it stands, and its last part. Of a list's items and a
    mapping's values the keys stand once."""
    for name, field in section.model_fields.items():
        key = field.alias or name
        yield f"{prefix}{key}", key
        below = f"{prefix}{key}.*." if _is_mapping(field.annotation) else f"{prefix}{key}."
        if not _is_list(field.annotation):
            for part in _sections_in(field.annotation):
                yield from _all_keys(part, below)


def _is_mapping(annotation: object) -> bool:
    return getattr(annotation, "__origin__", None) is dict


def _is_list(annotation: object) -> bool:
    return getattr(annotation, "__origin__", None) is list


def _sections_at(location: Sequence[str], model: type[BaseModel]) -> list[type[BaseModel]]:
    """The sections (of a union: its members) that keys lead to; names of tasks and places in lists
    lead no further."""
    sections: list[type[BaseModel]] = [model]
    for part in location:
        sections = _below(sections, part) or sections
    return sections


def _below(sections: Sequence[type[BaseModel]], key: str) -> list[type[BaseModel]]:
    return [
        section
        for above in sections
        for name, field in above.model_fields.items()
        if (field.alias or name) == key
        for section in _sections_in(field.annotation)
    ]


def _sections_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_in(part)]


def _keys_of(sections: Iterable[type[BaseModel]]) -> set[str]:
    return {
        field.alias or name for section in sections for name, field in section.model_fields.items()
    }
