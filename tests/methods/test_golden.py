"""The published reference's own figures, reproduced through our code path.

The models see positions that count the padding on the left, as the reference's do.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lamol_core.methods.lamol_kd import LamolKd, LamolKdParams
from lamol_core.models.checkpoints import load_model
from lamol_core.records import Origin, View
from lamol_core.text.encoded import EncodedView
from lamol_core.training.batches import IGNORED, MicroBatch
from lamol_core.training.hidden_states import as_body
from lamol_core.training.objective import losses_of, supervised_tokens
from lamol_core.training.teacher.online import OnlineTeacher

ROOT = Path(__file__).parent.parent.parent
GOLDEN = Path(os.environ.get("LAMOL_SHARED", ROOT.parent / "shared")) / "golden"
CASES_FILE = GOLDEN / "lamol_kd_cases.json"
CASES: list[dict[str, Any]] = json.loads(CASES_FILE.read_text()) if GOLDEN.is_dir() else []
pytestmark = pytest.mark.skipif(
    not GOLDEN.is_dir(),
    reason=f"{GOLDEN} is not there: set LAMOL_SHARED to the folder that holds golden/",
)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return load_file(GOLDEN / "lamol_kd_batches.safetensors")


@pytest.fixture(scope="module")
def teacher() -> Iterator[OnlineTeacher]:
    with as_body(load_model(GOLDEN / "teacher", torch.device("cpu"), torch.float32)) as body:
        yield OnlineTeacher(body)


def packed_view(
    row_id: str, origin: Origin, view: View, ids: Tensor, positions: Tensor, labels: Tensor
) -> tuple[EncodedView, Tensor, Tensor, Tensor]:
    learnt = ((int((labels != IGNORED).nonzero()[0]), len(ids)),)
    return EncodedView(row_id, origin, view, tuple(ids.tolist()), learnt), ids, positions, labels


def micro_batch(case: dict[str, Any], tensors: dict[str, Tensor]) -> MicroBatch:
    """Both views of a case, packed: padding is left out, positions count it as before."""
    classes = tensors[f"case{case['id']}.label_idx_cil"].tolist()
    packed: list[tuple[EncodedView, Tensor, Tensor, Tensor]] = []
    for view, name in (("qa", "with_ans"), ("gen", "with_gen_ans")):
        parts = ("input_ids", "attention_mask", "labels")
        rows = (tensors[f"case{case['id']}.{part}_{name}"] for part in parts)
        for row, (label, ids, mask, labels) in enumerate(zip(classes, *rows, strict=True)):
            at = mask.nonzero()[:, 0]
            is_pseudo = label == -1 and case["task_id"] > 0
            packed.append(
                packed_view(
                    f"r{row}", "pseudo" if is_pseudo else "new", view, ids[at], at, labels[at]
                )
            )
    packed.sort(key=lambda entry: len(entry[0].ids))
    members, *columns = zip(*packed, strict=True)
    ids, positions, labels = (torch.cat(column) for column in columns)
    return MicroBatch(ids, positions, labels, members)


def origins(case: dict[str, Any], tensors: dict[str, Tensor]) -> frozenset[str]:
    return frozenset(member.origin for member in micro_batch(case, tensors).members)


def loss_and_norm(
    case: dict[str, Any], tensors: dict[str, Tensor], teacher: OnlineTeacher, alignment: str
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
    denominators: Counter[Any] = Counter()
    for member in micro.members:
        denominators[member.view, member.origin] += len(supervised_tokens(micro, (member,)))
    student = load_model(GOLDEN / "student", torch.device("cpu"), torch.float32)
    with as_body(student) as body:
        loss = losses_of(micro, method.loss, denominators, body, body.head, {"kl": teacher}).total
        loss.backward()
    squares = [p.grad.double().square().sum() for p in student.parameters() if p.grad is not None]
    return loss.item(), float(torch.stack(squares).sum().sqrt())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"case{case['id']}")
def test_reference_alignment_gives_the_references_figures(
    case: dict[str, Any], tensors: dict[str, Tensor], teacher: OnlineTeacher
) -> None:
    loss, norm = loss_and_norm(case, tensors, teacher, "reference")
    assert loss == pytest.approx(case["loss"], rel=1e-5)
    assert norm == pytest.approx(case["grad_norm"], rel=1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"case{case['id']}")
def test_next_token_alignment_differs_just_where_pseudo_rows_teach(
    case: dict[str, Any], tensors: dict[str, Tensor], teacher: OnlineTeacher
) -> None:
    loss, norm = loss_and_norm(case, tensors, teacher, "next_token")
    if "pseudo" in origins(case, tensors):
        # where real rows are in the batch too, their loss is a hundred times as large
        assert abs(loss / case["loss"] - 1) > 1.5e-5 and abs(norm / case["grad_norm"] - 1) > 1.5e-5
    else:
        assert loss == pytest.approx(case["loss"], rel=1e-5)
        assert norm == pytest.approx(case["grad_norm"], rel=1e-5)


def test_the_cases_hold_all_that_is_claimed(tensors: dict[str, Tensor]) -> None:
    kinds = {origins(case, tensors) for case in CASES}
    assert len(CASES) == 8
    assert kinds == {frozenset({"new"}), frozenset({"pseudo"}), frozenset({"new", "pseudo"})}
