"""What scripts/make_docs.py writes is up to date."""

from __future__ import annotations

import pytest

from scripts.make_docs import PAGES, ROOT


@pytest.mark.parametrize("name", PAGES)
def test_generated_page_is_up_to_date(name: str) -> None:
    """`python scripts/make_docs.py` writes it again."""
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name]()
