"""What an estimate is made of: reads every source, tries the backbone, keeps nothing."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import Provenance
from lamol_core.data.prepare import find_facts, read_task_rows
from lamol_core.data.sources.registry import read_texts
from lamol_core.data.tombstones import read_record
from lamol_core.errors import ConfigError
from lamol_core.models.backbones import build_backbone, is_made_of
from lamol_core.models.checkpoints import save_checkpoint
from lamol_core.parameters import Params
from lamol_core.preflight.rates import Rates, measure_lengths, measure_rates
from lamol_core.preflight.work import TaskRows, TaskWork, plan_work
from lamol_core.records import Example, row_id
from lamol_core.text.tokenizer import TextCodec


def try_sequence(
    params: Params, root: Path, student: Path, say: Callable[[str], None]
) -> tuple[list[TaskWork], Rates]:
    """The work of all tasks of params.yaml, and how fast this machine, as it is now, does it.

    `root` is the folder of params.yaml, `student` where its backbone is if it was made already.
    Forgotten rows are not read: such a task is taken to have rows as long as the others'. Raises
    ConfigError where no task has rows left.
    """
    facts, train = {}, {}
    for name, task in params.tasks.items():
        record = read_record(Layout(root).forgotten(name))
        if record is not None:
            facts[name] = record.facts
            continue
        rows = read_task_rows(name, task, params.prepare, root).by_split
        facts[name] = find_facts(name, task, rows)
        train[name] = [
            Example(row_id(name, "train", number), name, row.input, row.target, 0)
            for number, row in enumerate(rows["train"])
        ]
    if not train:
        raise ConfigError(
            "check: the rows of all tasks were forgotten: none are left to try the machine with."
        )
    with the_backbone(params, root, student) as backbone:
        say("a few steps are trained, some rows drawn and answered")
        lengths = measure_lengths(TextCodec.load(backbone), facts, train, params)
        for sentence in _what_is_cut(lengths, params):
            say(sentence)
        longest = max(train, key=lambda name: lengths[name].real.total)
        rates = measure_rates(backbone, params, train[longest], lengths[longest])
    return plan_work(params, params.chosen, lengths), rates


def _what_is_cut(lengths: Mapping[str, TaskRows], params: Params) -> Iterator[str]:
    for name, task in lengths.items():
        num_rows = task.facts.num_rows["train"]
        if task.real.share_cut:
            yield (
                f"{name}: {round(task.real.share_cut * num_rows)} of {num_rows} inputs are longer "
                f"than text.max_length ({params.text.max_length} tokens) has room for: their "
                "beginnings will be cut off"
            )
        if task.drawn.share_cut and params.chosen.rehearses:
            yield (
                f"{name}: {round(task.drawn.share_cut * num_rows)} of {num_rows} rows are longer "
                "than pseudo-samples can be (text.max_input_tokens, text.max_target_tokens)"
            )


@contextmanager
def the_backbone(params: Params, root: Path, student: Path) -> Iterator[Path]:
    """The sequence's own backbone, or one that is made for as long as it is needed: where there is
    none yet, or one of other parameters."""
    if is_made_of(student, params.backbone):
        yield student
        return
    with tempfile.TemporaryDirectory(prefix="lamol-") as folder:
        is_nano = params.backbone.kind == "nano"
        corpus = read_texts(params.backbone.nano.corpus, root) if is_nano else []
        model, tokenizer = build_backbone(params.backbone, root, corpus)
        save_checkpoint(Path(folder) / "student", model, Provenance(), tokenizer=tokenizer)
        yield Path(folder) / "student"
