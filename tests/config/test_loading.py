"""params.yaml: everything wrong is told at once, in the words of the file."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from lamol_core.config.loading import read_params
from lamol_core.errors import ConfigError
from lamol_core.generation.params import GenerateParams
from lamol_core.parameters import Params, load_params, read_blocks
from tests.config.blocks import DEMO, find_problems, sequence
from tests.messages import names, naming


def with_key(path: str, value: Any = 1) -> dict[str, Any]:
    """A good params.yaml with one more key."""
    data = sequence(a="base")
    data |= {"backbone": {"nano": {"corpus": [dict(DEMO)]}}, "lamol_kd": {}, "lamol": {}}
    data |= {"generate": {}, "train": {}, "evaluate": {}, "prepare": {}, "text": {}, "mix": {}}
    data |= {"audit": {"limits": {"exposure": {"warn": 5.0, "fail": 8.0}}}}
    node: Any = data
    *parents, last = path.split(".")
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]
    node[last] = value
    return data


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


GOOD = "seed: 3\ntasks:\n  a: {after: base, source: {kind: demo, task: home}}\n"


def test_defaults_are_those_of_the_method() -> None:
    params = Params.model_validate(sequence(a="base"))
    kd, generate = params.lamol_kd, params.generate
    assert (kd.distill_weight, kd.lambda_, kd.temperature) == (1.0, 0.25, 2.0)
    assert (generate.gamma, generate.topk, generate.format) == (0.20, 20, "constrain")
    assert kd.alignment == "next_token" and params.text.use_task_specific_gen_token


def test_the_projects_own_params_are_good() -> None:
    load_params(Path(__file__).parents[2] / "params.yaml")


def test_a_tree_of_tasks_is_good() -> None:
    assert find_problems(sequence(a="base", b="a", c="a", d="base")) == []


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    data = with_key("train.epochs", 0)
    data["lamol_kd"]["temprature"] = 3.0
    data["tasks"]["b"] = {"after": "c", "source": {"kind": "jsonl"}}
    data["method"] = "lamolkd"
    path = tmp_path / "params.yaml"
    with path.open("w") as stream:
        YAML(typ="safe").dump(data, stream)
    with pytest.raises(ConfigError) as caught:
        load_params(path)
    keys = [
        "lamol_kd.temprature", "method", "tasks.b.after", "tasks.b.source.path", "train.epochs",
    ]  # fmt: skip
    assert names(caught.value, path, *keys)
    assert sorted(problem.partition(":")[0] for problem in find_problems(data)) == keys
    assert caught.value.exit_code == 3


def test_did_you_mean() -> None:
    (problem,) = find_problems(with_key("lamol_kd.temprature"))
    assert problem.startswith("lamol_kd.temprature:") and names(problem, "temperature")
    (problem,) = find_problems(sequence(kitchen="base", travel="kichen"))
    assert problem.startswith("tasks.travel.after:") and names(problem, "kitchen")
    params = Params.model_validate(sequence(kitchen="base"))
    with pytest.raises(ConfigError, match=naming("params.yaml", "kitchn", "kitchen")):
        params.task("kitchn")


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("lamol.temperature", ["lamol_kd.temperature"]),
        ("train.topk", ["generate.topk"]),
        ("lamol_kd.gamma", ["generate.gamma"]),
        ("train.max_length", ["text.max_length"]),
        ("train.seed", ["seed", "backbone.nano.seed"]),
        ("metric", ["tasks.*.metric"]),
        ("tasks.a.limit_train", ["tasks.*.source.limit_train"]),
        ("backbone.layers", ["backbone.nano.layers"]),
        ("audit.drift_auc", ["audit.limits.drift_auc"]),
        ("temperture", ["lamol_kd.temperature"]),
        ("audit.limits.exposure.wran", ["warn"]),
        ("backbone.nano.hiden_size", ["hidden_size"]),
        ("tasks.a.source.limit_tran", ["limit_train"]),
    ],
)
def test_a_key_is_looked_for_where_it_belongs(path: str, meant: list[str]) -> None:
    (problem,) = find_problems(with_key(path))
    assert problem.startswith(f"{path}:") and names(problem, *meant)


def test_a_key_of_an_earlier_version_is_told_as_such() -> None:
    for key in GenerateParams.removed:
        (problem,) = find_problems(with_key(f"generate.{key}"))
        assert problem.startswith(f"generate.{key}:") and names(problem, "earlier")
    (problem,) = find_problems(with_key("train.known_labels"))
    assert not names(problem, "earlier")


def test_a_section_without_keys_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("generate:\ntasks: {a: {after: base}}\n")
    (problem,) = [p for p in find_problems({"generate": None, "tasks": {}}) if "generate" in p]
    assert problem.startswith("generate:")
    (problem,) = find_problems({"tasks": None})
    assert problem.startswith("tasks:")
    with pytest.raises(ConfigError, match=naming("generate.format=reject", "generate")):
        read_params(tmp_path / "params.yaml", ["generate.format=reject"])


@pytest.mark.parametrize(
    "path",
    [
        "zzz",
        "tasks.a.zzz",
        "tasks.a.source.zzz",
        "backbone.zzz",
        "backbone.nano.zzz",
        "prepare.zzz",
        "generate.zzz",
        "text.zzz",
        "mix.zzz",
        "lamol_kd.zzz",
        "lamol.zzz",
        "lamol.distill_weight",
        "train.zzz",
        "evaluate.zzz",
    ],
)
def test_unknown_keys_are_refused_at_every_level(path: str) -> None:
    (problem,) = find_problems(with_key(path))
    assert problem.startswith(f"{path}:")


def test_an_unknown_key_of_a_corpus_source_is_named_as_in_the_file() -> None:
    (problem,) = find_problems(with_key("backbone.nano.corpus.0.zzz"))
    assert problem.startswith("backbone.nano.corpus.0.zzz:")


def test_a_key_of_a_task_named_source_is_named_as_in_the_file() -> None:
    data = sequence(source="base")
    data["tasks"]["source"]["metric"] = "acuracy"
    (problem,) = find_problems(data)
    assert problem.startswith("tasks.source.metric:")


def test_lambda_is_spelt_as_documented() -> None:
    params = Params.model_validate(with_key("lamol_kd.lambda", 0.5))
    assert params.lamol_kd.lambda_ == 0.5
    # one way to write it
    (problem,) = find_problems(with_key("lamol_kd.lambda_", 0.5))
    assert problem.startswith("lamol_kd.lambda_:")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("generate.gamma", -0.1),
        ("generate.gamma", float("inf")),
        ("generate.gamma", float("nan")),
        ("lamol_kd.distill_weight", float("inf")),
        ("lamol_kd.lambda", -1),
        ("generate.topk", 0),
        ("lamol_kd.temperature", 0),
        ("lamol_kd.alignment", "wrong"),
        ("generate.format", "free"),
        ("generate.max_attempts", 0),
        ("train.learning_rate", 0),
        ("train.learning_rate", "fast"),
        ("train.warmup_fraction", 1.5),
        ("text.max_length", 7),
        ("prepare.dev_fraction", 0.5),
        ("backbone.kind", "pickle"),
        ("backbone.nano.hidden_size", 20),
        ("evaluate.split", "train"),
        ("seed", "zero"),
    ],
)
def test_values_out_of_range_are_refused(path: str, value: Any) -> None:
    (problem,) = find_problems(with_key(path, value))
    assert problem.startswith(f"{path}:")


def test_heads_that_do_not_divide_the_hidden_size_are_refused() -> None:
    data = with_key("backbone.nano.hidden_size", 16)
    data["backbone"]["nano"]["heads"] = 3
    (problem,) = find_problems(data)
    assert problem.startswith("backbone.nano:") and names(problem, "hidden_size", 16, 3)


@pytest.mark.parametrize(
    ("figure", "limit"),
    [
        ("copied_excess", {"warn": 0.2, "fail": 0.1}),
        ("distinct_2_ratio", {"warn": 0.3, "fail": 0.6}),
    ],
)
def test_limits_that_fail_before_they_warn_are_refused(figure: str, limit: dict) -> None:
    (problem,) = find_problems(with_key("audit", {"limits": {figure: limit}}))
    assert problem.startswith(f"audit.limits.{figure}:") and names(problem, "warn", "fail")


def test_frozen() -> None:
    params = Params.model_validate(sequence(a="base"))
    with pytest.raises(ValidationError):
        params.seed = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        params.lamol_kd.temperature = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("tasks: {a: ", ["YAML", 1]),
        ("- a\n", ["tasks:"]),
        ("", ["tasks:"]),
        ("seed: 1\nseed: 2\n", ["seed", 1, 2]),
        ("tasks:\n  a: {}\n  b: {}\n  a: {}\n", ["a", 2, 4]),
        ("train:\n  epochs: 1\n  epochs: 2\n", ["train.epochs", 2, 3]),
    ],
)
def test_what_is_no_good_yaml_is_said_in_a_sentence(tmp_path: Path, text: str, named: list) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_params(path)
    assert names(caught.value, path, *named)


def test_a_missing_file_and_one_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(ConfigError, match=naming(path, "lamol init")):
        read_params(path)
    path.write_bytes(b"method: caf\xe9\n")
    with pytest.raises(ConfigError, match=naming(path, "utf-8")):
        read_params(path)


def test_overrides_are_yaml_values(tmp_path: Path) -> None:
    overrides = [
        "train.learning_rate=2e-4",
        "lamol_kd.temperature=4",
        "text.use_task_specific_gen_token=false",
        "train.steps=null",
        "backbone.ans_text='a=b'",
        "tasks.a.source.where={domain: [x, y]}",
        "seed=7",
    ]
    params = load_params(write(tmp_path, GOOD), overrides)
    assert params.train.learning_rate == 2e-4 and params.lamol_kd.temperature == 4.0
    assert params.text.use_task_specific_gen_token is False and params.train.steps is None
    assert params.backbone.ans_text == "a=b" and params.seed == 7
    assert params.tasks["a"].source.where == {"domain": ["x", "y"]}


def test_the_last_override_holds_and_the_file_is_not_touched(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    assert load_params(path, ["seed=1", "seed=2"]).seed == 2
    assert path.read_text() == GOOD


def test_floats_without_a_point_are_numbers_in_the_file_too(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "train: {learning_rate: 2e-4}\n")
    assert read_params(path)["train"]["learning_rate"] == 2e-4


@pytest.mark.parametrize(
    "override", ["seed", "=1", "seed.x=1", "train.epoch=3", "train.epochs=[", "train.epochs=many"]
)
def test_overrides_that_mean_nothing_are_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(ConfigError):
        load_params(write(tmp_path, GOOD), [override])


def test_an_override_into_an_absent_or_empty_block(tmp_path: Path) -> None:
    assert load_params(write(tmp_path, GOOD), ["train.epochs=2"]).train.epochs == 2
    path = write(tmp_path, GOOD + "train:\n")
    with pytest.raises(ConfigError, match=naming("train.epochs=2", "train")):
        load_params(path, ["train.epochs=2"])


def test_a_stage_s_blocks_have_the_version_that_the_folder_was_made_for() -> None:
    blocks, problems = read_blocks({"lamol_version": "1.2.3", "seed": 4}, ("seed",))
    assert (blocks, problems) == ({"lamol_version": "1.2.3", "seed": 4}, [])
