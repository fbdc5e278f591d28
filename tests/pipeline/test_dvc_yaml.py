"""dvc.yaml says what the stages declare, and lists the packages that they import: all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lamol_core.artifacts.spec import METHOD, OF_A_TASK, STAGES, Read
from lamol_core.methods.registry import METHODS
from lamol_core.parameters import Params
from lamol_core.pipeline.dvc_yaml import adapt_pipeline, interpolation_hints
from lamol_core.preflight.problems import missing_blocks
from tests.code_imports import ROOT, closure
from tests.messages import names

TEXT = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
LISTED = YAML(typ="safe").load(TEXT)["stages"]
TOP = ("lamol_core/records.py", "lamol_core/seeds.py")
CANNOT_CHANGE_AN_ARTEFACT = {
    "stages/runtime.py": "the task, its blocks, costs; which block or artefact is read, not how",
    "stages/guard.py": "sentences and exit codes of errors",
    "stages/options.py": "options that commands share",
    "stages/console.py": "progress bars and messages",
    "lamol_core/machine.py": "what those were measured on",
    "lamol_core/errors.py": "classes of errors: a stage that raises one writes nothing",
    "lamol_core/config": "reads and checks params.yaml; the blocks stand in their packages",
    "lamol_core/preflight": "finds what is wrong: a stage that stops there writes nothing",
    "lamol_core/parameters.py": "composes the blocks, each of which is a parameter of the stage",
    "lamol_core/__init__.py": "the version's number",
}


def body(stage: str) -> dict[str, Any]:
    return LISTED[stage].get("do", LISTED[stage])


def paths(entries: list[Any]) -> list[str]:
    """Of outs, with their options or without."""
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def deps(stage: str, *, of_code: bool) -> list[str]:
    return [
        dep
        for dep in body(stage).get("deps", [])
        if dep.startswith(("stages/", "lamol_core/")) == of_code
    ]


def of_read(read: Read) -> list[str]:
    """How dvc.yaml spells what a stage reads."""
    task = {"task": "${key}", "before": "${item.after}", "base": "base"}[read.of]
    path = read.artifact.path.format(task=task)
    manifest = [path.replace(".parquet", ".manifest.json")] if read.with_manifest else []
    return [f"{path}/{read.part}" if read.part else path, *manifest]


def of_writes(stage: str) -> set[str]:
    task = "${key}" if STAGES[stage].of_task else "base"
    written = set()
    for artifact in STAGES[stage].writes:
        path = artifact.path.format(task=task)
        written |= {path, path.replace(".parquet", ".manifest.json")}
    return written


def test_it_can_be_read_at_once() -> None:
    lines = TEXT.splitlines()
    assert len(lines) <= 150 and max(map(len, lines)) <= 100
    demo = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()
    assert len(demo) <= 90 and max(map(len, demo)) <= 100


def test_the_stages_are_those_declared_in_their_order() -> None:
    assert list(LISTED) == list(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_as_it_is_declared(stage: str) -> None:
    declared = STAGES[stage]
    assert body(stage)["cmd"] == f"lamol {stage}", "no name of a task reaches a shell"
    assert tuple(body(stage).get("params", ())) == declared.blocks
    reads = {path for read in declared.reads for path in of_read(read)}
    assert set(deps(stage, of_code=False)) == reads
    outs = [entry for kind in ("outs", "metrics", "plots") for entry in body(stage).get(kind, [])]
    assert set(paths(outs)) == of_writes(stage)
    packages = [f"lamol_core/{name}" for name in declared.packages]
    assert deps(stage, of_code=True) == [f"stages/{stage}.py", *TOP, *packages]


@pytest.mark.parametrize("stage", STAGES)
def test_the_packages_are_those_that_it_imports(stage: str) -> None:
    """What is exempt is not followed either."""
    imported = closure(ROOT / "stages" / f"{stage}.py", CANNOT_CHANGE_AN_ARTEFACT)
    names = {path.relative_to(ROOT).as_posix() for path in imported}
    assert names - {f"stages/{stage}.py"} <= {n for n in names if n.startswith("lamol_core/")}
    top = {name for name in names if name.count("/") == 1} - {f"stages/{stage}.py"}
    assert top <= set(TOP)
    packages = {name.split("/")[1] for name in names if name.count("/") > 1}
    assert packages == set(STAGES[stage].packages)


@pytest.mark.parametrize("name", CANNOT_CHANGE_AN_ARTEFACT)
def test_what_is_exempt_is_there(name: str) -> None:
    assert (ROOT / name).exists()


def test_stage_x_reads_block_x() -> None:
    blocks = {
        name
        for name, field in Params.model_fields.items()
        if hasattr(field.annotation, "model_fields") and name not in METHODS
    }
    shared = {"text", "adapter", "forget"}
    assert blocks == {*(set(STAGES) - {"snapshot", "report"}), *shared}
    assert [s.name for s in STAGES.values() if "adapter" in s.blocks] == ["train", "report"]
    for name in blocks - shared:
        assert name in STAGES[name].blocks, name
        others = [s.name for s in STAGES.values() if name in s.blocks and s.name != name]
        assert others in ([], ["report"]), f"{name} is read by {others}"


def test_only_training_and_the_report_read_the_method_s_block() -> None:
    assert [s.name for s in STAGES.values() if METHOD in s.blocks] == ["train", "report"]
    for stage in STAGES.values():
        assert not set(stage.blocks) & set(METHODS), stage.name


@pytest.mark.parametrize(
    "path", [ROOT / "params.yaml", *sorted(ROOT.glob("examples/*/params.yaml"))]
)
def test_every_block_is_there_and_those_of_methods_are_known(path: Path) -> None:
    """DVC stops at a block that a stage reads and params.yaml has not."""
    given = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    assert missing_blocks(given) == []
    wanted = set(Params.model_fields) - set(METHODS) - {"lamol_version"}
    assert wanted <= set(given) <= set(Params.model_fields)


def test_real_rows_are_never_cached() -> None:
    for stage in STAGES.values():
        task = "${key}" if stage.of_task else "base"
        uncached = {one.path.format(task=task) for one in stage.writes if not one.cached}
        for out in body(stage.name).get("outs", []):
            (path,) = paths([out])
            is_kept_out = isinstance(out, dict) and out[path].get("cache") is False
            assert is_kept_out == (path in uncached), path


def test_the_stages_of_a_task_are_those_that_dvc_runs_for_each() -> None:
    assert [name for name in LISTED if "foreach" in LISTED[name]] == list(OF_A_TASK)


def test_a_new_folder_has_the_same_pipeline_without_code() -> None:
    params = {
        "tasks": {"a": {"source": {"kind": "csv", "path": "/rows/a.csv"}}},
        "backbone": {
            "kind": "nano",
            "nano": {
                "corpus": [
                    {"kind": "csv", "path": '/a "${b}" c.csv'},
                    {"kind": "demo", "task": "home"},
                ]
            },
        },
    }
    text = adapt_pipeline(TEXT, params)
    new = YAML(typ="safe").load(text)["stages"]
    for name, stage in new.items():
        mine, theirs = stage.get("do", stage), body(name)
        assert mine["params"] == ["lamol_version", *theirs.get("params", ())]
        for key in ("cmd", "outs", "plots", "metrics"):
            assert mine.get(key) == theirs.get(key)
        added = {"backbone": ['/a "\\${b}" c.csv'], "prepare": ["${item.source.path}"]}
        assert mine.get("deps", []) == [*added.get(name, []), *deps(name, of_code=False)]
    kept = [line for line in text.splitlines() if line in TEXT.splitlines()]
    comments = [line for line in TEXT.splitlines() if line.startswith("#")]
    assert [line for line in kept if line.startswith("#")] == comments


def test_a_task_without_a_file_leaves_prepare_without_one() -> None:
    params = {
        "tasks": {"a": {"source": {"kind": "demo", "task": "home"}}},
        "backbone": {"kind": "gguf"},
    }
    new = YAML(typ="safe").load(adapt_pipeline(TEXT, params))["stages"]
    assert new["prepare"]["do"]["deps"] == ["data/${item.after}"]
    assert "deps" not in new["backbone"]


def test_what_dvc_exp_run_would_replace_is_told_by_its_key() -> None:
    source = {"input": "costs ${price}", "target": "{x}$", "where": {"y": ["$", "${seed}"]}}
    (hint,) = interpolation_hints({"tasks": {"a": {"source": source}}, "seed": 3})
    assert names(hint, "tasks.a.source.input", "tasks.a.source.where.y")
    assert not names(hint, "tasks.a.source.target") and not names(hint, "seed")
    assert interpolation_hints({"tasks": {"a": {"source": {"input": "{price}"}}}}) == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/params.yaml")))
def test_an_example_is_its_parameters(path: Path) -> None:
    assert [file.name for file in path.parent.iterdir()] == ["params.yaml"]
