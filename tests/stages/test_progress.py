"""Long work shows how far it is: an audit by checks or rows, a backbone by its library's bar."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lamol_core.audit.registry import CHECKS
from lamol_core.decoding import answers
from lamol_core.decoding.answers import answers_of
from lamol_core.models.nano import build_nano
from lamol_core.models.params import NanoParams
from stages import console
from stages.cli import app
from tests.messages import mentions, names
from tests.stages.sequences import TINY, make_tiny, run, write_csv

pytestmark = pytest.mark.slow


def test_an_audit_tells_of_its_checks_or_of_the_rows_that_the_teacher_answers(
    sequence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sequence)
    monkeypatch.setattr(console, "PLAIN_EVERY_S", 0)
    told = CliRunner().invoke(app, ["audit", "animals"]).output
    assert mentions(told, f"/{2 * len(CHECKS)} checks") == 2 * len(CHECKS) and " s left" in told
    kept = sum(pq.read_table("runs/animals/pseudo.parquet")["valid"].to_pylist())
    asked: list[Sequence[int]] = []

    def ask(model: Any, template: Any, prompts: Any, *rest: Any) -> list[list[int]]:
        asked.extend(prompts)
        return answers_of(model, template, prompts, *rest)

    monkeypatch.setattr(answers, "answers_of", ask)
    told = CliRunner().invoke(app, ["audit", "animals", "--set", "audit.ask_teacher=true"]).output
    assert names(told, f"{kept}/{2 * kept} rows"), told
    assert len(asked) == len(set(asked)) <= kept, "no prompt is answered twice"


@pytest.mark.long
def test_a_pretrained_backbone_shows_that_it_is_loaded(tmp_path: Path) -> None:
    model, tokenizer = build_nano(NanoParams(**TINY["nano"]), ["what is red"] * 9)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    source = write_csv(tmp_path / "a.csv", "colours")
    named = ["--task", f"a={source}", "--backbone", str(tmp_path / "model")]
    run(tmp_path, "lamol", "init", "sequence", *named)
    make_tiny(tmp_path / "sequence")
    # a new process with settings of its own: other commands have switched the bars off in this one
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TQDM_", "HF_HUB_DISABLE_"))}
    kept["TQDM_DELAY"] = "0"  # so tiny a model is loaded before a bar would show
    done = subprocess.run(
        [sys.executable, "-m", "stages.backbone"], cwd=tmp_path / "sequence", env=kept,
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "100%|" in done.stderr
