"""Three tasks, prepared, in a folder of a test's own."""

from pathlib import Path

import pytest

from tests.data.tasks import Sequence


@pytest.fixture
def sequence(tmp_path: Path) -> Sequence:
    made = Sequence(tmp_path)
    for name, after in (("a", "base"), ("b", "a"), ("c", "b")):
        made.prepare(name, after)
    return made
