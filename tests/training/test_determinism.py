"""Other code is told by its bytes, not by its version."""

from __future__ import annotations

from pathlib import Path

from lamol_core.training.determinism import code_digest


def test_an_edit_or_another_file_is_other_code(tmp_path: Path) -> None:
    digests = set()
    for number, (name, text) in enumerate(
        [("a.py", "x = 1\n"), ("a.py", "x = 2\n"), ("b.py", "x = 1\n"), ("a.txt", "x = 1\n")]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_text(text)
        digests.add(code_digest(folder))
    assert len(digests) == 4
    assert code_digest() == code_digest() not in digests
