"""What `lamol init` chooses for a backbone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lamol_core import __version__
from lamol_core.data.sources.registry import SUFFIXES
from lamol_core.errors import ConfigError
from lamol_core.parameters import Params, compose, load_params
from lamol_core.pipeline.dvc_yaml import SOURCE, pipeline_hints, pipeline_problems
from lamol_core.pipeline.init import create_sequence, find_source, make_params, read_example
from lamol_core.preflight.backbone import length_problems
from lamol_core.preflight.problems import check_sequence
from tests.code_imports import ROOT
from tests.messages import names, naming
from tests.preflight.sequences import write_model
from tests.stages.sequences import make_tiny, run, write_csv


def create(folder: Path, tasks: list[str], backbone: str, method: str) -> None:
    create_sequence(folder, make_params(tasks, backbone, method), check_sequence)


def test_a_real_model_gets_better_pseudo_samples_and_random_weights_longer_training(
    tmp_path: Path,
) -> None:
    tasks = [f"colours={write_csv(tmp_path / 'colours.csv', 'colours')}"]
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    real = Params.model_validate(make_params(tasks, str(tmp_path / "model"), "lamol_kd"))
    nano = Params.model_validate(make_params(tasks, "nano", "lamol_kd"))
    published = Params(tasks={})
    assert real.text.gen_order == "target_first" and real.generate.judge == "features"
    assert real.generate.rows_per_class == 14 and real.train == published.train
    assert (nano.generate, nano.text) == (published.generate, published.text)
    assert nano.train.steps == 400
    many = [f"{tasks[0].replace('colours=', f't{i}=')}" for i in range(40)]
    assert make_params(many, "nano", "lamol_kd")["backbone"]["max_tasks"] == 40


@pytest.mark.parametrize(("positions", "fits"), [(32, False), (64, False), (259, True)])
def test_limits_are_written_that_fit_the_model(tmp_path: Path, positions: int, fits: bool) -> None:
    """Or else `lamol init` would refuse a small model: it has no option for them."""
    tasks = [f"{name}={write_csv(tmp_path / f'{name}.csv', name)}" for name in ("sums", "colours")]
    write_model(tmp_path / "model", {"n_positions": positions})
    made = make_params(tasks, str(tmp_path / "model"), "lamol_kd")
    assert check_sequence(made, tmp_path) == []
    params = Params.model_validate(made)
    longest = {"text.max_length": params.text.max_length}
    assert length_problems(longest, params.backbone, tmp_path) == []
    published = Params.model_validate({"tasks": {}, "text": {"gen_order": "target_first"}})
    assert (params.text == published.text) == (params.evaluate == published.evaluate) == fits


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after", "above"])
def test_git_comes_before_or_after_and_never_has_the_cache(when: str, tmp_path: Path) -> None:
    tasks = [f"colours={write_csv(tmp_path / 'colours.csv', 'colours')}"]
    folder = tmp_path / "new" / "mine"
    folder.mkdir(parents=True)

    def git(*command: str) -> str:
        done = subprocess.run(
            ["git", *command], cwd=folder, check=True, capture_output=True, text=True
        )
        return done.stdout

    if when == "above":
        subprocess.run(["git", "init", "-q"], cwd=folder.parent, check=True)
    if when == "before":
        git("init", "-q")
    create(folder, tasks, "nano", "lamol_kd")
    if when == "after":
        git("init", "-q")
    assert ("no_scm" in (folder / ".dvc" / "config").read_text()) == (when == "after")
    for path in (".dvc/cache/files/md5/ab/cdef", ".dvc/tmp/lock", "data/a", "runs/a"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("real rows")
    git("add", "-A")
    assert set(git("ls-files").split()) == {
        ".dvc/.gitignore", ".dvc/config", ".dvcignore", ".gitignore", "dvc.yaml", "params.yaml",
    }  # fmt: skip


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    tasks = [f"colours={write_csv(tmp_path / 'colours.csv', 'colours')}"]
    with pytest.raises(ConfigError, match=naming(tmp_path)):
        create(tmp_path, tasks, "nano", "lamol_kd")
    assert [path.name for path in tmp_path.iterdir()] == ["colours.csv"]


@pytest.mark.parametrize("backbone", ["namo", "NANO", "./gone", "~/gone", "gone/", "gone.GGUF"])
def test_a_slip_becomes_no_model_of_the_hub(backbone: str, tmp_path: Path) -> None:
    tasks = [f"colours={write_csv(tmp_path / 'colours.csv', 'colours')}"]
    with pytest.raises(ConfigError, match=naming("--backbone", backbone)):
        make_params(tasks, backbone, "lamol_kd")
    assert make_params(tasks, "owner/model", "lamol_kd")["backbone"]["kind"] == "hub"


def test_wrong_data_are_told_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,label\na,b\n")
    named = ("tasks.x.source", tmp_path / "x.csv", "input", "--input", "--target")
    with pytest.raises(ConfigError, match=naming(*named)):
        create(tmp_path / "new", [f"x={tmp_path / 'x.csv'}"], "nano", "lamol_kd")
    assert not (tmp_path / "new").exists()
    (tmp_path / "two").mkdir()
    for name in ("train.csv", "train.tsv"):
        (tmp_path / "two" / name).touch()
    with pytest.raises(ConfigError, match=naming(tmp_path / "two", "train.csv", "train.tsv")):
        make_params([f"x={tmp_path / 'two'}"], "nano", "lamol_kd")


@pytest.mark.parametrize(("suffix", "kind"), SUFFIXES.items())
def test_a_kind_of_file_is_known_by_its_suffix(suffix: str, kind: str, tmp_path: Path) -> None:
    for path in (tmp_path / f"x{suffix}", tmp_path / "folder" / f"train{suffix}"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for name in (f"x{suffix}", "folder"):
        assert find_source(tmp_path / name) == {"kind": kind, "path": str(tmp_path / name)}


def test_what_no_kind_reads_is_told_with_the_suffixes_that_are(tmp_path: Path) -> None:
    (tmp_path / "train.txt").touch()
    for path in (tmp_path, tmp_path / "train.txt"):
        with pytest.raises(ConfigError, match=naming(path)) as caught:
            find_source(path)
        assert all(suffix in str(caught.value) for suffix in SUFFIXES)
    with pytest.raises(ConfigError, match=naming(tmp_path / "gone")):
        find_source(tmp_path / "gone")


def test_a_task_of_the_hub_and_a_pipeline_that_wants_files_are_told(tmp_path: Path) -> None:
    tasks = [f"colours={write_csv(tmp_path / 'colours.csv', 'colours')}"]
    folder = tmp_path / "new"
    create(folder, tasks, "nano", "lamol_kd")
    params = Params.model_validate(make_params(tasks, "nano", "lamol_kd"))
    assert pipeline_problems(params, folder) == []
    source = {"kind": "hub", "path": "owner/data", "train": "train"}
    more = {**params.tasks, "far": {"after": "colours", "source": source}}
    with_hub = params.model_copy(update={"tasks": Params(tasks=more).tasks})
    (problem,) = pipeline_problems(with_hub, folder)
    assert names(problem, "dvc.yaml", "prepare", SOURCE, "far")
    text = (folder / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(text.replace(f'"{SOURCE}",', ""))
    assert pipeline_problems(with_hub, folder) == []
    assert pipeline_problems(with_hub, tmp_path) == [], "no dvc.yaml"


def test_a_version_that_dvc_would_miss_is_told(tmp_path: Path) -> None:
    tasks = [f"colours={write_csv(tmp_path / 'colours.csv', 'colours')}"]
    folder = tmp_path / "new"
    create(folder, tasks, "nano", "lamol_kd")
    made = make_params(tasks, "nano", "lamol_kd")
    version = made.pop("lamol_version")
    (problem,) = pipeline_problems(Params.model_validate(made), folder)
    assert problem.startswith("lamol_version: ") and names(problem, "dvc.yaml", version)
    text = (folder / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(
        text.replace("lamol_version, ", "").replace("lamol_version", "")
    )
    assert pipeline_problems(Params.model_validate(made), folder) == []


def test_without_git_a_sequence_is_made_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [f"colours={write_csv(tmp_path / 'colours.csv', 'colours')}"]
    monkeypatch.setenv("PATH", str(tmp_path))
    create(tmp_path / "new", tasks, "nano", "lamol_kd")
    assert "no_scm = true" in (tmp_path / "new" / ".dvc" / "config").read_text()


def test_what_failed_leaves_nothing_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [f"colours={write_csv(tmp_path / 'colours.csv', 'colours')}"]
    (tmp_path / "mine" / ".git").mkdir(parents=True)

    def fail(folder: Path) -> None:
        raise ConfigError("dvc init failed")

    with monkeypatch.context() as patched:
        patched.setattr("lamol_core.pipeline.init.set_up_dvc", fail)
        for name in ("new", "mine"):
            with pytest.raises(ConfigError, match="dvc init failed"):
                create(tmp_path / name, tasks, "nano", "lamol_kd")
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [".git"]
    create(tmp_path / "new", tasks, "nano", "lamol_kd")


def test_a_home_that_only_a_shell_knows_is_told(tmp_path: Path) -> None:
    tasks = [f"colours={write_csv(tmp_path / 'colours.csv', 'colours')}"]
    create(tmp_path / "new", tasks, "nano", "lamol_kd")
    made = make_params(tasks, "nano", "lamol_kd")
    made["tasks"]["colours"]["source"] = {"kind": "csv", "path": "~/colours.csv"}
    (problem,) = pipeline_problems(Params.model_validate(made), tmp_path / "new")
    assert problem.startswith("tasks.colours.source: ") and names(problem, "~/colours.csv")


def test_a_corpus_that_moved_is_missed_in_dvc_yaml(tmp_path: Path) -> None:
    tasks = [f"colours={write_csv(tmp_path / 'colours.csv', 'colours')}"]
    folder = tmp_path / "new"
    create(folder, tasks, "nano", "lamol_kd")

    made = make_params(tasks, "nano", "lamol_kd")

    def of_corpus(path: str) -> Params:
        made["backbone"]["nano"]["corpus"] = [{"kind": "csv", "path": path}]
        return Params.model_validate(made)

    assert pipeline_hints(of_corpus("../colours.csv"), folder) == [], "the same file"
    (hint,) = pipeline_hints(of_corpus("moved.csv"), folder)
    assert names(hint, "dvc.yaml", "backbone", "moved.csv", "backbone.nano.corpus")
    assert pipeline_problems(of_corpus("moved.csv"), folder) == [], "the old one is there still"
    (tmp_path / "colours.csv").rename(tmp_path / "moved.csv")
    (problem,) = pipeline_problems(of_corpus("../moved.csv"), folder)
    assert names(problem, "dvc.yaml", "backbone", tmp_path / "colours.csv")

    text = (folder / "dvc.yaml").read_text()
    by_name = text.replace(f"{tmp_path / 'colours.csv'}", "${tasks.colours.source.path}")
    (folder / "dvc.yaml").write_text(by_name)
    assert pipeline_problems(of_corpus("../moved.csv"), folder) == []
    assert pipeline_hints(of_corpus("../moved.csv"), folder) == []
    (folder / "dvc.yaml").write_text("stages: [")
    (problem,) = pipeline_problems(of_corpus("../moved.csv"), folder)
    assert problem.startswith(f"{folder / 'dvc.yaml'}: ") and names(problem, "YAML")


@pytest.mark.slow
def test_a_path_that_looks_like_a_parameter_is_found_by_every_stage(tmp_path: Path) -> None:
    """In both places where DVC learns of it: a task's source, and the corpus of a nano model."""
    tasks, named = [], {"a": "cost $HOME {x} 100%", "b": "inter ${x} pole", "c": "of ${seed}"}
    for name, folder in named.items():
        (tmp_path / folder).mkdir()
        write_csv(tmp_path / folder / "train.csv", "fruits")
        tasks.append(f"--task={name}={folder}/" + ("train.csv" if name == "b" else ""))
    run(tmp_path, "lamol", "init", "out", *tasks)
    make_tiny(tmp_path / "out")
    told = run(tmp_path / "out", "lamol", "check")
    assert names(told, "tasks.b.source.path", "tasks.c.source.path", "dvc exp run -S")
    assert not names(told, "tasks.a.source.path")
    run(tmp_path / "out", "dvc", "repro", "prepare", "backbone")
    assert "prepare" not in run(tmp_path / "out", "dvc", "status", "prepare")
    (tmp_path / named["b"] / "train.csv").write_text("input,target\n")
    assert "prepare@b" in run(tmp_path / "out", "dvc", "status", "prepare")


@pytest.mark.slow
def test_columns_of_other_names_are_read(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "colours.csv", "colours")
    table.write_text(table.read_text().replace("input,target", "text,label"))
    columns = ("--input", "say {text}", "--target", "label")
    run(tmp_path, "lamol", "init", "new", "--task", f"colours={table}", *columns)
    for command in ("check", "backbone", "prepare colours"):
        run(tmp_path / "new", "lamol", *command.split())
    rows = pq.read_table(tmp_path / "new" / "data" / "colours" / "train.parquet").to_pylist()
    assert all(row["input"].startswith("say what is ") for row in rows)
    more = write_csv(tmp_path / "sums.csv", "sums")
    both = ("--task", f"colours={table}", "--task", f"sums={more}")
    named = ("--input", "text", "--input", "input", "--target", "label", "--target", "target")
    run(tmp_path, "lamol", "init", "two", *both, *named)
    told = run(tmp_path, "lamol", "init", "three", *both, *named, "--input", "x", expect=2)
    assert names(told, "--input", 3, 2)
    told = run(tmp_path, "lamol", "init", "other", "--task", f"colours={table}", expect=3)
    assert names(told, "tasks.colours.source", "input", "--input", "--target")


def test_an_example_makes_a_folder_with_its_comments_and_whole_paths(tmp_path: Path) -> None:
    write_csv(tmp_path / "colours.csv", "colours")
    given = tmp_path / "example" / "params.yaml"
    given.parent.mkdir()
    given.write_text(
        "# Two tasks of one file.\n"
        "seed: 3\n"
        "method: lamol  # the published one\n"
        "tasks:\n"
        "  a: {after: base, source: &one {kind: csv, path: ../colours.csv}}\n"
        "  b: {after: a, source: {<<: *one, where: {target: cold}}}\n"
        "backbone: {kind: nano, nano: {corpus: [*one]}}\n"
    )
    create_sequence(tmp_path / "new", read_example(given), check_sequence)
    text = (tmp_path / "new" / "params.yaml").read_text()
    assert "# Two tasks" in text and "# the published one" in text and "<<: *one" in text
    params = load_params(tmp_path / "new" / "params.yaml")
    assert (params.seed, params.method, params.lamol_version) == (3, "lamol", __version__)
    sources = [*(task.source for task in params.tasks.values()), params.backbone.nano.corpus[0]]
    assert [source.path for source in sources] == [str(tmp_path / "colours.csv")] * 3
    with pytest.raises(ConfigError, match=naming(tmp_path / "none.yaml")):
        read_example(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", ["clinc150", "clinc150_15_tasks", "sst2_woz"])
def test_every_example_has_every_block_and_known_keys(name: str) -> None:
    assert compose(read_example(ROOT / "examples" / name / "params.yaml"))[1] == []
