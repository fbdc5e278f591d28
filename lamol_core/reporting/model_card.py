"""A model card beside each student: what it learnt, how well, and what its audits said."""

from collections.abc import Mapping, Sequence
from typing import Any

from lamol_core.reporting.tables import cell, markdown_table
from lamol_core.text.template import ANS

NOTE = (
    "It was trained on real rows of its last task, and held to its earlier ones by what its method "
    "keeps. It can repeat what it was trained on, and so tell of real people."
)

ASKING = f"""\
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(".")
tokenizer = AutoTokenizer.from_pretrained(".")
asked = tokenizer("an input of yours{ANS}", return_tensors="pt")
told = model.generate(**asked, max_new_tokens=64, do_sample=False)
print(tokenizer.decode(told[0, asked.input_ids.shape[1]:], skip_special_tokens=True))
"""


def model_card(
    method: str,
    tasks: Sequence[str],
    scores: Mapping[str, float | None],
    average: float | None,
    num_test_rows: Mapping[str, int],
    audit: Mapping[str, Any],
    num_dropped: int = 0,
) -> str:
    """Markdown with front matter as the Hugging Face hub reads it; scores in percent, None where
    the test rows were forgotten; `average` is over the others. `audit` are the figures of the audit
    of the rows drawn for its last task, {} where there was none; they have the verdicts of the
    audits before it too."""
    scored = [(task, cell(scores[task]), str(num_test_rows[task])) for task in tasks]
    scored.append(("average", cell(average), ""))
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        f"tags: [continual-learning, {method}]",
        "---",
        f"# Student after `{tasks[-1]}` ({method})",
        "",
        f"Learnt one after the other: {', '.join(f'`{task}`' for task in tasks)}. {NOTE}",
        "",
        *markdown_table(("task", "score, %", "test rows"), scored),
        "",
        *_gaps(scores),
        "## Asking it",
        "",
        "An input, then the token that its answer follows; greedy, as it was scored. No task is "
        "named, no chat template is used. In the student's folder:",
        "",
        *(f"    {line}" for line in ASKING.splitlines()),
        "",
        "## Audits of the pseudo-samples it was trained on",
        "",
    ]
    audits = [one for one in audit.get("verdicts", ()) if one["rows_kept"]]
    if not audits:
        return "\n".join([*lines, "None were drawn, or they were not audited.", ""])
    drawn = [
        (one["task"], one["rows_kept"], one["verdict"], ", ".join(one["failed"])) for one in audits
    ]
    lines += [
        *markdown_table(("drawn for", "rows", "verdict", "failed"), drawn, texts=(0, 2, 3)),
        "",
        f"Of the last: {audit['verdict']}.",
        "",
    ]
    if num_dropped:
        lines += [f"It was trained without {num_dropped} flagged rows.", ""]
    checks = audit["checks"].items()
    verdicts = [(name, told["verdict"], told["rows_flagged"]) for name, told in checks]
    lines += markdown_table(("check", "verdict", "rows flagged"), verdicts, texts=(0, 1))
    return "\n".join([*lines, ""])


def _gaps(scores: Mapping[str, float | None]) -> list[str]:
    gone = [task for task, score in scores.items() if score is None]
    if not gone:
        return []
    return [f"The test rows of {', '.join(gone)} were forgotten: the average leaves it out.", ""]
