"""The real model on real rows (../shared). The one named smoke is short, and runs in CI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from lamol_core.models.checkpoints import load_model
from tests.code_imports import ROOT
from tests.stages.sequences import edit_params, run

pytestmark = pytest.mark.real
SHARED = Path(os.environ.get("LAMOL_SHARED", ROOT.parent / "shared")).resolve()
needs_shared = pytest.mark.skipif(
    not (SHARED / "tools" / "get_smollm2.sh").is_file(),
    reason=f"no real model and data: {SHARED} is not there (LAMOL_SHARED names another folder)",
)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of examples/clinc150 with its first two tasks."""
    subprocess.run(["bash", SHARED / "tools" / "get_smollm2.sh"], check=True)
    folder = tmp_path_factory.mktemp("clinc150") / "sequence"
    given = folder.parent / "params.yaml"
    shutil.copyfile(ROOT / "examples" / "clinc150" / "params.yaml", given)

    def narrow(params: dict) -> None:
        for name in list(params["tasks"])[2:]:
            del params["tasks"][name]
        for task in params["tasks"].values():
            task["source"]["path"] = str(SHARED / "data" / "clinc150")

    edit_params(folder.parent, narrow)
    run(folder.parent, "lamol", "init", "sequence", "--params", "params.yaml")
    return folder


@needs_shared
def test_smoke_two_tasks_in_a_few_steps(example: Path) -> None:
    edit_params(example, lambda params: params["train"].update(steps=12, batch_size=32))
    run(example, "dvc", "repro")
    summary = json.loads((example / "reports" / "summary.json").read_text(encoding="utf-8"))
    first, second = summary["score_matrix"]
    # a real pretrained model learns eight intents in twelve steps far above chance (12.5 %)
    assert first[0] > 50 and second[1] > 50
    assert summary["pseudo"]["credit_cards"]["valid"] == 64


@needs_shared
def test_a_teacher_in_train_mode_is_the_same_where_nothing_drops_out(example: Path) -> None:
    """The published code leaves its teacher in train mode: docs/method.md says what that costs."""
    run(example, "lamol", "backbone")
    model = load_model(example / "runs" / "base" / "student", torch.device("cpu"))
    ids = torch.arange(64).reshape(2, 32) + 300
    with torch.no_grad():
        still = model.eval()(ids).logits
        assert torch.equal(model.train()(ids).logits, still)


@needs_shared
def test_two_tasks_are_learnt_and_held(example: Path) -> None:
    edit_params(example, lambda params: params["train"].update(steps=None))
    run(example, "dvc", "repro")
    summary = json.loads((example / "reports" / "summary.json").read_text(encoding="utf-8"))
    (learnt,), (held, new) = summary["score_matrix"]
    assert learnt > 85 and new > 85
    assert held > 70, "without replay the first task falls below 50"
