"""Shared spans and near rows, against searches that compare everything."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from lamol_core.audit.memorisation import neighbours
from lamol_core.audit.memorisation.neighbours import nearest_rows
from lamol_core.audit.memorisation.spans import longest_shared_spans
from tests.audit.corpus import sentence


def naive(row: list[str], corpus: list[list[str]]) -> int:
    best = 0
    for other in corpus:
        for i in range(len(row)):
            for j in range(len(other)):
                n = 0
                while i + n < len(row) and j + n < len(other) and row[i + n] == other[j + n]:
                    n += 1
                best = max(best, n)
    return best


def test_spans_are_the_longest_and_stand_where_they_say() -> None:
    chooser = random.Random(0)
    for alphabet in ("ab", "abcdefgh", [f"w{i}" for i in range(60)]):

        def some(alphabet: Sequence[str] = alphabet) -> list[list[str]]:
            return [chooser.choices(alphabet, k=chooser.randrange(12)) for _ in range(20)]

        corpus, rows = some(), some()
        spans = longest_shared_spans(rows, corpus)
        for place, row in enumerate(rows):
            words = int(spans.words[place])
            assert words == naive(row, corpus)
            if not words:
                assert spans.group[place] == -1 and spans.corpus_row(place) == -1
                continue
            start = int(spans.start[place])
            shared = row[start : start + words]
            having = [i for i, other in enumerate(corpus) if has_run(other, shared)]
            assert spans.corpus_rows[spans.group[place]].tolist() == having
            assert spans.corpus_row(place) == having[0]
            earlier = [row[i : i + words] for i in range(start)]
            assert not any(has_run(other, run) for run in earlier for other in corpus)


def has_run(row: list[str], run: list[str]) -> bool:
    return any(row[i : i + len(run)] == run for i in range(len(row) - len(run) + 1))


def test_spans_never_cross_rows() -> None:
    assert longest_shared_spans([["a", "b"]], [["a"], ["b"]]).words.tolist() == [1]
    found = longest_shared_spans([["a"], ["b"]], [["a", "b"]])
    assert found.words.tolist() == [1, 1] and found.start.tolist() == [0, 0]
    for rows, corpus in (([[]], [["a"]]), ([["a"]], [])):
        assert longest_shared_spans(rows, corpus).words.tolist() == [0]
    assert not len(longest_shared_spans([], [["a"]]).words)


@pytest.fixture(params=["all pairs", "by an index"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by an index":
        monkeypatch.setattr(neighbours, "ALL_PAIRS", 0)


@pytest.mark.usefixtures("way")
def test_a_lightly_edited_row_is_found_among_many() -> None:
    chooser = random.Random(0)
    texts = [sentence(chooser) for _ in range(400)]
    changed = [texts[place].replace("the ", "this ", 1) for place in range(0, 400, 20)]
    for place, found in zip(range(0, 400, 20), nearest_rows(changed, texts), strict=True):
        assert found.rows == (place,) and 0.9 <= found.similarity < 1.0
    same, none = nearest_rows([texts[7], "%%%%%%%%%%"], [*texts, texts[7]])
    assert same.similarity == 1.0 and same.rows == (7, 400), "all that are as near"
    assert none.row == -1
    assert [one.row for one in nearest_rows(texts[:2], [])] == [-1, -1]


@pytest.mark.usefixtures("way")
def test_rows_that_are_all_built_alike_are_near_each_other() -> None:
    texts = [f"please book the flight to {a}{b}" for a in "abcdefghij" for b in "abcdefghij"]
    (found,) = nearest_rows(["please book the flight to zz"], texts)
    assert found.similarity > 0.9
