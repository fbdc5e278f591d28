"""A model card for each student: the tasks it learnt, its scores, the audits' verdicts."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from lamol_core.reporting.summary import TaskFigures
from lamol_core.reporting.tables import cell, markdown_table
from lamol_core.text.template import ANS

NOTE = (
    "It was trained on real rows of its last task, and held to its earlier ones by what its method "
    "keeps. It can repeat what it was trained on, and so tell of real people."
)

USAGE = f"""\
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(".")
tokenizer = AutoTokenizer.from_pretrained(".")
inputs = tokenizer("an input of yours{ANS}", return_tensors="pt")
outputs = model.generate(**inputs, max_new_tokens=64, do_sample=False)
print(tokenizer.decode(outputs[0, inputs.input_ids.shape[1]:], skip_special_tokens=True))
"""


def model_card(method: str, figures: TaskFigures) -> str:
    """Markdown, with front matter for the Hugging Face hub, about the student after a task.

    Scores are in percent; their average leaves out tasks whose test rows were forgotten."""
    scores = figures.scores
    known = [score for score in scores.values() if score is not None]
    rows = [(task, cell(score), figures.num_test_rows[task]) for task, score in scores.items()]
    average = ("average", cell(fmean(known) if known else None), "")
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        f"tags: [continual-learning, {method}]",
        "---",
        f"# Student after `{figures.task}` ({method})",
        "",
        f"Learnt one after the other: {', '.join(f'`{task}`' for task in scores)}. {NOTE}",
        "",
        *markdown_table(("task", "score, %", "test rows"), [*rows, average]),
        "",
        *_not_scored(scores),
        "## Asking it",
        "",
        "An input, then the token that its answer follows; greedy, as it was scored. No task is "
        f"named, no chat template is used. In the student's folder, `runs/{figures.task}/student`:",
        "",
        *(f"    {line}" for line in USAGE.splitlines()),
        "",
        "## Audits of the pseudo-samples it was trained on",
        "",
        *_audits(figures.audit, figures.flagged_dropped),
        "",
    ]
    return "\n".join(lines)


def _not_scored(scores: Mapping[str, float | None]) -> list[str]:
    forgotten = [task for task, score in scores.items() if score is None]
    if not forgotten:
        return []
    names = ", ".join(forgotten)
    return [f"The test rows of {names} were forgotten: the average leaves it out.", ""]


def _audits(audit: Mapping[str, Any], flagged_dropped: int) -> list[str]:
    """The verdicts of the audits up to this task, and the checks of the last."""
    verdicts = [
        (one["task"], one["rows_kept"], one["verdict"], ", ".join(one["failed"]))
        for one in audit.get("verdicts", ())
        if one["rows_kept"]
    ]
    if not verdicts:
        return ["None were drawn, or they were not audited."]
    titles = ("drawn for", "rows", "verdict", "failed")
    lines = [*markdown_table(titles, verdicts, texts=(0, 2, 3)), ""]
    lines += [f"Of the last: {audit['verdict']}.", ""]
    if flagged_dropped:
        lines += [f"It was trained without {flagged_dropped} flagged rows.", ""]
    checks = [
        (name, check["verdict"], check["rows_flagged"]) for name, check in audit["checks"].items()
    ]
    return lines + markdown_table(("check", "verdict", "rows flagged"), checks, texts=(0, 1))
