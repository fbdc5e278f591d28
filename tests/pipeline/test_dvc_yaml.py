"""The code that dvc.yaml lists for a stage is the code that the stage imports: no less, no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lamol_core.parameters import Params
from tests.code_imports import ROOT, closure

CANNOT_CHANGE_AN_ARTEFACT = {
    "stages/runtime.py": "options, exit codes, the time and memory that a stage took",
    "stages/console.py": "progress bars and messages",
    "lamol_core/machine.py": "what those were measured on",
    "lamol_core/errors.py": "classes of errors: a stage that raises one writes nothing",
    "lamol_core/config/loading.py": "finds what is wrong in params.yaml; blocks make the values",
}
STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def body(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def listed_files(stage: str) -> set[str]:
    files: set[str] = set()
    for dep in body(stage)["deps"]:
        if dep.startswith(("stages/", "lamol_core/")):
            path = ROOT / dep
            assert path.exists(), f"{stage}: {dep} does not exist"
            found = path.rglob("*") if path.is_dir() else [path]
            files |= {str(p.relative_to(ROOT)) for p in found if p.suffix == ".py"}
    return {name for name in files if not is_bare_init(name)}


def is_bare_init(name: str) -> bool:
    """A package's __init__ that holds a docstring and nothing else."""
    return name.endswith("__init__.py") and name != "lamol_core/__init__.py"


@pytest.mark.parametrize("stage", STAGES)
def test_code_dependencies_are_the_import_closure(stage: str) -> None:
    imported = {str(path.relative_to(ROOT)) for path in closure(ROOT / "stages" / f"{stage}.py")}
    wanted = {name for name in imported - set(CANNOT_CHANGE_AN_ARTEFACT) if not is_bare_init(name)}
    assert listed_files(stage) == wanted


def test_inits_that_do_not_count_hold_no_code() -> None:
    for path in ROOT.glob("lamol_core/*/__init__.py"):
        assert path.read_text(encoding="utf-8").count('"""') == 2, path
        assert "import" not in path.read_text(encoding="utf-8"), path


def parameters_read(stage: str) -> set[str]:
    return {name for name in body(stage).get("params", []) if "$" not in name}


def test_every_listed_parameter_exists() -> None:
    known: set[str] = set()
    for name, field in Params.model_fields.items():
        known.add(name)
        section = field.annotation
        for inner, sub in getattr(section, "model_fields", {}).items():
            known.add(f"{name}.{sub.alias or inner}")
    for stage in STAGES:
        assert parameters_read(stage) <= known, stage


def test_changing_the_distillation_re_runs_training_alone() -> None:
    for key in ("lamol_kd.temperature", "lamol_kd.distill_weight", "lamol_kd.alignment"):
        readers = {stage for stage in STAGES if key in parameters_read(stage)}
        assert readers == {"train"}, key


def test_every_parameter_makes_some_stage_run_again() -> None:
    listed = set().union(*(parameters_read(stage) for stage in STAGES if stage != "report"))
    listed |= {"tasks", "lamol_version", "audit.keep_fingerprint"}  # the last is for `lamol forget`
    for name, field in Params.model_fields.items():
        inner = getattr(field.annotation, "model_fields", {}).items()
        keys = {f"{name}.{sub.alias or key}" for key, sub in inner}
        assert name in listed or keys <= listed, name


def test_real_rows_are_never_cached() -> None:
    for stage in STAGES:
        for out in body(stage).get("outs", []):
            path = out if isinstance(out, str) else next(iter(out))
            if path.startswith("data/"):
                assert isinstance(out, dict) and out[path]["cache"] is False, path


@pytest.mark.parametrize("folder", sorted(p.parent for p in ROOT.glob("examples/*/params.yaml")))
def test_an_example_runs_the_same_pipeline(folder: Path) -> None:
    from lamol_core.pipeline.init import adapt_pipeline, read_pipeline

    yaml = YAML()
    adapted = adapt_pipeline(yaml.load(read_pipeline()), {"backbone": {"kind": "gguf"}})
    example = YAML(typ="safe").load((folder / "dvc.yaml").read_text(encoding="utf-8"))
    assert example == YAML(typ="safe").load(dump(yaml, adapted))


def dump(yaml: YAML, content: dict) -> str:
    import io

    stream = io.StringIO()
    yaml.dump(content, stream)
    return stream.getvalue()
