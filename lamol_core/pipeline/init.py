"""Creates a new sequence: params.yaml for its tasks, dvc.yaml, and DVC's own files."""

import math
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import resources
from io import StringIO
from itertools import cycle
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from lamol_core import __version__
from lamol_core.config.hub import model_problem
from lamol_core.config.loading import read_params, round_trip_yaml
from lamol_core.config.paths import resolve_path
from lamol_core.config.task_names import BASE
from lamol_core.data.sources.local_files import find_files, home_of_files, no_training_file
from lamol_core.data.sources.registry import SUFFIXES
from lamol_core.errors import ConfigError, UsageError, bulleted, did_you_mean, numbered
from lamol_core.methods.registry import DEFAULT_METHOD, METHODS
from lamol_core.models.files import has_chat_template, read_shapes, require_plain_file, weight_files
from lamol_core.models.gguf_header import count_gguf_weights
from lamol_core.models.params import BackboneParams
from lamol_core.models.positions import find_positions
from lamol_core.parameters import Params, compose
from lamol_core.pipeline.dvc_yaml import adapt_pipeline, read_pipeline
from lamol_core.pipeline.git import git_output
from lamol_core.text.template import NEEDS_CHAT

ABOUT = "# The parameters of this sequence. docs/parameters.md of lamol explains every key.\n"
ABOUT_ANCHORS = (
    "# (`*id001` stands for what `&id001` names: the same source, of a task and of the corpus.)\n"
)


NANO_TRAINING = {"steps": 400, "batch_size": 16, "learning_rate": 1.5e-3, "warmup_fraction": 0.1}
"""Random weights have everything to learn, however few the rows are. The defaults suit a real
model."""
ADAPTER_FROM = 1_000_000_000
"""From so many weights on `lamol init` chooses an adapter: training all takes 14 bytes each."""
Problems = Callable[[Mapping[str, Any], Path], list[str]]
"""A function that returns a sentence for each problem of parameters in a folder."""


def create_sequence(
    folder: Path, params: Mapping[str, Any], find_problems: Problems, about_format: str = ""
) -> None:
    """Write a sequence into a new or empty folder and set up DVC there. The folder may already be a
    Git repository.

    `params` is the content of its params.yaml; comments are written if it was read with them.
    `about_format`: a sentence on text.format, which belongs to problems with it.
    Raises ConfigError for a folder that is not empty, and where `find_problems` finds problems."""
    if folder.exists() and (
        not folder.is_dir() or any(path.name != ".git" for path in folder.iterdir())
    ):
        raise ConfigError(f"{folder}: not an empty folder. Name a new one: nothing is overwritten.")
    if problems := find_problems(params, folder):
        hints = {": no column ": "--input and --target name the columns.", NEEDS_CHAT: about_format}
        advice = [hint for part, hint in hints.items() if hint and part in "\n".join(problems)]
        told = "\n".join([bulleted(problems), *advice])
        raise ConfigError(f"Nothing was written to {folder}. Mend this first:{told}")
    existed = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _write_sequence(folder, params)
    except BaseException:
        for path in folder.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not existed:
            folder.rmdir()
        raise


def _write_sequence(folder: Path, params: Mapping[str, Any]) -> None:
    yaml = round_trip_yaml()
    with (folder / "params.yaml").open("w", encoding="utf-8") as stream:
        if not isinstance(params, CommentedMap):
            stream.write(ABOUT)
            if params["backbone"]["kind"] == "nano":
                stream.write(ABOUT_ANCHORS)
        yaml.dump(params, stream)
    (folder / "dvc.yaml").write_text(adapt_pipeline(read_pipeline(), params), encoding="utf-8")
    (folder / ".dvcignore").write_text(_own_file(".dvcignore"), encoding="utf-8")
    (folder / ".gitignore").write_text(_own_file(".gitignore"), encoding="utf-8")
    set_up_dvc(folder)


def _own_file(name: str) -> str:
    """Return the text of a file that every new sequence has."""
    path = resources.files("lamol_core.pipeline") / "new_sequence.toml"
    return str(tomllib.loads(path.read_text(encoding="utf-8"))[name])


def read_example(path: Path, method: str | None = None) -> CommentedMap:
    """Return the content of a params.yaml to make a folder from. Its comments stay, relative
    paths become absolute, `lamol_version` is added, and `method` is set where it is given.
    Raises ConfigError where the file has problems."""
    _, problems = compose(read_params(path))
    if problems:
        raise ConfigError(f"{path}: {numbered(problems)}")
    yaml = round_trip_yaml()
    params: CommentedMap = yaml.load(path.read_text(encoding="utf-8"))
    backbone = params.get("backbone", {})
    sources = [task["source"] for task in params["tasks"].values()]
    sources += backbone.get("nano", {}).get("corpus", [])
    local = [
        block
        for block in (*sources, backbone)
        if (given := block.get("path"))
        and (block.get("kind") != "hub" or resolve_path(given, path.parent).exists())
    ]
    for block in local:
        if "path" in dict(block.non_merged_items()):
            block["path"] = str(resolve_path(block["path"], path.parent).resolve())
    params.insert(0, "lamol_version", __version__)
    if method is not None:
        params["method"] = method
    # a block that is merged from another takes its changed path when it is read again
    stream = StringIO()
    yaml.dump(params, stream)
    changed: CommentedMap = yaml.load(stream.getvalue())
    return changed


def make_params(
    tasks: list[str],
    backbone: str,
    method: str = DEFAULT_METHOD,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Return params.yaml of a new sequence as plain data, with every key. `tasks` are NAME=PATH,
    in the order of learning. `columns` maps "input" and "target" to the column names of the
    user's files. Raises UsageError for a wrong option."""
    named = _named_columns(columns or {}, len(tasks))
    blocks: dict[str, Any] = {}
    after = BASE
    for option, own in zip(tasks, named, strict=True):
        name, separator, path = option.partition("=")
        if not separator or not path:
            raise UsageError(f"--task {option}: write NAME=PATH, like news=news.csv.")
        if name in blocks:
            raise UsageError(f"--task {option}: there are two tasks {name!r}.")
        blocks[name] = {"after": after, "source": {**find_source(Path(path)), **own}}
        after = name
    if method not in METHODS:
        raise UsageError(f"--method {method}: unknown. Choose one of {', '.join(METHODS)}.")
    chosen = {"train": NANO_TRAINING} if backbone == "nano" else METHODS[method].presets
    defaults = Params.model_validate({"tasks": {}, "method": method, **chosen}).model_dump(
        mode="json", by_alias=True
    )
    corpus = [block["source"] for block in blocks.values()]
    defaults["backbone"]["max_tasks"] = max(defaults["backbone"]["max_tasks"], len(blocks))
    described = make_backbone(backbone, defaults["backbone"], corpus)
    if positions := find_positions(BackboneParams.model_validate(described), Path()):
        half, quarter = positions // 2, positions // 4
        _lower(defaults["evaluate"], max_target_tokens=half)
        longest = {"max_input_tokens": half, "max_target_tokens": quarter}
        _lower(defaults["text"], max_length=positions, **longest)
    if _num_weights(described) >= ADAPTER_FROM:
        defaults["adapter"]["kind"] = "lora"
    return defaults | {"lamol_version": __version__, "tasks": blocks, "backbone": described}


def choose_format(params: dict[str, Any]) -> str:
    """Choose chat format for an instruct model. Returns a sentence that says what it costs, or why
    it can't be chosen; "" for another model, and where `create_sequence` tells what is wrong.

    Of a model of the hub the small files are fetched."""
    backbone = BackboneParams.model_validate(params["backbone"])
    if backbone.path is None:
        return ""
    here = backbone.local_path(Path())
    if here is None and model_problem(backbone.path):
        return ""
    if here is not None and not has_chat_template(here):
        return ""
    from lamol_core.models.backbones import read_chat_template  # loads torch

    try:
        template = read_chat_template(backbone, Path())
    except ConfigError as error:
        return f"text.format is tokens. {error}"
    if template is None:
        return ""
    params["text"]["format"] = "chat"
    around, prompt = len(template.answer_prompt(())) + 1, len(template.draw_prompt("task"))
    return (
        "text.format is chat, because the backbone has a chat template. It adds "
        f"{around} tokens to a row and {prompt} to a prompt for drawing (`tokens`: 2 and 1)."
    )


def _num_weights(backbone: Mapping[str, Any]) -> int:
    """How many weights the files of a local model hold; 0 where they do not tell."""
    path = resolve_path(str(backbone["path"]), Path())
    with suppress(ConfigError):  # `create_sequence` tells of it
        if backbone["kind"] == "gguf":
            require_plain_file(path)
            return count_gguf_weights(path)
        if backbone["kind"] == "folder":
            shapes = [read_shapes(file).values() for file in weight_files(path)]
            return sum(math.prod(shape) for of_file in shapes for shape in of_file)
    return 0


def _lower(block: dict[str, Any], **limits: int) -> None:
    """Lower the values of a block that are above these limits, which a model's positions set."""
    block.update({key: min(block[key], limit) for key, limit in limits.items()})


def _named_columns(columns: Mapping[str, Sequence[str]], num_tasks: int) -> list[dict[str, str]]:
    """Return for each task the columns that are named otherwise than their key. Raises
    UsageError where a column is given neither once nor once for each task."""
    named: list[dict[str, str]] = [{} for _ in range(num_tasks)]
    for key, given in columns.items():
        if len(given) not in (1, num_tasks):
            raise UsageError(
                f"--{key}: given {len(given)} times for {num_tasks} tasks. Give it once, for all "
                "of them, or once for each in their order."
            )
        for own, column in zip(named, cycle(given), strict=False):
            if column != key:
                own[key] = column
    return named


def find_source(path: Path) -> dict[str, str]:
    """Return the source block of a file or folder. Raises ConfigError where the path is missing,
    or has no training split or two."""
    path = resolve_path(str(path), Path())
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder.")
    choices = find_files(home_of_files(path, SUFFIXES), SUFFIXES) if path.is_dir() else [[path]]
    known = [files[0] for files in choices if files[0].suffix in SUFFIXES]
    if len(known) > 1:
        both = " and ".join(file.name for file in known)
        raise ConfigError(f"{path}: holds {both}; only one can be the training split.")
    if not known:
        wanted = f"{path}: its name must end in one of {', '.join(SUFFIXES)}."
        raise ConfigError(wanted if path.is_file() else no_training_file(path, SUFFIXES))
    return {"kind": SUFFIXES[known[0].suffix], "path": str(path.resolve())}


def make_backbone(backbone: str, defaults: dict[str, Any], corpus: list[Any]) -> dict[str, Any]:
    """Return the backbone block for `nano`, a GGUF file, a local folder or a hub id. Raises
    ConfigError for a path that is missing."""
    path = resolve_path(backbone, Path())
    if backbone == "nano":
        return {**defaults, "kind": "nano", "nano": {**defaults["nano"], "corpus": corpus}}
    if path.exists():
        kind = "folder" if path.is_dir() else "gguf"
        return {**defaults, "kind": kind, "path": str(path.resolve())}
    is_path = backbone.startswith((".", "/", "~")) or backbone.lower().endswith(("/", ".gguf"))
    hint = did_you_mean(backbone.lower(), ["nano"])
    if is_path or hint:
        raise ConfigError(f"--backbone {backbone}: no such file or folder{hint}.")
    return {**defaults, "kind": "hub", "path": backbone}


def set_up_dvc(folder: Path) -> None:
    """Run `dvc init`, without Git where there is none or it ignores the folder. Turn analytics off,
    and let the cache use links before copies. Raises ConfigError where `dvc init` fails."""
    command = [sys.executable, "-m", "dvc", "init"]
    in_git = git_output(folder, "rev-parse", "--is-inside-work-tree")
    if not in_git or git_output(folder, "check-ignore", ".dvc"):
        command.append("--no-scm")
    elif not (folder / ".git").exists():
        command.append("--subdir")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"{folder}: dvc init failed: {done.stderr.strip()}")
    # what DVC writes in a Git repository; here without one too, for one that is made later
    (folder / ".dvc" / ".gitignore").write_text(_own_file(".dvc/.gitignore"), encoding="utf-8")
    text = _own_file(".dvc/config")
    if "--no-scm" in command:
        text = text.replace("[cache]", "    no_scm = true\n[cache]")
    (folder / ".dvc" / "config").write_text(text, encoding="utf-8")
