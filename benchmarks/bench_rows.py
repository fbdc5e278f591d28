"""What the rows are like that are drawn by task and by label, with and without the judge.

    python -m benchmarks.bench_rows [--seeds 0 1 2] [--folder benchmarks/.rows]

Of the five domains of examples/clinc150 (SmolLM2-135M) two are learnt, and rows are drawn for the
third: 14 of each class, with each `text.gen_order` and each `generate.judge`. Both judges have the
same teacher, which was rehearsed with judged rows. All else is as published. The figures of a table
of rows:

draws       draws for each kept row
labels      labels of which a row is kept that was drawn for their task, of 16
distinct    share of different inputs among a label's kept rows
copied      kept rows whose input is one of a training row
own words   kept rows that have all words of their label
agreed      kept rows to whose input the teacher itself answers with their label
right       kept rows that a classifier gives their label (TF-IDF of words and pairs of words,
            linear SVM, trained on all real rows)
known       real test rows that the classifier gives their label

Shares are in percent: the mean over seeds, with a 95 % interval (Student's t). The figures of a
finished seed are kept in its folder, and read there by the next call.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from benchmarks.harness import ROOT, say
from benchmarks.workspace import require_shared, run_stage, write_params

if TYPE_CHECKING:
    from lamol_core.audit.spec import SampledTask
    from lamol_core.records import Conversation

LEARNT, NEXT = ("banking", "credit_cards"), "kitchen_and_dining"
ORDERS, JUDGES = ("input_first", "target_first"), ("none", "features")
ATTEMPTS = {"generate.max_attempts": 20}
FIGURES = "draws", "labels", "distinct", "copied", "own words", "agreed", "right", "known"


def make_tables(folder: Path, order: str, seed: int) -> None:
    """Learn two tasks, whose rows are judged, and draw rows for the third one with each judge. The
    figures of each table are written into the folder."""
    fixed = {"seed": seed, "text.gen_order": order, "generate.rows_per_class": 14}
    settings = [f"--set={key}={value}" for key, value in (fixed | ATTEMPTS).items()]
    judged = [*settings, "--set=generate.judge=features"]
    run_stage(folder, "backbone", *settings)
    for task in (*LEARNT, NEXT):
        run_stage(folder, "prepare", task, *settings)
    for task in LEARNT:
        for stage in ("snapshot", "generate", "audit", "mix", "train"):
            run_stage(folder, stage, task, *judged)
    run_stage(folder, "snapshot", NEXT, *settings)
    for judge in JUDGES:
        run_stage(folder, "generate", NEXT, *settings, f"--set=generate.judge={judge}")
        counted = json.dumps(count(folder))
        (folder / f"{judge}.json").write_text(f"{counted}\n", encoding="utf-8")


def count(folder: Path) -> dict[str, float]:
    """The figures of the rows for the third task."""
    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.spec import AUDIT_STAGE
    from lamol_core.artifacts.store import Inputs
    from lamol_core.audit.loading import read_audited, with_asked_teacher
    from lamol_core.parameters import load_params
    from lamol_core.text.normalise import normalise, words_of

    text = load_params(folder / "params.yaml", ()).text
    inputs = Inputs(AUDIT_STAGE, NEXT, LEARNT[-1], Layout(folder))
    audited = with_asked_teacher(read_audited(inputs, 0, text), 128, lambda rows: None)
    kept, drawn = audited.kept, audited.drawn
    training = {normalise(row.input) for task in audited.tasks for row in task.train}
    by_label: dict[tuple[str, str], list[str]] = {}
    for row in kept:
        label = row.source_task, normalise(row.target)
        by_label.setdefault(label, []).append(normalise(row.input))
    asked = {
        (task.name, normalise(label)) for task in audited.tasks for label in task.facts.classes
    }
    assert audited.teacher.answers is not None
    answers = audited.teacher.answers(kept)
    classify, known = classifier(audited.tasks)

    def share(found: Sequence[bool]) -> float:
        return 100 * fmean(found)

    label_words = [{*words_of(normalise(row.target))} for row in kept]
    own_words = [{*words_of(normalise(row.input))} for row in kept]
    labels = [normalise(row.target) for row in kept]
    return {
        "draws": len(drawn) / len(kept),
        "labels": len(asked & by_label.keys()),
        "distinct": 100 * sum(len({*texts}) for texts in by_label.values()) / len(kept),
        "copied": share([normalise(row.input) in training for row in kept]),
        "own words": share([a <= b for a, b in zip(label_words, own_words, strict=True)]),
        "agreed": share([a == normalise(b) for a, b in zip(labels, answers, strict=True)]),
        "right": share(classify(kept)),
        "known": 100 * known,
    }


def classifier(
    tasks: Sequence[SampledTask],
) -> tuple[Callable[[Sequence[Conversation]], list[bool]], float]:
    """A function that says of rows whether they are of their label, by a classifier that is trained
    on all training rows of all tasks; and the share of the test rows that it finds right."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    from lamol_core.text.normalise import normalise

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC())
    real = [row for task in tasks for row in task.train]
    model.fit([row.input for row in real], [normalise(row.target) for row in real])

    def are_right(rows: Sequence[Conversation]) -> list[bool]:
        said = model.predict([row.input for row in rows])
        return [label == normalise(row.target) for label, row in zip(said, rows, strict=True)]

    return are_right, fmean(are_right([row for task in tasks for row in task.held_out]))


def main(arguments: Sequence[str] | None = None) -> None:
    from lamol_core.reporting.comparison.statistics import t_interval

    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--folder", type=Path, default=ROOT / "benchmarks" / ".rows")
    given = options.parse_args(arguments)
    require_shared()
    for seed in given.seeds:
        for order in ORDERS:
            folder = given.folder / f"{order}_{seed}"
            if not (folder / f"{JUDGES[-1]}.json").is_file():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                write_params(folder, (*LEARNT, NEXT))
                make_tables(folder, order, seed)
                shutil.rmtree(folder / "runs")
    for order in ORDERS:
        for judge in JUDGES:
            files = [given.folder / f"{order}_{seed}" / f"{judge}.json" for seed in given.seeds]
            found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
            say(f"{order}, judge {judge}:")
            for figure in FIGURES:
                values = [one[figure] for one in found]
                low, high = t_interval(values) if len(values) > 1 else (values[0],) * 2
                say(f"  {figure}: {fmean(values):.1f} [{low:.1f}, {high:.1f}]")


if __name__ == "__main__":
    main()
