"""Reads what an audit needs: the table as it is on disk, changed or not, and the real rows."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import sha256_of
from lamol_core.artifacts.spec import PSEUDO, TEACHER, Artifact, remedy, remedy_at
from lamol_core.artifacts.store import Inputs, check, read_as_it_lies
from lamol_core.audit.fingerprint import read_fingerprint
from lamol_core.audit.spec import CARRIED, Audited, SampledTask, TableOrigin, Teacher
from lamol_core.data.canaries import read_canaries
from lamol_core.data.task_data import TaskData
from lamol_core.errors import ArtifactError
from lamol_core.records import PseudoSample, from_table
from lamol_core.text.params import TextParams
from lamol_core.text.plain import TOKENIZER, Codec, PlainCodec, written_forms

if TYPE_CHECKING:
    from lamol_core.generation.judging import Judge


def read_audited(inputs: Inputs, seed: int, text: TextParams) -> Audited:
    """Return the pseudo-samples drawn for a task, with the real rows of the tasks that they
    imitate. Only the teacher's tokenizer is read, and only when it is first needed.

    A changed table is read as well, and the audit reports the change. Raises ArtifactError where
    the table is missing, not readable, or has rows of a task that is not an earlier one."""
    layout, task = inputs.layout, inputs.task
    path, mend = layout.pseudo(task), remedy(PSEUDO, task)
    table = read_as_it_lies(layout, PSEUDO, task)
    if holes := [name for name in table.column_names if table[name].null_count]:
        raise ArtifactError(f"{path}: empty cells in column {', '.join(holes)}. {mend}")
    samples = from_table(table, PseudoSample)
    manifest, data = inputs.manifest_unchecked(PSEUDO), TaskData.read(inputs)
    teacher = inputs.path(TEACHER)
    inputs.hashes["table"] = sha256_of(path)
    carried = _rows_before(inputs, manifest.inputs)
    origin = TableOrigin(
        new_task=task,
        table_is_as_written=_is_as_written(layout, PSEUDO, task),
        table_sha256=inputs.hashes["table"],
        manifest=manifest,
        teacher=teacher,
        teacher_sha256=inputs.manifest_unchecked(TEACHER).content_sha256,
        text=text,
        teacher_is_as_written=_is_as_written(layout, TEACHER, task),
        carried=carried or {},
        carried_is_lost=carried is None,
    )
    drawn: dict[str, list[PseudoSample]] = {facts.name: [] for facts in data.earlier}
    if foreign := sorted({sample.source_task for sample in samples} - {*drawn}):
        raise ArtifactError(f"{path}: rows of {foreign}, which {task!r} does not follow. {mend}")
    for sample in samples:
        drawn[sample.source_task].append(sample)
    tasks = [
        sampled_task(data, index, rows, layout.fingerprint_key)
        for index, rows in enumerate(drawn.values())
    ]
    sampled = [task for task in tasks if task.drawn]
    others = [task for task in tasks if not task.drawn]
    codec = codec_of(teacher)
    teacher_of_rows = Teacher(
        decode=lambda ids: codec().decode(ids), forms=lambda texts: written_forms(texts, codec())
    )
    return Audited(sampled, origin, seed, teacher_of_rows, judge_of(inputs), others)


def judge_of(inputs: Inputs) -> Callable[[], "Judge"]:
    """Return a function that reads the judge of the task before, at its first call."""

    @cache
    def read() -> "Judge":
        from lamol_core.generation.judging import Judge  # loads torch

        return Judge.read(inputs)

    return read


def with_asked_teacher(
    audited: Audited, batch_size: int, on_rows_done: Callable[[int], None]
) -> Audited:
    """Return the same audit input with a teacher that also answers and scores texts. Its model
    is loaded when it is first asked."""
    from lamol_core.decoding.answers import AskedTeacher  # loads torch

    in_order = sorted(audited.earlier, key=lambda task: task.index)
    systems = {task.name: task.facts.system for task in in_order}
    origin = audited.origin
    asked = AskedTeacher(origin.teacher, systems, origin.text, batch_size, on_rows_done)
    teacher = replace(audited.teacher, answers=asked.answers, score=asked.score)
    return replace(audited, teacher=teacher)


def sampled_task(
    data: TaskData, index: int, drawn: Sequence[PseudoSample], key_file: Path
) -> SampledTask:
    """Return a task with its real rows and `drawn`, the samples of it. `index` is its position
    in the order of learning."""
    facts = data.lineage[index]
    folder = data.file(facts.name, "train").parent
    removed = data.forgotten(facts.name).get("train")
    return SampledTask(
        facts=facts,
        tasks_since=len(data.earlier) - 1 - index,
        drawn=drawn,
        train=data.rows_left(facts.name, "train"),
        held_out=data.rows_left(facts.name, "dev") + data.rows_left(facts.name, "test"),
        index=index,
        canaries=read_canaries(folder),
        forgotten_on=removed.forgotten_on if removed else "",
        fingerprint=read_fingerprint(folder, key_file) if removed else None,
    )


def _rows_before(
    inputs: Inputs, drawn_from: Mapping[str, str]
) -> Mapping[str, PseudoSample] | None:
    """Return the rows of the previous task's table by id, {} if no row was carried over from it;
    None where it is missing or was changed."""
    if CARRIED in drawn_from:
        with suppress(ArtifactError):
            table, manifest = inputs.read(PSEUDO, "before")
            if manifest.content_sha256 == drawn_from[CARRIED]:
                return {sample.row_id: sample for sample in from_table(table, PseudoSample)}
        return None
    return {}


def _is_as_written(layout: Layout, artifact: Artifact, task: str) -> bool:
    """Whether an artefact still has the hash in its manifest."""
    with suppress(ArtifactError):
        check(layout, artifact, task)
        return True
    return False


def codec_of(checkpoint: Path) -> Callable[[], Codec]:
    """Return a function that reads a checkpoint's tokenizer alone, at its first call; no model is
    loaded. It raises ArtifactError where tokenizer.json is missing."""

    @cache
    def read() -> Codec:
        path = checkpoint / TOKENIZER
        if not path.is_file():
            raise ArtifactError(f"{path}: missing. {remedy_at(checkpoint)}")
        return PlainCodec(path)

    return read
