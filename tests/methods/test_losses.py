"""The losses against plain arithmetic, and what their groups and methods make of them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lamol_core.config import LamolKdParams, Params, ReplayParams
from lamol_core.methods.lamol import Lamol
from lamol_core.methods.lamol_kd import LamolKd
from lamol_core.methods.losses import (
    TokenBatch,
    TokenGroup,
    cross_entropy_per_token,
    kl_per_token,
    supervised_positions,
)
from lamol_core.methods.plain import Finetune
from lamol_core.methods.registry import METHODS, build_method

V = 7
Groups = dict[tuple[str, str], tuple[Tensor, Tensor, Tensor]]


def logits(rows: int, seed: int, words: int = V) -> Tensor:
    return 3 * torch.randn(rows, words, generator=torch.Generator().manual_seed(seed))


def naive_kl(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    p = torch.softmax(teacher / temperature, dim=-1)
    q = torch.softmax(student / temperature, dim=-1)
    return temperature**2 * (p * (p.log() - q.log())).sum(dim=-1)


def naive_ce(student: Tensor, labels: Tensor) -> Tensor:
    probabilities = torch.softmax(student, dim=-1)
    return torch.stack([-probabilities[i, label].log() for i, label in enumerate(labels.tolist())])


def make_groups() -> Groups:
    """(student, labels, teacher) of every view and origin, each of another size."""
    sizes = {("qa", "new"): 3, ("gen", "new"): 8, ("qa", "pseudo"): 2, ("gen", "pseudo"): 5}
    return {
        key: (logits(n, i), torch.arange(n) % V, logits(n, 10 + i))
        for i, (key, n) in enumerate(sizes.items())
    }


def batch_of(groups: Groups, counts: dict[tuple[str, str], int] | None = None) -> TokenBatch:
    made = {
        key: TokenGroup(student, labels, (counts or {}).get(key, len(labels)), teacher)
        for key, (student, labels, teacher) in groups.items()
    }
    return TokenBatch(made, like=logits(1, 99))  # type: ignore[arg-type]


def test_by_hand() -> None:
    # 3 words, 2 tokens; the logits are logarithms of what the probabilities are proportional to.
    #   token 1: teacher 2:1:1 = (1/2, 1/4, 1/4), student 1:2:1 = (1/4, 1/2, 1/4)
    #     KL = 1/2 ln 2 + 1/4 ln(1/2) + 1/4 ln 1 = 1/4 ln 2
    #   token 2: teacher 2:1:1, student 1:1:1 = (1/3, 1/3, 1/3)
    #     KL = 1/2 ln(3/2) + 2 * 1/4 ln(3/4) = 1/2 ln(9/8)
    #   CE of label 1 at token 1: -ln 1/2 = ln 2; of label 0 at token 2: -ln 1/3 = ln 3
    #   T = 2, token 1: logits halve, teacher r:1:1, student 1:r:1 with r = sqrt 2, sum s = 2 + r
    #     4 KL = 4 (r/s ln r + 1/s ln(1/r)) = 4 (r - 1)/s * 1/2 ln 2 = 2 ln 2 (r - 1)/(2 + r)
    student = torch.tensor([[1.0, 2.0, 1.0], [1.0, 1.0, 1.0]]).log()
    teacher = torch.tensor([[2.0, 1.0, 1.0], [2.0, 1.0, 1.0]]).log()
    kl = kl_per_token(student, teacher, 1.0)
    assert kl.tolist() == pytest.approx([math.log(2) / 4, math.log(9 / 8) / 2], rel=1e-5)
    ce = cross_entropy_per_token(student, torch.tensor([1, 0]))
    assert ce.tolist() == pytest.approx([math.log(2), math.log(3)], rel=1e-6)
    root = math.sqrt(2)
    at_2 = kl_per_token(student, teacher, 2.0)[0]
    assert at_2.item() == pytest.approx(2 * math.log(2) * (root - 1) / (2 + root), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 10.0])
def test_equal_logits_do_not_diverge(temperature: float) -> None:
    same = logits(5, 0)
    rounding = 1e-6 * max(1.0, temperature**2)
    assert kl_per_token(same, same.clone(), temperature).abs().max() < rounding
    # a constant added to all logits of a token changes no probability
    assert kl_per_token(same, same + 4.0, temperature).abs().max() < 10 * rounding


@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0, 2.0, 5.0]))
@settings(max_examples=40, deadline=None)
def test_kl_is_the_naive_one_and_never_negative(seed: int, temperature: float) -> None:
    student, teacher = logits(4, seed), logits(4, seed + 1)
    kl = kl_per_token(student, teacher, temperature)
    assert kl.shape == (4,) and (kl >= 0).all()
    torch.testing.assert_close(kl, naive_kl(student, teacher, temperature), rtol=1e-4, atol=1e-5)


def test_temperature_squared_scales_it() -> None:
    student, teacher = logits(4, 1), logits(4, 2)
    scaled = kl_per_token(3 * student, 3 * teacher, 3.0)
    torch.testing.assert_close(scaled, 9 * kl_per_token(student, teacher, 1.0))


def test_the_teacher_is_the_first_argument_of_the_divergence() -> None:
    peaked, flat = torch.tensor([[8.0, 0.0, 0.0]]), torch.zeros(1, 3)
    # KL(peaked || uniform) stays below ln 3; KL(uniform || peaked) does not
    assert kl_per_token(flat, peaked, 1.0).item() < math.log(3) < 4
    assert kl_per_token(peaked, flat, 1.0).item() > 4


def test_gradient_of_kl_is_temperature_times_the_difference_of_probabilities() -> None:
    student, teacher = logits(3, 3).requires_grad_(), logits(3, 4)
    kl_per_token(student, teacher, 2.0).sum().backward()
    expected = 2.0 * (torch.softmax(student / 2, -1) - torch.softmax(teacher / 2, -1))
    torch.testing.assert_close(student.grad, expected.detach())


@pytest.mark.parametrize("shape", [(4, V + 1), (5, V), (1, V)])
def test_shapes_that_differ_are_refused(shape: tuple[int, int]) -> None:
    # (1, V) would broadcast silently
    with pytest.raises(ValueError, match=r"student \(4, 7\) and teacher"):
        kl_per_token(logits(4, 0), torch.zeros(shape), 1.0)


def test_cross_entropy_is_the_naive_one() -> None:
    student, labels = logits(6, 5), torch.tensor([0, 6, 3, 3, 1, 2])
    torch.testing.assert_close(cross_entropy_per_token(student, labels), naive_ce(student, labels))


@pytest.mark.parametrize(("shift", "columns"), [(1, [1, 2, 0]), (0, [2, 3, 1])])
def test_positions_of_the_logits(shift: int, columns: list[int]) -> None:
    labels = torch.tensor([[-100, -100, 5, 0], [-100, 7, -100, -100]])
    positions = supervised_positions(labels, shift)
    assert positions.tolist() == [[row, c] for row, c in zip([0, 0, 1], columns, strict=True)]


def test_shares_of_micro_batches_add_up_to_the_mean() -> None:
    student, labels, teacher = logits(7, 0), torch.arange(7), logits(7, 1)
    whole = TokenGroup(student, labels, 7, teacher)
    parts = [TokenGroup(student[s], labels[s], 7, teacher[s]) for s in (slice(0, 2), slice(2, 7))]
    ce, kl = whole.cross_entropy(), whole.divergence(2.0)
    torch.testing.assert_close(sum(part.cross_entropy() for part in parts), ce)
    torch.testing.assert_close(sum(part.divergence(2.0) for part in parts), kl)
    torch.testing.assert_close(ce, naive_ce(student, labels).mean())
    torch.testing.assert_close(kl, naive_kl(student, teacher, 2.0).mean())


def test_a_group_without_tokens_is_a_zero_that_backward_takes() -> None:
    like = logits(1, 0).requires_grad_()
    empty = TokenBatch({}, like=like)
    total = empty.cross_entropy("qa", "new") + empty.divergence("gen", "pseudo", 2.0)
    total.backward()
    assert total.item() == 0.0 and like.grad is not None and like.grad.abs().sum() == 0


@pytest.mark.parametrize("lam", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_lamol_kd_equation(lam: float, weight: float, temperature: float) -> None:
    groups = make_groups()
    method = LamolKd(
        LamolKdParams(**{"lambda": lam}, distill_weight=weight, temperature=temperature)
    )
    terms = method.loss(batch_of(groups))
    ce = {v: naive_ce(*groups[v, "new"][:2]).mean() for v in ("qa", "gen")}
    kl = {}
    for view in ("qa", "gen"):
        student, _, teacher = groups[view, "pseudo"]
        kl[view] = naive_kl(student, teacher, temperature).mean()
    expected = ce["qa"] + lam * ce["gen"] + weight * (kl["qa"] + lam * kl["gen"])
    torch.testing.assert_close(terms.total, expected, rtol=1e-5, atol=1e-6)
    for got, wanted in (
        (terms.ce_qa, ce["qa"]), (terms.ce_gen, ce["gen"]),
        (terms.kl_qa, kl["qa"]), (terms.kl_gen, kl["gen"]),
    ):  # fmt: skip
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-6)


def test_lamol_kd_never_takes_the_labels_of_pseudo_rows() -> None:
    groups = make_groups()
    changed = {
        key: (s, (y + 1) % V if key[1] == "pseudo" else y, t) for key, (s, y, t) in groups.items()
    }
    method = LamolKd(LamolKdParams())
    assert method.loss(batch_of(changed)).total == method.loss(batch_of(groups)).total


def test_the_first_task_is_cross_entropy_alone() -> None:
    groups = {key: value for key, value in make_groups().items() if key[1] == "new"}
    terms = LamolKd(LamolKdParams(distill_weight=5.0)).loss(batch_of(groups))
    expected = sum(
        weight * naive_ce(*groups[view, "new"][:2]).mean()
        for view, weight in (("qa", 1.0), ("gen", 0.25))
    )
    torch.testing.assert_close(terms.total, expected)
    assert terms.kl_qa == 0 and terms.kl_gen == 0


def test_a_batch_of_pseudo_rows_alone_is_distillation_alone() -> None:
    groups = {key: value for key, value in make_groups().items() if key[1] == "pseudo"}
    terms = LamolKd(LamolKdParams(distill_weight=2.0, **{"lambda": 0.0})).loss(batch_of(groups))
    student, _, teacher = groups["qa", "pseudo"]
    torch.testing.assert_close(terms.total, 2 * naive_kl(student, teacher, 2.0).mean())
    assert terms.ce_qa == 0


def test_lamol_pools_new_and_pseudo_rows() -> None:
    groups = make_groups()
    pooled = {
        key: len(groups[key[0], "new"][1]) + len(groups[key[0], "pseudo"][1]) for key in groups
    }
    terms = Lamol(ReplayParams(**{"lambda": 0.5})).loss(batch_of(groups, pooled))
    means = {}
    for view in ("qa", "gen"):
        student = torch.cat([groups[view, origin][0] for origin in ("new", "pseudo")])
        labels = torch.cat([groups[view, origin][1] for origin in ("new", "pseudo")])
        means[view] = naive_ce(student, labels).mean()
    torch.testing.assert_close(terms.total, means["qa"] + 0.5 * means["gen"])
    assert Lamol.pools_origins and not LamolKd.pools_origins


def test_finetune_is_the_qa_view_of_new_rows_alone() -> None:
    groups = make_groups()
    terms = Finetune().loss(batch_of(groups))
    torch.testing.assert_close(terms.total, naive_ce(*groups["qa", "new"][:2]).mean())
    assert Finetune.views == ("qa",) and terms.kl_qa is None


def test_parameters_that_act() -> None:
    method = LamolKd(LamolKdParams(**{"lambda": 0.5}, temperature=3.0))
    assert method.parameters(has_pseudo_rows=False) == {
        "lambda": 0.5,
        "use_task_specific_gen_token": True,
    }
    assert method.parameters(has_pseudo_rows=True) == {
        "alignment": "next_token",
        "distill_weight": 1.0,
        "lambda": 0.5,
        "temperature": 3.0,
        "use_task_specific_gen_token": True,
    }
    assert set(Lamol(ReplayParams()).parameters(True)) == {"lambda", "use_task_specific_gen_token"}
    assert Finetune().parameters(True) == {}


@pytest.mark.parametrize("name", METHODS)
def test_the_registry_builds_what_params_name(name: str) -> None:
    task = {"after": "base", "source": {"kind": "demo", "task": "home"}}
    params = Params.model_validate({"method": name, "tasks": {"a": task}})
    method = build_method(params)
    assert type(method).__name__.lower() == name.replace("_", "")
    assert method.views[0] == "qa"
