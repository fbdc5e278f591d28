"""The reference's own figures for DER++ and EWC, reproduced through our code path."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lamol_core.methods.derpp import Derpp, DerppParams
from lamol_core.methods.ewc import Ewc, EwcParams
from lamol_core.methods.ewc_memory import FisherMemory
from lamol_core.models.checkpoints import load_model
from lamol_core.records import Origin
from lamol_core.text.encoded import EncodedView
from lamol_core.training.batches import MicroBatch
from lamol_core.training.hidden_states import as_body
from lamol_core.training.objective import losses_of, supervised_tokens
from lamol_core.training.teacher.online import OnlineTeacher
from tests.methods.test_golden import GOLDEN, packed_view

CASES_FILE = GOLDEN / "baseline_cases.json"
CASES: list[dict[str, Any]] = json.loads(CASES_FILE.read_text()) if GOLDEN.is_dir() else []
pytestmark = pytest.mark.skipif(
    not GOLDEN.is_dir(),
    reason=f"{GOLDEN} is not there: set LAMOL_SHARED to the folder that holds golden/",
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return load_file(GOLDEN / "baseline_batches.safetensors")


def cases_of(method: str) -> list[dict[str, Any]]:
    return [case for case in CASES if case["method"] == method]


def micro_batch(tensors: dict[str, Tensor], **prefixes: Origin) -> MicroBatch:
    """The QA views of these batches, packed: padding is left out, positions count it as before."""
    packed: list[tuple[EncodedView, Tensor, Tensor, Tensor]] = []
    for prefix, origin in prefixes.items():
        prefix = prefix.replace("__", ".")
        parts = ("input_ids", "attention_mask", "labels")
        rows = (tensors[f"{prefix}.{part}_with_ans"] for part in parts)
        for row, (ids, mask, labels) in enumerate(zip(*rows, strict=True)):
            at = mask.nonzero()[:, 0]
            packed.append(packed_view(f"{prefix}{row}", origin, "qa", ids[at], at, labels[at]))
    packed.sort(key=lambda entry: len(entry[0].ids))
    members, *columns = zip(*packed, strict=True)
    ids, positions, labels = (torch.cat(column) for column in columns)
    return MicroBatch(ids, positions, labels, members)


def denominators_of(micro: MicroBatch) -> Counter[Any]:
    denominators: Counter[Any] = Counter()
    for member in micro.members:
        denominators[member.view, member.origin] += len(supervised_tokens(micro, (member,)))
    return denominators


def norm_of(model: torch.nn.Module) -> float:
    squares = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
    return float(torch.stack(squares).sum().sqrt())


@pytest.mark.parametrize("case", cases_of("derpp"), ids=lambda case: f"derpp{case['id']}")
def test_derpp(case: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    prefixes: dict[str, Origin] = {
        f"derpp{case['id']}__new": "new", f"derpp{case['id']}__old": "memory"
    }  # fmt: skip
    micro = micro_batch(tensors, **prefixes)
    method = Derpp(DerppParams(alpha=case["alpha"], beta=case["beta"]))
    student = load_model(GOLDEN / "student", CPU, torch.float32)
    stored = load_model(GOLDEN / "teacher", CPU, torch.float32)
    with as_body(stored) as past, as_body(student) as body:
        teachers = {"mse": OnlineTeacher(past)}
        loss = losses_of(
            micro, method.loss, denominators_of(micro), body, body.head, teachers
        ).total
        loss.backward()
    assert loss.item() == pytest.approx(case["loss"], rel=1e-5)
    assert norm_of(student) == pytest.approx(case["grad_norm"], rel=1e-5)


@pytest.mark.parametrize("case", cases_of("ewc"), ids=lambda case: f"ewc{case['id']}")
def test_ewc(case: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    prefix = f"ewc{case['id']}"
    micro = micro_batch(tensors, **{prefix: "new"})
    params = EwcParams(weight=case["ewc_lambda"])
    student = load_model(GOLDEN / "student", CPU, torch.float32)
    anchor = load_model(GOLDEN / "teacher", CPU, torch.float32)
    marker = f"{prefix}.fisher."
    fisher = {name.removeprefix(marker): f for name, f in tensors.items() if marker in name}
    memory = FisherMemory(params, 0, fisher)
    memory.begin(anchor)
    penalty = memory.add_penalty(student)
    with as_body(student) as body:
        loss = losses_of(micro, Ewc(params).loss, denominators_of(micro), body, body.head, {}).total
        loss.backward()
    assert penalty is not None and penalty > 0.1
    assert loss.item() + penalty == pytest.approx(case["loss"], rel=1e-5)
    assert norm_of(student) == pytest.approx(case["grad_norm"], rel=1e-5)


def test_the_cases_are_there() -> None:
    assert len(cases_of("derpp")) == 2 and len(cases_of("ewc")) == 2
