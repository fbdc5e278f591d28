"""Counts the tokens that rows take where they are trained on, drawn and answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from statistics import fmean

from lamol_core.models.packing import Distinct
from lamol_core.parameters import Params
from lamol_core.records import Example, TaskFacts, View
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.params import TextParams
from lamol_core.text.template import RowTemplate, TaskPrompts
from lamol_core.text.tokenizer import TextCodec
from lamol_core.training.batches import micro_batches


@dataclass(frozen=True)
class RowTokens:
    """The tokens of a row, or their mean over rows. `trained`: of all views of a training. `drawn`,
    `answered`: without the beginning that prompts share, which is read once."""

    trained: float
    drawn: float
    answered: float

    @classmethod
    def of(cls, row: EncodedRow, template: RowTemplate, views: Sequence[View]) -> RowTokens:
        """`views`: those that are trained on."""
        lengths = {view.view: len(view.ids) for view in row.views(("qa", "gen"))}
        y = row.target_ids if template.is_target_first(row.task) else ()
        prompt = template.draw_prompt(row.task, y, len(row.history) + 1)
        return cls(
            sum(lengths[view] for view in views),
            lengths["gen"] - len(prompt),
            lengths["qa"] - len(template.before_input(row.task)),
        )

    @classmethod
    def mean(cls, several: Sequence[RowTokens]) -> RowTokens:
        return cls(*map(fmean, zip(*map(astuple, several), strict=True)))


@dataclass(frozen=True)
class TaskTokens:
    """The mean tokens of a task's rows, and of its pseudo-samples if they are as long as its rows
    and `text` allow."""

    real: RowTokens
    pseudo: RowTokens


@dataclass(frozen=True)
class EncodedTask:
    """A task's rows as training cuts them, and their mean tokens."""

    rows: list[EncodedRow]
    tokens: TaskTokens


def share_computed(rows: Sequence[EncodedRow], params: Params) -> float:
    """The share of the tokens of an optimizer batch that packed training computes: of those that
    rows begin with alike, one is (models/packing.py). The batch is of rows from all of `rows`."""
    size = params.train.batch_size
    batch = rows[:: max(len(rows) // size, 1)][:size]
    micros = micro_batches(batch, params.chosen.loss.views, params.train.micro_batch_tokens)
    computed = 0
    for micro in micros:
        distinct = Distinct.find([member.ids for member in micro.members])
        computed += micro.num_tokens if distinct is None else len(distinct.place)
    return computed / sum(micro.num_tokens for micro in micros)


def prompts_of(params: Params, facts: Mapping[str, TaskFacts]) -> TaskPrompts:
    """What the prompts of a sequence's tasks say."""
    # tokens of tasks have one length, and may be fewer than the tasks of a tree
    return params.text.prompts([*facts.values()], names_task=params.text.format == "chat")


def encode_tasks(
    codec: TextCodec,
    rows: Mapping[str, Sequence[Example]],
    params: Params,
    facts: Mapping[str, TaskFacts],
) -> tuple[dict[str, EncodedTask], list[str]]:
    """Return each task's rows, and a sentence for each task and limit that some of its rows exceed.
    Raises ConfigError for a target that does not fit `text.max_length`."""
    text, views, notes = params.text, params.chosen.loss.views, list[str]()
    template, encoded = codec.template(prompts_of(params, facts)), dict[str, EncodedTask]()
    for name, own in rows.items():
        fitted = [
            template.fitted_row(row.row_id, "new", name, texts, text.max_length)
            for row, texts in zip(own, codec.encode_rows(own), strict=True)
        ]
        real = [row for row, _ in fitted]
        drawn = [_as_drawn(row, template, text) for row in real]
        real_tokens, drawn_tokens = (
            RowTokens.mean([RowTokens.of(row, template, views) for row in several])
            for several in (real, drawn)
        )
        encoded[name] = EncodedTask(real, TaskTokens(real_tokens, drawn_tokens))
        if num := sum(was_cut for _, was_cut in fitted):
            notes.append(
                f"{name}: {num} of {len(own)} rows are too long for text.max_length = "
                f"{text.max_length}: their beginnings will be cut off."
            )
        num = sum(one is not other for one, other in zip(real, drawn, strict=True))
        if num and params.chosen.rehearses:
            notes.append(
                f"{name}: {num} of {len(own)} rows are longer than pseudo-samples can be "
                "(text.max_input_tokens, text.max_target_tokens)."
            )
    return encoded, notes


def _as_drawn(row: EncodedRow, template: RowTemplate, text: TextParams) -> EncodedRow:
    """The row as long as a pseudo-sample may be; the same one where it is no longer."""
    *history, (x, y) = [
        (user[: text.max_input_tokens], answer[: text.max_target_tokens])
        for user, answer in (*row.history, (row.input_ids, row.target_ids))
    ]
    drawn = template.row(row.row_id, "pseudo", row.task, x, y, history)
    return row if drawn.num_text == row.num_text else drawn
