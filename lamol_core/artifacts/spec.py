"""The declarations of every artefact and every stage, each in one place.

Other modules derive from them: paths (layout.py), checks and hashes (store.py), locks, the code
version in manifests, and the command that a message tells the user to run. Tests compare dvc.yaml
with them.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa

from lamol_core.config.task_names import BASE
from lamol_core.records import (
    EXAMPLE_SCHEMA,
    FLAG_SCHEMA,
    MEMORY_SCHEMA,
    MIX_SCHEMA,
    PREDICTION_SCHEMA,
    PSEUDO_SCHEMA,
)  # fmt: skip

Of = Literal["task", "before", "base"]
"""Whose artefact a stage reads: its own task's, that of the task before, or that of `base`."""


@dataclass(frozen=True)
class Artifact:
    """A file or folder that a stage leaves on disk. `{task}` in its path stands for the task's
    name."""

    name: str
    """The artefact's key among the inputs in the manifests of later artefacts."""
    path: str
    kind: str = ""
    """The kind in the artefact's own manifest; empty where it has no manifest."""
    cached: bool = True
    """Whether DVC may copy the artefact into its cache."""
    large: bool = False
    """Whether the artefact is as large as a model."""

    @property
    def is_table(self) -> bool:
        """Whether the artefact is one Parquet file, with its manifest beside it."""
        return self.path.endswith(".parquet")

    def at(self, task: str, root: Path = Path()) -> Path:
        """The path of a task's artefact. `root` is the folder of the sequence."""
        return root / self.path.format(task=task)


@dataclass(frozen=True)
class TableArtifact(Artifact):
    """A Parquet table, or a folder of tables, with one schema."""

    schema: pa.Schema = field(kw_only=True)


@dataclass(frozen=True)
class Read:
    """An artefact that a stage reads, and whose artefact it is."""

    artifact: Artifact
    of: Of = "task"
    part: str = ""
    """If set, the stage depends only on this file of the artefact's folder."""
    with_manifest: bool = False
    """Whether the stage also runs again when the table's manifest changes."""

    @property
    def key(self) -> str:
        """The input's name in the manifests of the stage's outputs: `teacher`, `before.pseudo`."""
        name = "/".join(filter(None, (self.artifact.name, self.part)))
        return name if self.of == "task" else f"{self.of}.{name}"


@dataclass(frozen=True)
class Stage:
    """A step of the pipeline: the blocks of params.yaml and the artefacts that it reads, the
    artefacts that it writes, and the packages whose code it runs."""

    name: str
    blocks: tuple[str, ...]
    """Names of blocks. `METHOD` stands for the block of the chosen method, `TASK` for the
    task's."""
    reads: tuple[Read, ...]
    writes: tuple[Artifact, ...]
    packages: tuple[str, ...]
    """Folders of lamol_core. A change of their code changes the stage's code version."""
    of_task: bool = True


METHOD = "${method}"
TASK = "tasks.${key}"

DATA = TableArtifact("data", "data/{task}", "data", cached=False, schema=EXAMPLE_SCHEMA)
STUDENT = Artifact("student", "runs/{task}/student", "checkpoint", large=True)
STATE = TableArtifact("state", "runs/{task}/state", "state", large=True, schema=MEMORY_SCHEMA)
TEACHER = Artifact("teacher", "runs/{task}/teacher", "checkpoint")  # links: takes no room
PSEUDO = TableArtifact("pseudo", "runs/{task}/pseudo.parquet", "pseudo", schema=PSEUDO_SCHEMA)
JUDGE = Artifact("judge", "runs/{task}/judge", "judge")
AUDIT = TableArtifact("audit", "runs/{task}/audit", "audit", schema=FLAG_SCHEMA)
AUDIT_FIGURES, AUDIT_FLAGS, AUDIT_PAGE = "audit.json", "rows.parquet", "index.html"
"""The names of files in the folder of an audit."""
DATASET_CARD = Artifact("dataset_card", "runs/{task}/README.md")
CROISSANT = Artifact("croissant", "runs/{task}/croissant.json")
MIX = TableArtifact("mix", "runs/{task}/mix.parquet", "mix", schema=MIX_SCHEMA)
TRAIN_LOG = Artifact("train_log", "runs/{task}/train_log.csv")
PREDICTIONS = TableArtifact(
    "predictions", "runs/{task}/predictions.parquet", "predictions", schema=PREDICTION_SCHEMA
)
METRICS = Artifact("metrics", "runs/{task}/metrics.json")
FIGURES = {
    stage: Artifact(f"{stage}_figures", f"reports/figures/{{task}}.{stage}.json")
    for stage in ("generate", "audit", "train", "evaluate")
}
"""For each of these stages, one JSON file of scores, counts and costs per task. `report` reads
them."""
ALL_FIGURES = Artifact("figures", "reports/figures")
SUMMARY = Artifact("summary", "reports/summary.json")
PAGE = Artifact("page", "reports/index.html")
MODEL_CARDS = Artifact("model_cards", "reports/cards")
CHARTS = {
    name: Artifact(name, f"reports/{name}.svg")
    for name in ("score_matrix", "accuracy", "forgetting")
}
SCORES = Artifact("scores", "reports/score_matrix.csv")
HEADLINE = Artifact("headline", "reports/metrics.json")

BACKBONE = Stage(
    "backbone",
    blocks=("backbone", "text"),
    reads=(),
    writes=(STUDENT, STATE, JUDGE, AUDIT, PSEUDO, DATA),
    packages=("artifacts", "data", "metrics", "models", "text"),
    of_task=False,
)
PREPARE = Stage(
    "prepare",
    blocks=(TASK, "prepare"),
    reads=(Read(DATA, "before"),),
    writes=(DATA,),
    packages=("artifacts", "data", "metrics", "text"),
)
SNAPSHOT = Stage(
    "snapshot",
    blocks=(),
    reads=(Read(STUDENT, "before"),),
    writes=(TEACHER,),
    packages=("artifacts",),
)
GENERATE = Stage(
    "generate",
    blocks=("seed", "method", "text", "generate"),
    reads=(
        Read(TEACHER),
        Read(PSEUDO, "before"),
        Read(AUDIT, "before", part=AUDIT_FLAGS),
        Read(JUDGE, "before"),
        Read(STUDENT, "base"),
        Read(DATA),
    ),
    writes=(PSEUDO, JUDGE, FIGURES["generate"]),
    packages=(
        "artifacts", "data", "decoding", "generation", "methods", "metrics", "models", "text",
    ),
)  # fmt: skip
AUDIT_STAGE = Stage(
    "audit",
    blocks=("seed", "text", "audit"),
    reads=(
        Read(PSEUDO, with_manifest=True),
        Read(TEACHER),
        Read(PSEUDO, "before"),
        Read(AUDIT, "before", part=AUDIT_FIGURES),
        Read(JUDGE, "before"),
        Read(STUDENT, "base"),
        Read(DATA),
    ),
    writes=(AUDIT, DATASET_CARD, CROISSANT, FIGURES["audit"]),
    packages=(
        "artifacts", "audit", "data", "decoding", "evaluation", "generation", "metrics",
        "models", "reporting", "text",
    ),
)  # fmt: skip
MIX_STAGE = Stage(
    "mix",
    blocks=("seed", "method", "mix"),
    reads=(Read(AUDIT), Read(PSEUDO), Read(DATA)),
    writes=(MIX,),
    packages=("artifacts", "data", "methods", "metrics", "text"),
)
TRAIN = Stage(
    "train",
    blocks=("seed", "method", "text", "train", "adapter", METHOD),
    reads=(
        Read(TEACHER),
        Read(PSEUDO),
        Read(MIX),
        Read(STATE, "before"),
        Read(STUDENT, "base"),
        Read(DATA),
    ),
    writes=(STUDENT, STATE, FIGURES["train"], TRAIN_LOG),
    packages=("artifacts", "data", "methods", "models", "text", "training"),
)
EVALUATE = Stage(
    "evaluate",
    blocks=("text", "evaluate"),
    reads=(Read(STUDENT), Read(TEACHER), Read(STUDENT, "base"), Read(DATA)),
    writes=(PREDICTIONS, FIGURES["evaluate"], METRICS),
    packages=("artifacts", "data", "decoding", "evaluation", "metrics", "models", "text"),
)
REPORT_STAGE = Stage(
    "report",
    blocks=(
        "seed", "method", "tasks", "backbone", "text", "prepare", "generate", "audit", "mix",
        "train", "adapter", "evaluate", METHOD,
    ),
    reads=(Read(ALL_FIGURES),),
    writes=(SUMMARY, PAGE, MODEL_CARDS, *CHARTS.values(), SCORES, HEADLINE),
    packages=("artifacts", "data", "evaluation", "methods", "metrics", "reporting", "text"),
    of_task=False,
)  # fmt: skip
ALL = BACKBONE, PREPARE, SNAPSHOT, GENERATE, AUDIT_STAGE, MIX_STAGE, TRAIN, EVALUATE, REPORT_STAGE
STAGES = {stage.name: stage for stage in ALL}
"""Every stage by its name, in the order in which DVC runs them."""
OF_A_TASK = tuple(stage.name for stage in STAGES.values() if stage.of_task)


def maker(artifact: Artifact, task: str = "") -> str:
    """The name by which DVC calls the stage that makes a task's artefact: `train@travel`, or
    `backbone`."""
    if task == BASE:
        return BACKBONE.name
    (made_by,) = (s for s in STAGES.values() if s is not BACKBONE and artifact in s.writes)
    return f"{made_by.name}@{task}" if made_by.of_task else made_by.name


def repro(artifact: Artifact, task: str = "") -> str:
    """The command that makes a task's artefact again, in backquotes."""
    return f"`dvc repro {maker(artifact, task)}`"


def remedy(artifact: Artifact, task: str = "") -> str:
    """The sentence that tells how to make a missing or changed artefact again."""
    return f"Run {repro(artifact, task)}."


def remedy_at(path: Path) -> str:
    """The `remedy` of the student, teacher or state at this path. For any other path it names the
    whole sequence."""
    for artifact in (STUDENT, TEACHER, STATE):
        if path.match(artifact.path.format(task="*")):
            return remedy(artifact, path.parent.name)
    return "Run `dvc repro`."
