"""Other code is told by its bytes, not by its version."""

from __future__ import annotations

from pathlib import Path

import torch

from lamol_core.artifacts.spec import TRAIN
from lamol_core.artifacts.version import code_version
from lamol_core.training.determinism import computed_by


def test_an_edit_or_another_file_is_other_code(tmp_path: Path) -> None:
    digests = set()
    for number, (name, text) in enumerate(
        [("a.py", "x = 1\n"), ("a.py", "x = 2\n"), ("b.py", "x = 1\n"), ("a.txt", "x = 1\n")]
    ):
        folder = tmp_path / str(number) / "training"
        folder.mkdir(parents=True)
        (folder / name).write_text(text)
        digests.add(code_version(("training",), folder.parent))
    assert len(digests) == 4
    code = computed_by(torch.float32)["code"]
    assert code == code_version(TRAIN.packages) not in digests
