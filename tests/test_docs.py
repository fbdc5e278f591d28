"""What the documents say of results is what the kept results say."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lamol_core.parameters import completed, defaults
from lamol_core.reporting.comparison.finished_runs import flatten, read_folders
from lamol_core.reporting.comparison.labels import CommonName, label_runs
from lamol_core.reporting.tables import markdown_row
from stages.cli import app
from tests.code_imports import ROOT

pytestmark = pytest.mark.slow
RESULTS = ROOT / "docs" / "results"
PAGES = [ROOT / "docs" / "results.md", ROOT / "docs" / "results_earlier.md"]
WRITTEN = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
COMMANDS = re.findall(r"^    (lamol compare docs/results/.*)$", WRITTEN, re.M)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each command of the pages writes."""
    folders = {}
    for command in COMMANDS:
        folders[command] = tmp_path_factory.mktemp("compared")
        _, *arguments = shlex.split(command)
        with chdir(ROOT):
            done = CliRunner().invoke(app, [*arguments, "--out", str(folders[command])])
        assert done.exit_code == 0, done.output
    return folders


def test_every_kept_benchmark_is_compared() -> None:
    kept = {path.stem for path in RESULTS.glob("*.jsonl")}
    assert kept == {name for line in COMMANDS for name in re.findall(r"results/(\w+).jsonl", line)}


@pytest.mark.parametrize("command", COMMANDS)
def test_tables_are_those_of_the_kept_runs(command: str, compared: dict[str, Path]) -> None:
    section = WRITTEN[WRITTEN.index(f"    {command}\n") :]
    last = "\n\nMean over seeds" if "--against" in command else "\n\nMean ±"
    tables = [line for line in section[: section.index(last)].splitlines() if line[:1] == "|"]
    made = (compared[command] / "comparison.md").read_text(encoding="utf-8")
    assert tables == [line for line in made.splitlines() if line[:1] == "|"]


NUMBER = r"[+-]?\d+\.\d"
INTERVAL = rf"\[({NUMBER}),\s+({NUMBER})\]"
SECTIONS = re.split(r"^(?=## )", PAGES[0].read_text(encoding="utf-8"), flags=re.M)


def differences_in(folders: Iterable[Path]) -> list[dict[str, Any]]:
    return [
        one
        for folder in folders
        for one in json.loads((folder / "comparison.json").read_text("utf-8"))["differences"]
    ]


def assert_told(text: str, known: list[dict[str, Any]], where: str) -> None:
    """Each interval stands behind the mean of its difference; each "n of m pairs" is one's too."""
    intervals = set()
    for one in known:
        if one["interval"] is not None:
            low, high = one["interval"]
            intervals |= {shown(one["mean"], low, high), shown(-one["mean"], -high, -low)}
    prose = "\n".join(line for line in text.splitlines() if line[:1] != "|" or "±" not in line)
    told = re.findall(rf"({NUMBER})[^\d\[]*{INTERVAL}", prose)
    assert len(told) == len(re.findall(INTERVAL, prose)), where
    assert not {shown(*map(float, one)) for one in told} - intervals, where
    ahead = {(one["pairs"]["num_higher"], one["pairs"]["num"]) for one in known}
    ahead |= {(num - higher, num) for higher, num in ahead}
    said = re.findall(r"(\d+)\s+of\s+(\d+)\s+pairs", prose)
    assert not {(int(n), int(m)) for n, m in said} - ahead, where


@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.partition("\n")[0])
def test_differences_in_a_section_are_those_of_its_runs(
    section: str, compared: dict[str, Path]
) -> None:
    own = [folder for command, folder in compared.items() if f"    {command}\n" in section]
    known = differences_in(own)
    assert_told(section, known, section.partition("\n")[0])
    tested = [one for one in known if one["interval"] is not None]
    found = sum(one["told_apart"] for one in tested)
    for told, of in re.findall(r"(\d+)\s+of\s+(\d+)\s+differences", section):
        assert (int(told), int(of)) == (found, len(tested))


@pytest.mark.parametrize("page", ["README.md", "docs/method.md", "docs/results_earlier.md"])
def test_differences_in_other_texts_are_those_of_kept_runs(
    page: str, compared: dict[str, Path]
) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert_told(text, differences_in(compared.values()), page)


def test_every_run_of_the_five_domains_stands_in_its_table() -> None:
    command = next(line for line in COMMANDS if "results/clinc150.jsonl " in line)
    names = [CommonName.parse(text) for text in re.findall(r"--call (\S+)", command)]
    labelled = label_runs(
        read_folders([RESULTS / "clinc150.jsonl"], completed), flatten(defaults()), names
    )
    made = set()
    for label, runs in labelled.items():
        for run in runs:
            order = "as listed" if run.summary["tasks"][0] == "banking" else "reversed"
            figures = [run.summary[f"{name}_average"] for name in ("final", "incremental")]
            figures.append(run.summary["forgetting"])
            made.add(
                markdown_row(label, order, str(run.params["seed"]), *(f"{n:.1f}" for n in figures))
            )
    page = (RESULTS / "clinc150.md").read_text(encoding="utf-8")
    _, _, *rows = [line for line in page.splitlines() if line[:1] == "|"]
    assert set(rows) == made and len(rows) == len(made)


def test_readme_s_table_is_of_the_kept_runs(compared: dict[str, Path]) -> None:
    """Of each method its own figures; of that with better pseudo-samples those of its options."""
    known: dict[str, set[str]] = {}
    for command, folder in compared.items():
        if re.search(r"/clinc150(_15_tasks|_together)?\.jsonl ", command):
            content = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
            for group in content["groups"]:
                known.setdefault(group["label"], set()).update(
                    f"{group['figures'][key]['mean']:.1f}"
                    for key in ("final_average", "forgetting")
                )
    options = {
        "five per class": ["lamol_kd (better)", "lamol_kd (balanced, rows_per_class=5)"],
        "ten per class": [
            "lamol_kd (four, rows_per_class=10)",
            "lamol_kd (balanced, carry_over, rows_per_class=10)",
        ],
    }
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("What came out (mean") :].split("\n\n")[1].splitlines()[2:]
    assert len(table) == 10
    for line in table:
        method, _, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        labels = [one for key, of_key in options.items() if key in method for one in of_key]
        shown = {cell.split()[0] for cell in cells if cell}
        allowed = [known[label] for label in labels or [method.split("`")[1]]]
        assert shown and shown <= set().union(*allowed), line


def test_finetune_forgets_and_multitask_does_not() -> None:
    forgetting: dict[str, list[float]] = {}
    tables = [RESULTS / "clinc150.jsonl", RESULTS / "sst2_woz.jsonl"]
    for run in read_folders(tables, completed):
        forgetting.setdefault(run.method, []).append(run.summary["forgetting"])
    assert min(forgetting["finetune"]) > 50 and max(forgetting["multitask"]) < 3
    assert max(forgetting["lamol_kd"]) < min(forgetting["finetune"])


def shown(mean: float, low: float, high: float) -> str:
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]".replace("-0.0", "0.0")


def test_no_kept_result_names_a_machine_s_folders() -> None:
    for path in RESULTS.glob("*.jsonl"):
        assert '"path": "/' not in path.read_text(encoding="utf-8"), path
