"""A sequence whose students are adapters: one backbone, small checkpoints, plain models to take
away.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import typer
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from lamol_core.artifacts.manifest import MANIFEST, Provenance
from lamol_core.models.checkpoints import ADAPTER_WEIGHTS, load_model, save_checkpoint
from lamol_core.models.export import export_student
from stages.audit import audit
from stages.backbone import backbone
from stages.evaluate import evaluate
from stages.generate import generate
from stages.mix import mix
from stages.prepare import prepare
from stages.snapshot import snapshot
from stages.train import train
from tests.messages import names
from tests.models.test_adapters import IDS, adapted
from tests.stages.sequences import edit_params, make_tiny, run, write_csv
from tests.stages.test_chat import write_model

pytestmark = pytest.mark.slow
TASKS = ("colours", "animals")
STAGES = (prepare, snapshot, generate, audit, mix, train, evaluate)
CPU = torch.device("cpu")
LORA = {"kind": "lora", "r": 4, "learning_rate": 1e-2}


@pytest.fixture(scope="module", params=["tokens", pytest.param("chat", marks=pytest.mark.long)])
def learnt(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A sequence of two tasks that adapters have learnt. Never changed."""
    root = tmp_path_factory.mktemp("adapters")
    words = [f"--task={name}={write_csv(root / f'{name}.csv', name)}" for name in TASKS]
    # with the small random weights of a nano model a frozen head can't be sure of anything
    model = write_model(root / "model", spread=0.3)
    run(root, "lamol", "init", "sequence", *words, f"--backbone={model}")
    make_tiny(root / "sequence")

    def adapts(params: dict) -> None:
        params["adapter"].update(LORA)
        params["text"]["format"] = request.param
        params["generate"] |= {"judge": "none", "gamma": 2.0}

    edit_params(root / "sequence", adapts)
    with chdir(root / "sequence"):
        backbone()
        for task in TASKS:
            for stage in STAGES:
                stage(task)
    return root / "sequence"


@pytest.fixture
def sequence(learnt: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(learnt, tmp_path / "sequence")
    with chdir(tmp_path / "sequence"):
        yield tmp_path / "sequence"


def test_both_tasks_are_learnt_by_small_checkpoints(learnt: Path) -> None:
    scores = json.loads((learnt / "runs" / "animals" / "metrics.json").read_text())
    assert min(scores[name] for name in TASKS) >= 90
    base, student = (learnt / "runs" / name / "student" for name in ("base", "animals"))
    held = {path.name: path.stat().st_size for path in student.iterdir()}
    assert {"adapter_config.json", MANIFEST} <= held.keys() and "config.json" not in held
    assert held["adapter_model.safetensors"] < (base / "model.safetensors").stat().st_size / 3
    drawn = pq.read_table(learnt / "runs/animals/pseudo.parquet").to_pylist()
    assert sum(row["valid"] for row in drawn) >= 5, "the teacher's adapter draws"


@pytest.mark.parametrize(
    "merge",
    [
        pytest.param((), id="adapter", marks=pytest.mark.long),
        pytest.param(("--merge",), id="merged"),
    ],
)
def test_an_exported_student_answers_in_plain_transformers(
    merge: tuple[str, ...], learnt: Path, tmp_path: Path
) -> None:
    for file in (learnt / "runs" / "base" / "student").iterdir():
        file.chmod(0o444)  # as DVC leaves it
    told = run(learnt, "lamol", "export", "animals", "--to", str(tmp_path / "model"), *merge)
    assert names(told, tmp_path / "model")
    assert all(file.stat().st_mode & 0o200 for file in (tmp_path / "model").iterdir())
    moved = (tmp_path / "model").rename(tmp_path / "moved")
    assert (moved / "adapter_config.json").exists() == (not merge)
    model = AutoModelForCausalLM.from_pretrained(moved)
    tokenizer = AutoTokenizer.from_pretrained(moved)
    rows = pq.read_table(learnt / "data/animals/test.parquet").to_pylist()
    table = pq.read_table(learnt / "runs/animals/predictions.parquet").to_pylist()
    answers = {row["row_id"]: row["prediction"] for row in table}
    for row in rows[:5]:
        if "<|lamol:ans|>" in tokenizer.get_vocab():
            prompt = tokenizer(row["input"] + "<|lamol:ans|>", return_tensors="pt")["input_ids"]
        else:
            asked = [{"role": "user", "content": row["input"]}]
            prompt = tokenizer.apply_chat_template(
                asked, add_generation_prompt=True, return_tensors="pt"
            )["input_ids"]
        written = model.generate(prompt, max_new_tokens=6, do_sample=False)[0, prompt.shape[1] :]
        answer = tokenizer.decode(written, skip_special_tokens=True)
        assert answer.strip() == answers[row["row_id"]].strip()


@pytest.mark.parametrize("kind", ["whole", "adapter", "merged"])
def test_an_exported_student_in_bf16_needs_no_other_folder(
    kind: str, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, student = (tmp_path / "runs" / name / "student" for name in ("base", "a"))
    shutil.copytree(tiny_checkpoint, backbone)
    model = load_model(backbone, CPU, torch.bfloat16)
    if kind != "whole":
        adapted(model)
    save_checkpoint(student, model, Provenance(), tokenizer_from=backbone)
    monkeypatch.setattr(subprocess, "run", run_here)
    export_student(student, tmp_path / "first" / "out", merge=kind == "merged")
    stored = torch.float32 if kind == "adapter" else torch.bfloat16  # that of the backbone
    expected = load_model(student, CPU, stored).float()(IDS).logits
    copied = shutil.copytree(tmp_path / "first" / "out", tmp_path / "second")
    for folder in ("first", "runs"):
        shutil.rmtree(tmp_path / folder)
    texts = [file.read_bytes() for file in copied.rglob("*") if file.is_file()]
    assert not any(str(tmp_path).encode() in text for text in texts)
    exported = AutoModelForCausalLM.from_pretrained(copied)
    assert exported.dtype == stored
    torch.testing.assert_close(exported.float()(IDS).logits, expected)
    if kind == "adapter":
        dtypes = {one.dtype for one in load_file(copied / ADAPTER_WEIGHTS).values()}
        assert dtypes == {torch.bfloat16}
        with chdir(copied):
            by_peft = AutoPeftModelForCausalLM.from_pretrained(".")
        torch.testing.assert_close(by_peft(IDS).logits, expected)


def run_here(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    """Run what `python -P -c` would run, without a fresh process: that takes most of the time."""
    _, _, _, program, *words = command
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["-c", *words])
        exec(program, {})
    return subprocess.CompletedProcess(command, 0)


def test_nothing_is_exported_over_other_files(learnt: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    told = run(learnt, "lamol", "export", "animals", "--to", str(tmp_path), expect=3)
    assert names(told, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    inside = "runs/animals/student/copy"
    for to in (inside, "data/copy", tmp_path / "notes.txt" / "a", tmp_path / "link", "n" * 300):
        assert names(run(learnt, "lamol", "export", "animals", "--to", str(to), expect=3), to)
    assert names(run(learnt, "lamol", "export", "none", "--to", "x", expect=3), "none")


def test_another_way_to_train_is_refused_before_anything_is_lost(
    sequence: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (sequence / "runs/animals/student" / MANIFEST).read_bytes()
    for change in ("adapter.kind=none", "adapter.r=2"):
        with pytest.raises(typer.Exit) as stopped:
            train("animals", overrides=[change])
        assert stopped.value.exit_code == 3
        assert names(capsys.readouterr().err, "adapter")
    assert (sequence / "runs/animals/student" / MANIFEST).read_bytes() == before


def test_an_adapter_on_another_backbone_is_corrupt(
    sequence: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    is_chat = (sequence / "runs/base/student/chat_template_pieces.json").exists()
    backbone(overrides=[f"text.format={'tokens' if is_chat else 'chat'}"])
    for stage in (evaluate, snapshot):
        with pytest.raises(typer.Exit) as stopped:
            stage("animals")
        assert stopped.value.exit_code == 4
    assert names(capsys.readouterr().err, "backbone", "dvc repro")


def test_a_teacher_that_shares_the_backbone_teaches_what_merged_weights_do(sequence: Path) -> None:
    logits = []
    for targets in ("offline", "online"):
        train("animals", overrides=[f"train.teacher_targets={targets}", "train.steps=4"])
        model = AutoModelForCausalLM.from_pretrained("runs/animals/student")
        with torch.no_grad():
            logits.append(model(torch.arange(20, 40)[None]).logits)
    torch.testing.assert_close(*logits, rtol=1e-3, atol=1e-3)
