"""The published reference's own figures, reproduced through our code path.

The models see positions 0..L-1 over left-padded rows, as the reference's do.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lamol_core.config import LamolKdParams
from lamol_core.methods.lamol_kd import LamolKd
from lamol_core.models.checkpoints import load_model
from lamol_core.training.batches import MicroBatch
from lamol_core.training.groups import gather_groups
from lamol_core.training.logits import LogitsAt

ROOT = Path(__file__).parent.parent.parent
GOLDEN = Path(os.environ.get("LAMOL_SHARED", ROOT.parent / "shared")) / "golden"
CASES_FILE = GOLDEN / "lamol_kd_cases.json"
CASES: list[dict[str, Any]] = json.loads(CASES_FILE.read_text()) if CASES_FILE.is_file() else []
pytestmark = pytest.mark.skipif(
    not CASES,
    reason=f"{CASES_FILE} is not there: set LAMOL_SHARED to the folder that holds golden/",
)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return load_file(GOLDEN / "lamol_kd_batches.safetensors")


@pytest.fixture(scope="module")
def teacher() -> LogitsAt:
    model = load_model(GOLDEN / "teacher", torch.device("cpu"), torch.float32, "eager")
    return LogitsAt(model.requires_grad_(False))


def micro_batch(case: dict[str, Any], tensors: dict[str, Tensor]) -> MicroBatch:
    """Both views of a case, one above the other."""

    def both(name: str) -> Tensor:
        views = ("with_ans", "with_gen_ans")
        return torch.cat([tensors[f"case{case['id']}.{name}_{view}"] for view in views])

    classes = tensors[f"case{case['id']}.label_idx_cil"].tolist()
    pseudo = [label == -1 and case["task_id"] > 0 for label in classes]
    origins = ["pseudo" if flag else "new" for flag in pseudo]
    views = ["qa"] * len(classes) + ["gen"] * len(classes)
    return MicroBatch(
        both("input_ids"),
        both("attention_mask"),
        both("labels"),
        tuple(views),
        (*origins, *origins),
        int(both("attention_mask").sum()),
    )  # type: ignore[arg-type]


def loss_and_norm(
    case: dict[str, Any], tensors: dict[str, Tensor], teacher: LogitsAt, alignment: str
) -> tuple[float, float]:
    micro = micro_batch(case, tensors)
    method = LamolKd(
        LamolKdParams.model_validate(
            {
                "lambda": case["lambda"],
                "distill_weight": case["distill_weight"],
                "temperature": case["temperature"],
                "alignment": alignment,
            }
        )
    )
    counts: Counter[Any] = Counter()
    for labels, view, origin in zip(micro.labels, micro.views, micro.origins, strict=True):
        counts[view, origin] += int((labels != -100).sum())
    student = load_model(GOLDEN / "student", torch.device("cpu"), torch.float32, "eager")
    groups = gather_groups(micro, method, counts, LogitsAt(student), teacher)
    loss = method.loss(groups).total
    loss.backward()
    squares = [p.grad.double().square().sum() for p in student.parameters() if p.grad is not None]
    return loss.item(), float(torch.stack(squares).sum().sqrt())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"case{case['id']}")
def test_reference_alignment_gives_the_references_figures(
    case: dict[str, Any], tensors: dict[str, Tensor], teacher: LogitsAt
) -> None:
    loss, norm = loss_and_norm(case, tensors, teacher, "reference")
    assert loss == pytest.approx(case["loss"], rel=1e-5)
    assert norm == pytest.approx(case["grad_norm"], rel=1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"case{case['id']}")
def test_next_token_alignment_differs_just_where_pseudo_rows_teach(
    case: dict[str, Any], tensors: dict[str, Tensor], teacher: LogitsAt
) -> None:
    loss, norm = loss_and_norm(case, tensors, teacher, "next_token")
    if "pseudo" in micro_batch(case, tensors).origins:
        # where real rows are in the batch too, their loss is a hundred times as large
        assert abs(loss / case["loss"] - 1) > 1.5e-5 and abs(norm / case["grad_norm"] - 1) > 1.5e-5
    else:
        assert loss == pytest.approx(case["loss"], rel=1e-5)
        assert norm == pytest.approx(case["grad_norm"], rel=1e-5)


def test_the_cases_hold_all_that_is_claimed(tensors: dict[str, Tensor]) -> None:
    kinds = {frozenset(micro_batch(case, tensors).origins) for case in CASES}
    assert len(CASES) == 8
    assert kinds == {frozenset({"new"}), frozenset({"pseudo"}), frozenset({"new", "pseudo"})}
