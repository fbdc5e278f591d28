"""Every check is complete: its file, its limits, its parameters, the figures that it judges."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lamol_core.audit.checks
from lamol_core.audit.limits import Limit
from lamol_core.audit.params import AuditParams
from lamol_core.audit.registry import CHECKS
from lamol_core.audit.spec import Audited, Check, Teacher
from lamol_core.config.section import Section
from lamol_core.data.canaries import Canary
from tests.audit.corpus import clean, decode

HEAVY = ("torch", "transformers", "sklearn", "scipy", "sacrebleu", "datasketch", "phonenumbers",
         "stdnum", )  # fmt: skip
COMMON = {"ask_teacher", "batch_size", "show_real_rows", "min_rows", "limits"}


def all_there() -> Audited:
    """A table that every figure can be had of."""
    audited = clean()
    (task,) = audited.tasks
    planted = [Canary(task.train[0].row_id, "the code is", "12345678")]
    teacher = Teacher(
        decode,
        answers=lambda samples: [sample.target for sample in samples],
        score=lambda place, texts, target: [float(len(text)) for text in texts],
    )
    return replace(audited, tasks=[replace(task, canaries=planted)], teacher=teacher)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_is_complete(check: Check[Any]) -> None:
    assert type(check).__module__ == f"lamol_core.audit.checks.{check.name}"
    assert check.title and check.limits
    assert check.Params is Section or issubclass(check.Params, Section)
    audited = all_there()
    found = check.run(audited, check.Params())
    assert found.check == check.name
    missing = set(check.limits) - set(found.figures)
    assert not missing, "a figure with a limit that the check does not give"
    assert any(found.figures[name] is not None for name in check.limits)
    assert check.about in ("privacy", "quality")
    assert not check.headline or check.headline in check.limits
    assert isinstance(check.num_rows(audited.tasks[0], audited.origin), int)


def test_every_file_has_its_line_in_the_registry() -> None:
    files = Path(lamol_core.audit.checks.__file__).parent.glob("*.py")
    assert sorted(check.name for check in CHECKS) == sorted(
        file.stem for file in files if file.stem != "__init__"
    )


def test_the_block_has_what_the_checks_declare_and_no_more() -> None:
    params = AuditParams()
    declared = [name for check in CHECKS for name in check.limits]
    assert Counter(declared).most_common(1)[0][1] == 1, "a figure of two checks"
    assert [*type(params.limits).model_fields] == declared
    for check in CHECKS:
        for name, limit in check.limits.items():
            assert params.limit(name) == limit and type(params.limit(name)) is type(limit)
        assert params.own(check) == check.Params()
    own = {check.name for check in CHECKS if check.Params is not Section}
    assert not own & COMMON and set(AuditParams.model_fields) == own | COMMON


def test_one_limit_can_be_changed_and_is_judged_by_its_own_side() -> None:
    params = AuditParams.model_validate({"limits": {"drift_auc": {"warn": 0.5, "fail": 0.6}}})
    assert params.limit("drift_auc") == Limit(warn=0.5, fail=0.6)
    assert params.limit("exposure") == AuditParams().limit("exposure")
    assert [params.limit("drift_auc").judge(auc) for auc in (0.5, 0.6, 0.7)] == [
        "pass", "warn", "fail",
    ]  # fmt: skip
    low = params.limit("distinct_2_ratio")
    assert [low.judge(ratio) for ratio in (0.6, 0.3, 0.2)] == ["pass", "warn", "fail"]
    for limits in (
        {"drift_auc": {"warn": 0.6, "fail": 0.5}},
        {"distinct_2_ratio": {"warn": 0.3, "fail": 0.6}},
        {"drift": {"warn": 0.1, "fail": 0.2}},
    ):
        with pytest.raises(ValueError, match=next(iter(limits))):
            AuditParams.model_validate({"limits": limits})


def test_countries_are_those_of_iso_3166() -> None:
    block = {"personal_data": {"phone_regions": [False, "gb"]}}
    (check,) = [check for check in CHECKS if check.name == "personal_data"]
    own: Any = AuditParams.model_validate(block).own(check)
    assert own.phone_regions == ("NO", "GB"), "YAML 1.1 reads NO as false"
    with pytest.raises(ValueError, match="UK"):
        AuditParams.model_validate({"personal_data": {"phone_regions": ["us", "UK"]}})


def test_parameters_are_read_without_what_the_checks_compute_with() -> None:
    code = f"import sys, lamol_core.parameters; print([m for m in {HEAVY} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
