"""The losses of tokens against plain arithmetic, and the equations of the methods."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lamol_core.artifacts.spec import METHOD
from lamol_core.config.section import Section
from lamol_core.methods.finetune import Finetune
from lamol_core.methods.l2kd import L2kd
from lamol_core.methods.lamol import Lamol, LamolParams
from lamol_core.methods.lamol_kd import LamolKd, LamolKdParams
from lamol_core.methods.losses import Segment, losses_of_states
from lamol_core.methods.registry import DEFAULT_METHOD, METHODS
from lamol_core.methods.terms import Kind, Loss
from lamol_core.parameters import Params, read_blocks
from tests.messages import names, naming

V = 7
Groups = dict[tuple[str, str], tuple[Tensor, Tensor, Tensor]]


def logits(rows: int, seed: int, words: int = V) -> Tensor:
    return 3 * torch.randn(rows, words, generator=torch.Generator().manual_seed(seed))


def per_token(kind: Kind, student: Tensor, values: Tensor, temperature: float = 1.0) -> Tensor:
    """The loss of each token (N,), a segment a token."""
    segments = [Segment(kind, 1.0, value[None], None, temperature) for value in values]
    return losses_of_states(student, None, segments).sums


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


def value_of(loss: Loss, groups: Groups) -> Tensor:
    """The sum that a loss stands for, each term worked out plainly."""
    total = torch.zeros(())
    for weight, term in loss.parts:
        found = [groups[term.view, o] for o in term.origins if (term.view, o) in groups]
        if found:
            student, labels, teacher = (torch.cat(parts) for parts in zip(*found, strict=True))
            tokens = (
                naive_ce(student, labels)
                if term.kind == "ce"
                else naive_kl(student, teacher, term.temperature)
            )
            total = total + weight * tokens.mean()
    return total


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
    kl = per_token("kl", student, teacher)
    assert kl.tolist() == pytest.approx([math.log(2) / 4, math.log(9 / 8) / 2], rel=1e-5)
    ce = per_token("ce", student, torch.tensor([1, 0]))
    assert ce.tolist() == pytest.approx([math.log(2), math.log(3)], rel=1e-6)
    root = math.sqrt(2)
    at_2 = per_token("kl", student, teacher, 2.0)[0]
    assert at_2.item() == pytest.approx(2 * math.log(2) * (root - 1) / (2 + root), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 10.0])
def test_equal_logits_do_not_diverge(temperature: float) -> None:
    same = logits(5, 0)
    rounding = 1e-6 * max(1.0, temperature**2)
    assert per_token("kl", same, same.clone(), temperature).abs().max() < rounding
    # a constant added to all logits of a token changes no probability
    assert per_token("kl", same, same + 4.0, temperature).abs().max() < 10 * rounding


@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0, 2.0, 5.0]))
@settings(max_examples=40, deadline=None)
def test_kl_is_the_naive_one_and_never_negative(seed: int, temperature: float) -> None:
    student, teacher = logits(4, seed), logits(4, seed + 1)
    kl = per_token("kl", student, teacher, temperature)
    assert kl.shape == (4,) and (kl >= 0).all()
    torch.testing.assert_close(kl, naive_kl(student, teacher, temperature), rtol=1e-4, atol=1e-5)


def test_temperature_squared_scales_it() -> None:
    student, teacher = logits(4, 1), logits(4, 2)
    scaled = per_token("kl", 3 * student, 3 * teacher, 3.0)
    torch.testing.assert_close(scaled, 9 * per_token("kl", student, teacher))


def test_the_teacher_is_the_first_argument_of_the_divergence() -> None:
    peaked, flat = torch.tensor([[8.0, 0.0, 0.0]]), torch.zeros(1, 3)
    # KL(peaked || uniform) stays below ln 3; KL(uniform || peaked) does not
    assert per_token("kl", flat, peaked).item() < math.log(3) < 4
    assert per_token("kl", peaked, flat).item() > 4


def test_gradient_of_kl_is_temperature_times_the_difference_of_probabilities() -> None:
    student, teacher = logits(3, 3).requires_grad_(), logits(3, 4)
    segment = Segment("kl", 1.0, teacher, temperature=2.0)
    losses_of_states(student, None, [segment]).total.backward()
    expected = 2.0 * (torch.softmax(student / 2, -1) - torch.softmax(teacher / 2, -1))
    torch.testing.assert_close(student.grad, expected.detach())


@pytest.mark.parametrize("kind", ["kl", "mse"])
@pytest.mark.parametrize("shape", [(4, V + 1), (4, 1)])
def test_shapes_that_differ_are_refused(shape: tuple[int, int], kind: Kind) -> None:
    # (4, 1) would broadcast silently
    with pytest.raises(ValueError, match=naming((4, 7), shape)):
        losses_of_states(logits(4, 0), None, [Segment(kind, 1.0, torch.zeros(shape))])


@pytest.mark.parametrize("num_targets", [3, 5])
def test_a_target_is_needed_for_each_token(num_targets: int) -> None:
    with pytest.raises(ValueError, match=naming(4, num_targets)):
        losses_of_states(logits(4, 0), None, [Segment("kl", 1.0, torch.zeros(num_targets, V))])


def test_cross_entropy_is_the_naive_one() -> None:
    student, labels = logits(6, 5), torch.tensor([0, 6, 3, 3, 1, 2])
    torch.testing.assert_close(per_token("ce", student, labels), naive_ce(student, labels))


@pytest.mark.parametrize("lam", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_lamol_kd_equation(lam: float, weight: float, temperature: float) -> None:
    groups = make_groups()
    method = LamolKd(
        LamolKdParams(**{"lambda": lam}, distill_weight=weight, temperature=temperature)
    )
    ce = {v: naive_ce(*groups[v, "new"][:2]).mean() for v in ("qa", "gen")}
    kl = {}
    for view in ("qa", "gen"):
        student, _, teacher = groups[view, "pseudo"]
        kl[view] = naive_kl(student, teacher, temperature).mean()
    expected = ce["qa"] + lam * ce["gen"] + weight * (kl["qa"] + lam * kl["gen"])
    torch.testing.assert_close(value_of(method.loss, groups), expected, rtol=1e-5, atol=1e-6)
    assert [term.name for _, term in method.loss.parts] == ["ce_qa", "ce_gen", "kl_qa", "kl_gen"]


def test_lamol_kd_never_takes_the_labels_of_pseudo_rows() -> None:
    groups = make_groups()
    changed = {
        key: (s, (y + 1) % V if key[1] == "pseudo" else y, t) for key, (s, y, t) in groups.items()
    }
    loss = LamolKd(LamolKdParams()).loss
    assert value_of(loss, changed) == value_of(loss, groups)


def test_the_first_task_is_cross_entropy_alone() -> None:
    groups = {key: value for key, value in make_groups().items() if key[1] == "new"}
    expected = sum(
        weight * naive_ce(*groups[view, "new"][:2]).mean()
        for view, weight in (("qa", 1.0), ("gen", 0.25))
    )
    loss = LamolKd(LamolKdParams(distill_weight=5.0)).loss
    torch.testing.assert_close(value_of(loss, groups), expected)


def test_lamol_pools_new_and_pseudo_rows() -> None:
    groups = make_groups()
    means = {}
    for view in ("qa", "gen"):
        student = torch.cat([groups[view, origin][0] for origin in ("new", "pseudo")])
        labels = torch.cat([groups[view, origin][1] for origin in ("new", "pseudo")])
        means[view] = naive_ce(student, labels).mean()
    loss = Lamol(LamolParams(**{"lambda": 0.5})).loss
    torch.testing.assert_close(value_of(loss, groups), means["qa"] + 0.5 * means["gen"])
    assert not loss.of_kind("kl")


def test_l2kd_s_expert_learns_both_views_of_new_rows_alone() -> None:
    groups, loss = make_groups(), L2kd(LamolParams(**{"lambda": 0.3})).expert_loss
    ce = {view: naive_ce(*groups[view, "new"][:2]).mean() for view in ("qa", "gen")}
    torch.testing.assert_close(value_of(loss, groups), ce["qa"] + 0.3 * ce["gen"])


def test_finetune_is_the_qa_view_of_new_rows_alone() -> None:
    groups, loss = make_groups(), Finetune(Section()).loss
    torch.testing.assert_close(value_of(loss, groups), naive_ce(*groups["qa", "new"][:2]).mean())
    assert loss.views == ("qa",) and not loss.of_kind("kl")


@pytest.mark.parametrize("alignment", ["next_token", "reference"])
def test_alignment_is_of_the_pseudo_rows_alone(alignment: str) -> None:
    loss = LamolKd(LamolKdParams(alignment=alignment)).loss  # type: ignore[arg-type]
    shifts = {term.kind: term.shift for _, term in loss.parts}
    assert shifts == {"ce": 1, "kl": 1 if alignment == "next_token" else 0}
    assert loss.views == ("qa", "gen") and len(loss.of_kind("kl")) == 2


def test_parameters_that_act() -> None:
    method = LamolKd(LamolKdParams(**{"lambda": 0.5}, temperature=3.0))
    assert method.effective_params(has_pseudo_rows=False) == {"lambda": 0.5}
    assert method.effective_params(has_pseudo_rows=True) == {
        "alignment": "next_token",
        "distill_weight": 1.0,
        "lambda": 0.5,
        "temperature": 3.0,
    }
    assert set(Lamol(LamolParams()).effective_params(True)) == {"lambda"}
    assert Finetune(Section()).effective_params(True) == {}


def test_a_method_is_found_by_its_name() -> None:
    assert METHODS[DEFAULT_METHOD] is LamolKd
    assert read_blocks({}, ("method", METHOD))[0][METHOD] == LamolKdParams()
    for name, method in METHODS.items():
        blocks, _ = read_blocks({"method": name}, ("method", METHOD))
        assert isinstance(blocks[METHOD], method.Params)
    blocks, (problem,) = read_blocks({"method": "lamol_kdd"}, ("method", METHOD))
    assert not blocks and names(problem, "method", "lamol_kdd", *METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_the_registry_builds_what_params_name(name: str) -> None:
    task = {"after": "base", "source": {"kind": "demo", "task": "home"}}
    params = Params.model_validate({"method": name, "tasks": {"a": task}})
    method = params.chosen
    assert type(method) is METHODS[name] and method.params is getattr(params, name)
    assert type(method).__name__.lower() == name.replace("_", "")
    assert method.loss.views[0] == "qa"
