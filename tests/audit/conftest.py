"""Audits of tests take a third of the time: self-BLEU is most of one, and settled sooner here."""

from __future__ import annotations

import pytest

from lamol_core.audit.checks import variety


@pytest.fixture(autouse=True)
def few_bleu_hypotheses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of a corpus are drawn alike: a few of them score as sixty do."""
    monkeypatch.setattr(variety, "BLEU_HYPOTHESES", 10)
