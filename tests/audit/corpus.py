"""Tables with known defects: real rows, held-out rows and clean pseudo-samples of one grammar."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lamol_core.artifacts.manifest import Manifest
from lamol_core.artifacts.spec import GENERATE
from lamol_core.artifacts.version import code_version
from lamol_core.audit.spec import Audited, SampledTask, TableOrigin, Teacher
from lamol_core.records import Example, PseudoSample, TaskFacts
from lamol_core.seeds import derive_seed
from lamol_core.text.params import TextParams

TEACHER = "ab" * 32
NEW_TASK, TASK, SEED = "travel", "banking", 7
Row = tuple[str, str]
"""Input and target."""
LABELS = ("balance", "transfer", "freeze", "pin", "fees")
OPENINGS = (
    "please",
    "could you",
    "i want to",
    "how do i",
    "can i",
    "what is",
    "tell me",
    "help me",
    "show",
    "explain",
)
VERBS = (
    "move",
    "check",
    "block",
    "raise",
    "change",
    "find",
    "read",
    "send",
    "stop",
    "open",
    "close",
    "lower",
    "repeat",
    "cancel",
)
THINGS = (
    "money",
    "card",
    "limit",
    "account",
    "code",
    "charge",
    "loan",
    "cheque",
    "rate",
    "deposit",
    "savings",
    "bill",
)
PLACES = (
    "in paris",
    "at work",
    "from home",
    "on monday",
    "abroad",
    "by phone",
    "for my sister",
    "before noon",
)
ENDS = (
    "again",
    "now",
    "today",
    "if possible",
    "without a fee",
    "this week",
    "as before",
    "for good",
    "at once",
)


def sentence(chooser: random.Random) -> str:
    """One of some millions; two are seldom alike."""
    number = chooser.randrange(1000, 9999)
    return " ".join(
        [
            *(chooser.choice(part) for part in (OPENINGS, VERBS)),
            f"the {chooser.choice(THINGS)} and the {chooser.choice(THINGS)}",
            chooser.choice(PLACES),
            chooser.choice(ENDS),
            f"code {number}",
        ]
    )


def encode(text: str) -> list[int]:
    return list(text.encode())


def decode(ids: Sequence[int]) -> str:
    return bytes(ids).decode()


def sample(index: int, text: str, label: str) -> PseudoSample:
    return PseudoSample(
        row_id=f"{NEW_TASK}/pseudo/{TASK}/{index:06d}.1",
        source_task=TASK,
        gen_index=index,
        attempt=1,
        input=text,
        target=label,
        input_ids=encode(text),
        target_ids=encode(label),
        valid=True,
        reject_reason="",
        nll=1.5,
        seed=derive_seed(SEED, "pseudo", NEW_TASK, TASK, index, 1),
        teacher_sha256=TEACHER,
    )


def clean(size: int = 200, seed: int = 0, num_templates: int | None = None) -> Audited:
    """Train, held-out and pseudo rows, each drawn on its own from the same grammar; with templates,
    from so many sentences in which a number alone differs."""
    chooser = random.Random(f"corpus {seed}")
    templates = [sentence(chooser)[:-1] for _ in range(num_templates or 0)]

    def text() -> str:
        if not templates:
            return sentence(chooser)
        return f"{chooser.choice(templates)}{chooser.randrange(10)}"

    pseudo = [(text(), chooser.choice(LABELS)) for _ in range(size)]
    train, test = ([(text(), LABELS[i % 5]) for i in range(size)] for _ in range(2))
    return table_of(train, test, pseudo)


def table_of(train: Sequence[Row], held_out: Sequence[Row], pseudo: Sequence[Row]) -> Audited:
    """A table of pseudo-samples of one task, with the task's rows."""
    labels = tuple(dict.fromkeys(target for _, target in train))

    def real(split: str, rows: Sequence[Row]) -> list[Example]:
        return [
            Example(f"{TASK}/{split}/{i:06d}", TASK, text, target, labels.index(target))
            for i, (text, target) in enumerate(rows)
            if target in labels
        ]

    sizes = {"train": len(train), "test": len(held_out)}
    facts = TaskFacts(TASK, "accuracy", "classes", labels, sizes)
    drawn = [sample(i, text, target) for i, (text, target) in enumerate(pseudo)]
    task = SampledTask(facts, 0, drawn, real("train", train), real("test", held_out))
    text = TextParams(max_input_tokens=4000, max_target_tokens=400)
    settings = {"seed": SEED, "text": text.model_dump()}
    code = code_version(GENERATE.packages)
    manifest = Manifest("pseudo", {}, "", {}, settings, {"teacher": TEACHER}, code)
    origin = TableOrigin(NEW_TASK, True, "", manifest, Path(), TEACHER, text)
    return Audited([task], origin, SEED, Teacher(decode))


def with_rows(audited: Audited, rows: dict[int, PseudoSample]) -> Audited:
    """The same table with other rows at some places."""
    (task,) = audited.tasks
    drawn = [rows.get(place, row) for place, row in enumerate(task.drawn)]
    return replace(audited, tasks=[replace(task, drawn=drawn)])


def texts_of(audited: Audited) -> list[PseudoSample]:
    return list(audited.tasks[0].drawn)
