"""Finds targets that are longer than a sequence's limits, if its tokenizer is already on disk."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lamol_core.errors import ConfigError
from lamol_core.models.foreign import TEXTS, foreign, try_out
from lamol_core.parameters import Params
from lamol_core.preflight.backbone import no_template, prepared_backbone
from lamol_core.preflight.overview import TaskOverview
from lamol_core.records import TaskFacts
from lamol_core.text.plain import TOKENIZER, Codec, PlainCodec, written_forms
from lamol_core.text.template import NUM_CONTROL, RowTemplate


def find_codec(params: Params, root: Path) -> PlainCodec | None:
    """Return the sequence's tokenizer; None where the backbone must be made first
    (nano, GGUF, hub), or where the tokenizer's file is missing or can't be read."""
    student = prepared_backbone(params.backbone, root, params.text.format)
    folder = student or params.backbone.local_path(root)
    if folder is None or not folder.is_dir():
        return None
    with suppress(ConfigError), foreign(str(folder)):  # `lamol backbone` reports it
        if folder != student:
            try_out(_steps(folder / TOKENIZER))
        return PlainCodec(folder / TOKENIZER)
    return None


def find_template(params: Params, facts: Sequence[TaskFacts], root: Path) -> RowTemplate | None:
    """Return the chat template of the tasks' rows; None where they have reserved tokens, or none is
    at hand yet (GGUF). Raises ConfigError where rows can't be laid out in it, and for a model of
    the hub, of which the small files are fetched, that has none."""
    if params.text.format != "chat":
        return None
    from lamol_core.models.backbones import read_chat_template  # both load torch
    from lamol_core.text.codecs import load_codec

    prompts = params.text.prompts(facts)
    if student := prepared_backbone(params.backbone, root, params.text.format):
        return load_codec(student).template(prompts)
    if params.backbone.kind == "gguf":  # to read a large vocabulary from it takes a minute
        return None
    template = read_chat_template(params.backbone, root, prompts)
    if template is None and params.backbone.local_path(root) is None:
        raise ConfigError(no_template(params.backbone))
    return template


def count_around(template: RowTemplate | None, facts: Sequence[TaskFacts]) -> int:
    """Return how many tokens stand around the texts of a row, in the longest of any task: those of
    the chat template, or the reserved ones."""
    if template is None:
        return NUM_CONTROL["gen"]
    return max(template.num_around(one.name, ()) for one in facts)


def turn_problems(template: RowTemplate | None, facts: Sequence[TaskFacts]) -> list[str]:
    """Return a sentence for each task with conversations that the chat template can't write."""
    problems = []
    for one in facts:
        try:
            if one.has_turns and template is not None:
                template.require_turns(one.name)
        except ConfigError as error:
            problems.append(f"tasks.{one.name}: {str(error).removeprefix('params.yaml: ')}")
    return problems


def _steps(tokenizer: Path) -> Iterator[str]:
    yield f"{tokenizer}: can't be read, or can't encode and decode a short text"
    codec = PlainCodec(tokenizer)
    for ids in codec.encode(TEXTS):
        codec.decode(ids)


def target_problems(
    params: Params,
    tasks: Sequence[TaskOverview],
    codec: Codec,
    num_around: int = NUM_CONTROL["gen"],
) -> tuple[list[str], list[str]]:
    """Return problems and hints, a sentence for each task and limit. Problems are targets that
    training refuses. Hints are labels that are longer than answers or pseudo-samples may be, or
    that the tokenizer does not tell apart. `num_around`: how many tokens stand around the texts of
    a row."""
    problems, hints = [], []
    most = params.text.max_length - num_around - 1  # a token of the input must fit too
    answered = ("evaluate.max_target_tokens", params.evaluate.max_target_tokens, "be answered")
    rehearsed = ("text.max_target_tokens", params.text.max_target_tokens, "be rehearsed")
    draws = params.chosen.rehearses and params.generate.draws
    followed = {task.after for task in tasks} if draws else set()
    for task in tasks:
        lengths = _lengths(task.rows_by_target, codec)
        if long := {row: num for row, num in lengths.items() if num > most}:
            row = max(long, key=lambda row: long[row])
            problems.append(
                f"tasks.{task.task}: {len(long)} of its {len(lengths)} targets do not fit "
                f"text.max_length = {params.text.max_length}. Raise it to "
                f"{long[row] + num_around + 1}: row {row} has {long[row]} tokens."
            )
        if task.facts.targets != "classes":
            continue
        forms = written_forms(task.rows_by_target, codec)
        if lost := [label for label in task.rows_by_target if label not in forms]:
            hints.append(
                f"{task.task}: {len(lost)} of its {len(lengths)} labels are not told apart by the "
                f"backbone's tokenizer, first {lost[0]!r}. Rename them, or take another backbone."
            )
        is_written = task.task in followed and params.text.gen_order == "input_first"
        limits = [answered, *([rehearsed] if is_written else [])]
        for key, limit, wanted in limits:
            if over := [num for num in lengths.values() if num > limit]:
                hints.append(
                    f"{task.task}: {len(over)} of its {len(lengths)} labels are longer than {key}, "
                    f"{limit}, and can't {wanted}. Raise it to {max(over)}."
                )
    return problems, hints


def _lengths(rows_by_target: Mapping[str, str], codec: Codec) -> dict[str, int]:
    """Return the tokens of each distinct target, by the id of the first row that has it."""
    encoded = codec.encode(list(rows_by_target))
    return {row: len(ids) for row, ids in zip(rows_by_target.values(), encoded, strict=True)}
