"""Shared spans and near rows, against searches that compare everything."""

from __future__ import annotations

import random
from collections.abc import Sequence

from lamol_core.audit.neighbours import NearestRows
from lamol_core.audit.spans import Span, longest_shared_spans
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
        for row, span in zip(rows, longest_shared_spans(rows, corpus), strict=True):
            assert span.words == naive(row, corpus)
            if span.words:
                shared = row[span.start : span.start + span.words]
                other = corpus[span.corpus_row]
                starts = range(len(other) - len(shared) + 1)
                assert any(other[i : i + len(shared)] == shared for i in starts)


def test_spans_never_cross_rows() -> None:
    assert longest_shared_spans([["a", "b"]], [["a"], ["b"]])[0].words == 1
    assert longest_shared_spans([["a"], ["b"]], [["a", "b"]])[1] == Span(1, 0, 0)
    assert longest_shared_spans([[]], [["a"]]) == [Span()]
    assert longest_shared_spans([["a"]], []) == [Span()]


def test_a_lightly_edited_row_is_found_among_many() -> None:
    chooser = random.Random(0)
    texts = [sentence(chooser) for _ in range(400)]
    index = NearestRows(texts)
    for place in range(0, 400, 20):
        changed = texts[place].replace("the ", "this ", 1)
        found = index.find(changed)
        assert found.row == place and 0.9 <= found.similarity < 1.0
    assert index.find(texts[7]).similarity == 1.0
    assert index.find("qqqqqqqqqq").row == -1


def test_rows_that_are_all_built_alike_are_near_each_other() -> None:
    texts = [f"please book the flight to {a}{b}" for a in "abcdefghij" for b in "abcdefghij"]
    assert NearestRows(texts).find("please book the flight to zz").similarity > 0.9
