"""Every other method through the same stages: what it trains on, what it keeps, what it says."""

from __future__ import annotations

import json
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
from safetensors.torch import load_file

from lamol_core.artifacts.manifest import MANIFEST
from lamol_core.methods.registry import DEFAULT_METHOD, METHODS
from lamol_core.models.discriminant import FILE
from stages.audit import audit
from stages.backbone import backbone
from stages.evaluate import evaluate
from stages.forget import forget
from stages.generate import generate
from stages.mix import mix
from stages.prepare import prepare
from stages.report import report
from stages.snapshot import snapshot
from stages.train import train
from tests.messages import names
from tests.stages.sequences import NAMES, edit_params, make_tiny, run, write_csv

pytestmark = pytest.mark.slow

DRAW = {name for name, method in METHODS.items() if method.rehearses}
MIXES_REAL_ROWS = {name for name, method in METHODS.items() if method.mixes_real_rows}
KEEPS_REAL_ROWS = {name for name, method in METHODS.items() if method.keeps_real_rows}
OTHERS = [method for method in METHODS if method != DEFAULT_METHOD]
TASKS = NAMES[:2]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sequence with its rows and its backbone. The stages run in this process: no start-up."""
    root = tmp_path_factory.mktemp("methods")
    tasks = [f"{name}={write_csv(root / f'{name}.csv', name)}" for name in TASKS]
    run(root, "lamol", "init", "sequence", *(word for task in tasks for word in ("--task", task)))
    make_tiny(root / "sequence")
    with chdir(root / "sequence"):
        backbone()
        for task in TASKS:
            prepare(task)
    return root / "sequence"


@pytest.fixture
def sequence(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may change, as the current folder."""
    folder = tmp_path / "sequence"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    return folder


def learn(task: str) -> None:
    for stage in (snapshot, generate, audit, mix, train, evaluate):
        stage(task)


# what the others of its kind do is seen in tests/methods too
@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=[pytest.mark.long] * (m in ("lamol", "replay"))) for m in OTHERS],
)
def test_a_method_learns_a_sequence_and_what_it_keeps_is_told(
    method: str, sequence: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(params: dict[str, Any]) -> None:
        params["method"] = method
        params["train"]["epochs"] = 3
        params["generate"]["carry_over"] = False
        for name in ("derpp", "replay"):
            params[name].update(buffer_size=9, batch_size=4)

    edit_params(sequence, change)
    for task in TASKS:
        learn(task)
    told = capsys.readouterr().err.count(METHODS[method].privacy)
    assert told == (method in KEEPS_REAL_ROWS | MIXES_REAL_ROWS), "once, not once a task"
    report()

    last, earlier = TASKS[-1], set(TASKS[:-1])
    drawn = pq.read_table(f"runs/{last}/pseudo.parquet")["source_task"].to_pylist()
    assert set(drawn) == (earlier if method in DRAW else set())
    mixed = pq.read_table(f"runs/{last}/mix.parquet").to_pylist()
    rehearsed = {row["source_task"] for row in mixed} - {last}
    assert rehearsed == (earlier if method in DRAW or method in MIXES_REAL_ROWS else set())
    assert {row["origin"] for row in mixed if row["source_task"] in earlier} <= (
        {"new"} if method in MIXES_REAL_ROWS else {"pseudo"}
    )

    state = Path("runs", last, "state")
    files = [path for path in state.iterdir() if path.name != MANIFEST]
    real_rows = 0
    if method in MIXES_REAL_ROWS:
        tables = [Path("data", name, "train.parquet") for name in TASKS]
        files += tables
        real_rows = sum(pq.read_metadata(path).num_rows for path in tables)
    elif method in KEEPS_REAL_ROWS:
        memory = pq.read_table(state / "memory.parquet")
        real_rows = len(set(memory["row_id"].to_pylist()))
        assert memory.num_rows == 9 and real_rows > 4
    summary = json.loads(Path("reports/summary.json").read_text(encoding="utf-8"))
    assert summary["method"] == method and summary["tasks"] == list(TASKS)
    (machine,) = summary["machines"]
    assert machine["device"] == "cpu" and int(machine["cores"]) > 0 and machine["processor"]
    assert summary["kept_real_rows"] == real_rows
    statistics = Path("runs", last, "judge", FILE)
    judged = load_file(statistics).values() if statistics.is_file() else ()
    assert summary["kept_bytes"] == (
        sum(path.stat().st_size for path in files) + sum(tensor.nbytes for tensor in judged)
    )
    assert bool(judged) == (method in DRAW)
    assert bool(files) == (method in KEEPS_REAL_ROWS | MIXES_REAL_ROWS or method == "ewc")


@pytest.mark.parametrize("method", ["finetune", "multitask"])
def test_finetune_forgets_what_multitask_holds(method: str, sequence: Path) -> None:
    edit_params(sequence, lambda params: params.update(method=method))
    for task in TASKS:
        learn(task)
    report()
    summary = json.loads(Path("reports/summary.json").read_text(encoding="utf-8"))
    (learnt,), (then, new) = summary["score_matrix"]
    assert learnt > 80 and new > 60
    assert then == 0 if method == "finetune" else then > 80


@pytest.mark.parametrize("method", sorted(KEEPS_REAL_ROWS | MIXES_REAL_ROWS))
def test_a_method_that_keeps_real_rows_forgets_none(
    method: str, sequence: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_params(sequence, lambda params: params.update(method=method))
    learn("colours")
    told = capsys.readouterr().err
    assert (method in MIXES_REAL_ROWS) or names(told, method, "runs/colours/state")
    before = Path("data/colours/train.parquet").read_bytes()
    with pytest.raises(typer.Exit) as ended:
        forget("colours")
    assert ended.value.exit_code == 3
    assert names(capsys.readouterr().err, method, "colours")
    assert Path("data/colours/train.parquet").read_bytes() == before
