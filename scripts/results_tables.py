"""Writes the tables of results into README.md and docs/, from the kept runs in docs/results/.

    python scripts/results_tables.py            writes every table
    python scripts/results_tables.py --check    names the pages whose tables are out of date

A table stands between two lines. The first says what it shows, and the command that compares the
same runs in a terminal:

    <!-- table: scores: lamol compare docs/results/clinc150_options.jsonl -->
    <!-- end -->

Kinds are `scores`, `costs`, `differences` (with `--against`) and `runs`. `summary` and `methods`
have no command. Exit code 1 with `--check`: a page is out of date.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lamol_core.artifacts.figures import write_text
from lamol_core.methods.registry import METHODS
from lamol_core.parameters import completed, defaults
from lamol_core.reporting.comparison.finished_runs import FinishedRun, flatten, read_folders
from lamol_core.reporting.comparison.labels import CommonName, label_runs
from lamol_core.reporting.comparison.render import (
    COMPARED_COLUMNS,
    comparison_markdown,
    comparison_section,
)
from lamol_core.reporting.comparison.statistics import Comparison, Group, compare_runs
from lamol_core.reporting.tables import markdown_table

ROOT = Path(__file__).parent.parent
MARKER = re.compile(
    r"^(<!-- table: (\w+)(?:: lamol compare (.+?))? -->\n).*?^(<!-- end -->)$", re.M | re.S
)
FILTERS = "--call filters=known_labels,balance_labels,unique"
FIVE = (
    f"docs/results/clinc150.jsonl {FILTERS},max_attempts=20 "
    "--call shared_token=use_task_specific_gen_token=false"
)
BY_LABEL = (
    f"docs/results/clinc150_rows_by_label.jsonl docs/results/clinc150_together.jsonl {FILTERS},"
    "max_attempts=20 --call "
    "'by label=gen_order=target_first,judge=features,carry_over,unique,max_attempts=8'"
)
FIFTEEN = (
    f"docs/results/clinc150_15_tasks.jsonl {FILTERS},max_attempts=50 --call "
    "'by label=gen_order=target_first,judge=features,carry_over,unique,max_attempts=8'"
)
CHAT = (
    "docs/results/clinc150_chat.jsonl docs/results/clinc150_rows_by_label.jsonl "
    "--call chat=text.format=chat,max_length=160 --call tokens=max_length=96"
)
BENCHMARKS = {
    FIVE: "[five domains](results/clinc150.md), two orders",
    BY_LABEL: "[five domains](results/clinc150_rows_by_label.md), one order",
    CHAT: "[five domains](results/clinc150_rows_by_label.md), one order",
    FIFTEEN: "[fifteen tasks](results/clinc150_15_tasks.md)",
    "docs/results/sst2_woz.jsonl": "[SST-2 and WOZ](results/sst2_woz.md)",
}
"""The runs of a column of the summary, and its title. Runs of the same title share a column."""
DOES = {
    "`lamol_kd`": "As published: learns the new rows, and on pseudo-samples of old tasks imitates "
    "the model as it was before.",
    "`lamol_kd` by label, lambda 1.0": "Asks the teacher for pseudo-samples of each old "
    "label, and keeps those that a judge agrees with; the judge keeps each label's mean features "
    "(1.4 MB). `lamol init` sets this for another pretrained model.",
    "`lamol_kd` by label, in chat format": "By label, with rows in the model's own chat template "
    "instead of reserved tokens. `lamol init` sets this for an instruct model.",
    "`lamol`": "Trains on pseudo-samples as on real rows.",
    "`l2kd`": "LAMOL that learns the new task from an expert trained on it alone.",
    "`ewc`": "Penalises changes of the weights that old tasks need.",
    "`derpp`": "Trains on some old rows, and on the outputs that the model once had for them.",
    "`replay`": "Trains on some old rows.",
    "`finetune`": "Trains on the new task alone: the lower bound.",
    "`multitask`": "Trains on all rows of all tasks so far: the upper bound.",
}
"""What can be chosen today, a row of README's table each."""
OPTIONS = {
    "`lamol_kd` by label, lambda 1.0": {
        BY_LABEL: "lamol_kd (by label, rows_per_class=14, lambda=1.0)",
        FIFTEEN: "lamol_kd (by label, rows_per_class=20, lambda=1.0)",
    },
    "`lamol_kd` by label, in chat format": {CHAT: "lamol_kd (chat, lambda=1.0)"},
    "`lamol_kd`": {**dict.fromkeys(BENCHMARKS, "lamol_kd"), FIFTEEN: "lamol_kd (max_attempts=50)"},
    "`lamol`": {**dict.fromkeys(BENCHMARKS, "lamol"), FIFTEEN: "lamol (max_attempts=50)"},
    "`lamol_kd` with filters, 5 rows per class": {
        FIVE: "lamol_kd (filters, rows_per_class=5)",
        FIFTEEN: "lamol_kd (filters, rows_per_class=5)",
    },
    "`lamol_kd` with filters, 10 rows per class": {
        BY_LABEL: "lamol_kd (filters, rows_per_class=10)",
        FIFTEEN: "lamol_kd (filters, carry_over, rows_per_class=10)",
    },
}
"""What is measured and has runs that are not called as the method: their names by benchmark. What
stands in DOES too is in README's table; the rest, of earlier versions, in the summary alone."""


@dataclass(frozen=True)
class Kept:
    """Kept runs as one `lamol compare` command shows them."""

    labelled: dict[str, list[FinishedRun]]
    comparison: Comparison

    def group(self, label: str) -> Group | None:
        return next((one for one in self.comparison.groups if one.label == label), None)


@cache
def kept(arguments: str) -> Kept:
    """Return the runs that `lamol compare ARGUMENTS` compares."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--call", action="append", default=[])
    parser.add_argument("--against")
    options = parser.parse_args(shlex.split(arguments))
    runs = read_folders([ROOT / table for table in options.tables], completed)
    names = [CommonName.parse(text) for text in options.call]
    return Kept(
        label_runs(runs, flatten(defaults()), names),
        compare_runs(runs, flatten(defaults()), names, options.against),
    )


def scores(runs: Kept) -> list[str]:
    return _columns(runs, are_compared=True)


def costs(runs: Kept) -> list[str]:
    return _columns(runs, are_compared=False)


def _columns(runs: Kept, are_compared: bool) -> list[str]:
    section = comparison_section(runs.comparison)
    compared = {column.title for column in COMPARED_COLUMNS}
    names = ("method", "runs", "orders") if are_compared else ("method",)
    chosen = [
        index
        for index, title in enumerate(section["titles"])
        if title in names or (index > 2 and (title in compared) == are_compared)
    ]
    rows = [[row[index] for index in chosen] for row in section["rows"]]
    return markdown_table([section["titles"][index] for index in chosen], rows)


def differences(runs: Kept) -> list[str]:
    written = comparison_markdown(runs.comparison)
    _, table = re.findall(r"(?:^\|.*\n)+", written, re.M)
    return table.splitlines()


def one_by_one(runs: Kept) -> list[str]:
    """Return a row for each run; scores of single tasks in the order of learning."""
    titles = ["method", "first task", "seed", "each task when new", "each task at the end"]
    titles += ["final", "incremental", "forgetting", "seconds"]
    rows = []
    for group in runs.comparison.groups:
        for run in runs.labelled[group.label]:
            summary, matrix = run.summary, run.summary["score_matrix"]
            decimals = 1 if len(matrix) <= 5 else 0
            new = [row[index] for index, row in enumerate(matrix)]
            cells = [
                " ".join(f"{score:.{decimals}f}" for score in line) for line in (new, matrix[-1])
            ]
            for figure in ("final_average", "incremental_average", "forgetting"):
                cells.append(f"{summary[figure]:.1f}")
            cells.append(f"{summary['seconds']:.0f}")
            rows.append([group.label, summary["tasks"][0], str(run.params["seed"]), *cells])
    return markdown_table(titles, rows, texts=(0, 1, 3, 4))


def summary() -> list[str]:
    """Return final averages: a row for each method, a column for each benchmark."""
    columns, rows = list(dict.fromkeys(BENCHMARKS.values())), []
    for title, groups in _measured():
        cells = {BENCHMARKS[runs]: _final(group) for runs, group in groups.items()}
        rows.append([title, *(cells.get(column, "") for column in columns)])
    return markdown_table(["final average, %", *columns], rows)


def methods() -> list[str]:
    """Return a row for each method, with its result on the five domains."""
    titles = ["method", "what it does", "what it keeps of old tasks", "final average, %"]
    rows = []
    for title, groups in _measured():
        if title not in DOES:
            continue
        group = next(iter(groups.values()))
        orders = ", one order" if group.num_orders == 1 else ""
        final = f"{_final(group)[:-1]} runs{orders})"
        rows.append([title, DOES[title], _keeps(group), final])
    return markdown_table(titles, rows, texts=(0, 1, 2))


def _measured() -> list[tuple[str, dict[str, Group]]]:
    """Return the titles of rows and their runs by benchmark, the best on the first benchmark
    first."""
    rows = []
    for title in dict.fromkeys([*DOES, *OPTIONS]):
        labels = OPTIONS.get(title, dict.fromkeys(BENCHMARKS, title.strip("`")))
        found = {runs: kept(runs).group(label) for runs, label in labels.items()}
        rows.append((title, {runs: group for runs, group in found.items() if group}))
    return sorted(rows, key=lambda row: -_mean(next(iter(row[1].values())), "final_average"))


def _mean(group: Group, figure: str) -> float:
    estimate = group.figures[figure]
    assert estimate is not None, figure
    return estimate.mean


def _final(group: Group) -> str:
    estimate = group.figures["final_average"]
    assert estimate is not None, group.label
    spread = f" ± {estimate.deviation:.1f}" if estimate.deviation else ""
    return f"{estimate.mean:.1f}{spread} ({group.num_runs})"


def _keeps(group: Group) -> str:
    rows, megabytes = _mean(group, "kept_real_rows"), _mean(group, "kept_bytes") / 1e6
    whole = "all " if METHODS[group.label.partition(" ")[0]].mixes_real_rows else ""
    text = f"{whole}{rows:.0f} real rows" if rows else "no real row"
    return f"{text}, {megabytes:.0f} MB" if megabytes >= 1 else text


OF_RUNS = {"scores": scores, "costs": costs, "differences": differences, "runs": one_by_one}
WHOLE = {"summary": summary, "methods": methods}


def filled(text: str) -> str:
    """Return a page with every table written anew."""

    def table(marker: re.Match[str]) -> str:
        first, kind, arguments, last = marker.groups()
        lines = OF_RUNS[kind](kept(arguments)) if arguments else WHOLE[kind]()
        return "\n".join([first, *lines, "", last])

    return MARKER.sub(table, text)


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(arguments).check
    found = 0
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (new := filled(text)) != text:
            found = 1
            print(page.relative_to(ROOT))  # noqa: T201
            if not check:
                write_text(page, new)
    return found if check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
