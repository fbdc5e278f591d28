"""What an audit looks at: the table as it lies there, changed or not, and the task's real rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer

from lamol_core.artifacts.manifest import sha256_of
from lamol_core.artifacts.spec import PSEUDO, TEACHER, remedy, remedy_at
from lamol_core.artifacts.store import Inputs, check, read_as_it_lies
from lamol_core.audit.fingerprint import read_fingerprint
from lamol_core.audit.spec import CARRIED, Audited, Origin, SampledTask, Teacher
from lamol_core.data.canaries import read_canaries
from lamol_core.data.task_data import TaskData
from lamol_core.errors import ArtifactError
from lamol_core.records import PseudoSample, from_table
from lamol_core.text.params import TextParams


def read_audited(inputs: Inputs, seed: int, text: TextParams) -> Audited:
    """The pseudo-samples drawn for a task, with the rows of the tasks that they imitate.

    A table that was changed since it was written is read all the same:
    the audit says so. The teacher is there by its tokenizer alone. Raises ArtifactError where the
    table is missing or is no such table."""
    layout, task = inputs.layout, inputs.task
    path, mend = layout.pseudo(task), remedy(PSEUDO, task)
    table = read_as_it_lies(layout, PSEUDO, task)
    if holes := [name for name in table.column_names if table[name].null_count]:
        raise ArtifactError(f"{path}: empty places in column {', '.join(holes)}. {mend}")
    samples = from_table(table, PseudoSample)
    manifest, data = inputs.look(PSEUDO), TaskData.read(inputs)
    teacher = layout.teacher(task)
    inputs.hashes["table"] = sha256_of(path)
    origin = Origin(
        new_task=task,
        seed=seed,
        table_is_as_written=_holds(lambda: check(layout, PSEUDO, task)),
        table_sha256=inputs.hashes["table"],
        manifest=manifest,
        teacher=teacher,
        teacher_sha256=inputs.look(TEACHER).content_sha256,
        text=text,
        teacher_is_as_written=_holds(lambda: check(layout, TEACHER, task)),
        carried=_rows_before(inputs, manifest.inputs),
    )
    if foreign := sorted({s.source_task for s in samples} - {one.name for one in data.earlier}):
        raise ArtifactError(f"{path}: rows of {foreign}, which {task!r} does not follow. {mend}")
    drawn = [[s for s in samples if s.source_task == one.name] for one in data.earlier]
    tasks = [
        sampled_task(data, place, rows, layout.fingerprint_key)
        for place, rows in enumerate(drawn)
        if rows
    ]
    return Audited(tasks, origin, seed, Teacher(decoder_of(teacher)))


def with_asked_teacher(audited: Audited, text: TextParams, batch_size: int) -> Audited:
    """The teacher answers and scores texts too; its model is loaded when first asked."""
    from lamol_core.decoding.answers import AskedTeacher  # loads torch

    asked = AskedTeacher(audited.origin.teacher, text, batch_size)
    teacher = replace(audited.teacher, answers=asked.answers, score=asked.score)
    return replace(audited, teacher=teacher)


def sampled_task(
    data: TaskData, place: int, drawn: Sequence[PseudoSample], key_file: Path
) -> SampledTask:
    """What is known of the task at a place of a lineage, and the samples drawn of it."""
    facts = data.lineage[place]
    home = data.file(facts.name, "train").parent
    removed = data.forgotten(facts.name).get("train")
    held_out = [row for split in ("dev", "test") for row in data.rows_left(facts.name, split)]
    return SampledTask(
        facts=facts,
        age=len(data.earlier) - 1 - place,
        drawn=drawn,
        train=data.rows_left(facts.name, "train"),
        held_out=held_out,
        place=place,
        canaries=read_canaries(home),
        forgotten_on=removed.forgotten_on if removed else "",
        fingerprint=read_fingerprint(home, key_file) if removed else None,
    )


def _rows_before(inputs: Inputs, drawn_from: Mapping[str, str]) -> dict[str, PseudoSample]:
    """The rows of the table before, by their ids, if it is the one that rows were carried from."""
    if CARRIED not in drawn_from:
        return {}
    try:
        table, manifest = inputs.read(PSEUDO, "before")
    except ArtifactError:
        return {}
    if manifest.content_sha256 != drawn_from[CARRIED]:
        return {}
    return {sample.row_id: sample for sample in from_table(table, PseudoSample)}


def _holds(check: Callable[[], object]) -> bool:
    """Whether something is what its manifest says."""
    try:
        check()
    except ArtifactError:
        return False
    return True


def decoder_of(checkpoint: Path) -> Callable[[Sequence[int]], str]:
    """Ids to text by a checkpoint's tokenizer alone, as TextCodec does it: no model is loaded.

    It is read when first asked; raises ArtifactError then where there is none."""

    @cache
    def tokenizer() -> Tokenizer:
        path = checkpoint / "tokenizer.json"
        if not path.is_file():
            raise ArtifactError(f"{path}: missing. {remedy_at(checkpoint)}")
        return Tokenizer.from_file(str(path))

    return lambda ids: tokenizer().decode(list(ids), skip_special_tokens=False)
