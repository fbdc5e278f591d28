"""Every kind of source is complete, and its block's errors are named as in the file."""

import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

import lamol_core.data.sources
from lamol_core.data.sources.registry import SOURCES, SUFFIXES, Source, parse_source, read_texts
from lamol_core.data.sources.spec import SourceSpec
from lamol_core.parameters import compose
from tests.code_imports import PACKAGES, ROOT, imported_files
from tests.data.sources.tables import PAIRS, make, rows_of, write
from tests.messages import names

FOLDER = Path(lamol_core.data.sources.__file__).parent
BLOCK = {"task": "home", "path": "gone"}


def block_of(kind: str, **more: Any) -> dict[str, Any]:
    """The least that a kind takes, of a source that is not there or in the package."""
    fields = SOURCES[kind].model_fields
    return {"kind": kind, **{key: BLOCK[key] for key in BLOCK if key in fields}, **more}


@pytest.mark.parametrize("kind", SOURCES)
class TestEveryKind:
    def test_it_is_complete(self, kind: str) -> None:
        source = SOURCES[kind]
        assert get_args(source.model_fields["kind"].annotation) == (kind,), "one name, its own"
        assert "__doc__" in vars(source) and source.__doc__
        assert Path(inspect.getfile(source)) == FOLDER / f"{kind}.py"
        assert not inspect.isabstract(source)
        assert all(suffix.startswith(".") for suffix in source.suffixes)

    def test_only_the_registry_knows_it(self, kind: str) -> None:
        own = FOLDER / f"{kind}.py"
        files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
        users = [path.name for path in files if own in imported_files(path)]
        assert users == ["registry.py"]
        beside = [path for path in FOLDER.parent.rglob("*.py") if path != own]
        spelt = re.compile(rf"kind: {kind}\b|[\"']{kind}[\"']")
        assert [path.name for path in beside if spelt.search(path.read_text("utf-8"))] == []

    def test_a_block_becomes_its_source_and_is_the_same_again(self, kind: str) -> None:
        source = parse_source(block_of(kind, limit_train=3))
        assert type(source) is SOURCES[kind]
        assert parse_source(source.model_dump(mode="json")) == source

    def test_what_others_ask_of_it(self, kind: str, tmp_path: Path) -> None:
        source = make(**block_of(kind))
        assert source.overlaps(source, tmp_path)
        assert source.resolved(tmp_path).resolved(Path("/elsewhere")) == source.resolved(tmp_path)
        place = source.location(tmp_path)
        assert (place is None) == (source.local_path is None)
        assert source.files(tmp_path) == ({place} if place else set()), "gone: its place"
        inside = source.location_problems([tmp_path, tmp_path / "other"], tmp_path)
        assert [names(problem, tmp_path) for problem in inside] == [True] * bool(place)

    def test_its_errors_are_named_as_in_the_file(self, kind: str) -> None:
        block = {"after": "base", "source": block_of(kind, zzz=1, limit_train=0)}
        corpus = {"nano": {"corpus": [block["source"]]}}
        _, problems = compose({"tasks": {kind: block}, "backbone": corpus})
        keys = [problem.partition(":")[0] for problem in problems]
        for place in (f"tasks.{kind}.source", "backbone.nano.corpus.0"):
            assert f"{place}.zzz" in keys and f"{place}.limit_train" in keys
        assert len(keys) == 4


def test_a_suffix_belongs_to_one_kind() -> None:
    suffixes = [suffix for source in SOURCES.values() for suffix in source.suffixes]
    assert sorted(suffixes) == sorted(SUFFIXES)
    for suffix, kind in SUFFIXES.items():
        assert suffix in SOURCES[kind].suffixes


def test_an_unknown_kind_is_told_with_the_known_ones() -> None:
    with pytest.raises(ValidationError):
        parse_source({"kind": "xml", "path": "x"})
    _, (problem,) = compose({"tasks": {"a": {"after": "base", "source": {"kind": "xml"}}}})
    assert problem.startswith("tasks.a.source:") and names(problem, "xml", *SOURCES)


def test_a_source_is_frozen() -> None:
    source = make(**block_of(next(iter(SOURCES))))
    with pytest.raises(ValidationError):
        source.input = "text"  # type: ignore[misc]


def test_an_unfinished_kind_cannot_be_made() -> None:
    class Unfinished(SourceSpec):
        """A kind that does not say what it reads."""

    with pytest.raises(TypeError):
        Unfinished(kind="unfinished")  # type: ignore[abstract]


def test_a_tokenizer_gets_the_texts_of_training_rows_within_limits(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", rows_of(*PAIRS))
    sources: list[Source] = [make(kind="jsonl", path="x.jsonl", limit_train=n) for n in (1, 2)]
    expected = [text for n in (1, 2) for pair in PAIRS[:n] for text in pair]
    assert read_texts(sources, tmp_path) == expected
