"""The real model on real rows (../shared). The one named smoke is short, and runs in CI."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
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


def real_model() -> str:
    """The path of the real model, in the user's own home: commands of tests have an empty one."""
    script = SHARED / "tools" / "get_smollm2.sh"
    done = subprocess.run(["bash", script], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of examples/clinc150 with its first two tasks."""
    model = real_model()
    folder = tmp_path_factory.mktemp("clinc150") / "sequence"
    given = folder.parent / "params.yaml"
    shutil.copyfile(ROOT / "examples" / "clinc150" / "params.yaml", given)

    def narrow(params: dict) -> None:
        params["backbone"]["path"] = model
        for name in list(params["tasks"])[2:]:
            del params["tasks"][name]
        for task in params["tasks"].values():
            task["source"]["path"] = str(SHARED / "data" / "clinc150")

    edit_params(folder.parent, narrow)
    run(folder.parent, "lamol", "init", "sequence", "--params", "params.yaml")
    return folder


@needs_shared
def test_smoke_two_tasks_in_a_few_steps(example: Path, tmp_path: Path) -> None:
    sequence = Path(shutil.copytree(example, tmp_path / "sequence"))

    def shorten(params: dict) -> None:
        params["train"].update(steps=6, batch_size=8)
        for task in params["tasks"].values():
            task["source"]["max_targets"] = 2

    edit_params(sequence, shorten)
    run(sequence, "dvc", "repro")
    summary = json.loads((sequence / "reports" / "summary.json").read_text(encoding="utf-8"))
    first, second = summary["score_matrix"]
    # a real pretrained model learns two intents in six steps far above chance (50 %)
    assert first[0] > 80 and second[1] > 80
    assert summary["pseudo"]["credit_cards"]["valid"] == 16


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


@needs_shared
@pytest.mark.parametrize("kind", ["none", "lora"])
def test_a_chat_model_is_made_and_asked_as_in_get_started(kind: str, tmp_path: Path) -> None:
    """The commands of docs/get-started.md, "A chat model", on three tasks of real rows, with an
    adapter and without."""
    model = real_model()
    asked = write_chats(tmp_path)
    page = (ROOT / "docs" / "get-started.md").read_text(encoding="utf-8")
    shell, python = re.findall(r"^```(?:bash|python)\n(.*?)^```", page, re.M | re.S)
    assert "adapter" in page
    train = f"sed -i 's/kind: none/kind: {kind}/' params.yaml\ndvc repro"
    commands = shell.replace("MODEL", model).replace("dvc repro", train)
    told = run(tmp_path, "bash", "-c", "set -e\n" + commands)
    assert "chat" in told
    right = 0
    for text, answer in asked:
        script = python.replace("where is my parcel 7", text)
        said = run(tmp_path / "chat", sys.executable, "-c", script).strip().splitlines()[-1]
        right += said.strip() == answer
    assert right >= 4, f"{right} of {len(asked)} are answered with their label"


def write_chats(folder: Path) -> list[tuple[str, str]]:
    """Three tasks of four intents each, as conversations; returns two test rows of each task."""
    intents = {
        "orders": ["order status", "order", "cancel reservation", "book flight"],
        "billing": ["pay bill", "bill balance", "bill due", "transactions"],
        "account": ["account blocked", "pin change", "balance", "freeze account"],
    }
    rows = [json.loads(line) for line in (SHARED / "data/clinc150/train.jsonl").open()]
    asked: list[tuple[str, str]] = []
    for task, labels in intents.items():
        own = [row for label in labels for row in rows if row["target"] == label]
        by_label = [[row for row in own if row["target"] == label] for label in labels]
        with (folder / f"{task}.jsonl").open("w", encoding="utf-8") as lines:
            for row in (row for of_label in by_label for row in of_label[:40]):
                turns = ("user", row["input"]), ("assistant", row["target"])
                chat = [{"role": role, "content": text} for role, text in turns]
                lines.write(json.dumps({"messages": chat}) + "\n")
        asked += [(of_label[50]["input"], of_label[50]["target"]) for of_label in by_label[:2]]
    return asked
