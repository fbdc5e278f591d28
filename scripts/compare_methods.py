"""Runs a sequence once for each method and seed, each in a copy of its folder, and tabulates.

    python scripts/compare_methods.py examples/clinc150 --out /tmp/clinc150 --jobs 2 \
        lamol_kd:0 lamol_kd:1 lamol:0 lamol_kd:0:lamol_kd.alignment=reference

A run is METHOD:SEED[:KEY=VALUE...]; the key `order` is a list of task names with commas, as for
`lamol orders`. Each copy is a sequence of its own under --out, with its share of the cores; a run
that is there already is continued by `dvc repro`. Checkpoints are removed when a run has ended
(--keep keeps them). Parameters and scores of each run, and the commits that made it, are a line of
the table --results (OUT/results.jsonl; docs/results/NAME.jsonl are kept in Git). `lamol compare` is
called on it at the end; its files are in OUT.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

from ruamel.yaml import YAML

from lamol_core import __version__
from lamol_core.artifacts.atomic import atomic_path
from lamol_core.data.orders import order_tree
from lamol_core.pipeline.init import create_sequence
from lamol_core.preflight.problems import check_sequence
from lamol_core.reporting.comparison.finished_runs import SUMMARY

COMMITS = "commits.txt"
"""In a run's folder: the commits of this checkout that have run it, a line each."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("example", type=Path)
    parser.add_argument("runs", nargs="+", metavar="METHOD:SEED[:KEY=VALUE]")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep all checkpoints")
    parser.add_argument("--results", type=Path, help="a table of all runs (OUT/results.jsonl)")
    options = parser.parse_args()
    table = options.results or options.out / "results.jsonl"
    threads = str(max((os.cpu_count() or 1) // options.jobs, 1))
    options.out.mkdir(parents=True, exist_ok=True)
    one_writes = Lock()

    def run(name: str) -> None:
        run_one(options.example, options.out / folder_name(name), name, threads, options.keep)
        with one_writes:
            keep_result(options.example, options.out, name, table)

    refuse_shared_folders(options.runs)
    for name in options.runs:
        refuse_other_parameters(options.example, options.out / folder_name(name), name)
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(run, options.runs))
    subprocess.run(["lamol", "compare", table, "--out", options.out], check=True)


def run_one(example: Path, folder: Path, name: str, threads: str, keep: bool) -> None:
    if (folder / SUMMARY).is_file():
        return
    if not folder.exists():
        create_sequence(folder, resolved(params_of(example, name), example), check_sequence)
    note_commit(folder)
    environment = os.environ | {"OMP_NUM_THREADS": threads}
    started = time.perf_counter()
    with (folder / "repro.log").open("a") as log:
        subprocess.run(
            ["dvc", "repro"], cwd=folder, env=environment, stdout=log, stderr=log, check=True
        )
    sys.stderr.write(f"{name}: done in {time.perf_counter() - started:.0f} s\n")
    if not keep:
        shutil.rmtree(folder / ".dvc" / "cache", ignore_errors=True)
        for checkpoint in (*folder.glob("runs/*/student"), *folder.glob("runs/*/teacher")):
            shutil.rmtree(checkpoint)


def refuse_shared_folders(names: list[str]) -> None:
    """Exits where two runs would have the same folder."""
    by_folder: dict[str, str] = {}
    for name in names:
        other = by_folder.setdefault(folder_name(name), name)
        if other != name or names.count(name) > 1:
            sys.exit(f"{name} and {other} have one folder, {folder_name(name)}. Leave one out.")


def refuse_other_parameters(example: Path, folder: Path, name: str) -> None:
    """Exits where a folder has a run that its name does not describe."""
    if not folder.exists():
        return
    there = plain_yaml((folder / "params.yaml").read_text(encoding="utf-8"))
    if there != resolved(params_of(example, name), example):
        sys.exit(f"{folder}: has a run with other parameters. Remove it, or name another --out.")


def note_commit(folder: Path) -> None:
    """Add the commit of this checkout to those that have run a sequence."""
    describe = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(
        describe, cwd=Path(__file__).parent, check=True, capture_output=True, text=True
    )
    commits = dict.fromkeys([*commits_of(folder), found.stdout.strip()])
    (folder / COMMITS).write_text("\n".join(commits) + "\n")


def commits_of(folder: Path) -> list[str]:
    path = folder / COMMITS
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def resolved(params: dict[str, Any], example: Path) -> dict[str, Any]:
    """Parameters of a folder of its own: this version, and files found from elsewhere too."""
    params = {"lamol_version": __version__, **copy.deepcopy(params)}
    backbone = params.get("backbone", {})
    corpus = backbone.get("nano", {}).get("corpus", [])
    for block in (backbone, *corpus, *(task["source"] for task in params["tasks"].values())):
        path = block.get("path")
        if path and block["kind"] != "hub" and not Path(path).expanduser().is_absolute():
            block["path"] = str((example / path).resolve())
    return params


def params_of(example: Path, name: str) -> dict[str, Any]:
    """The example's parameters with what a run's name sets."""
    method, seed, *overrides = name.split(":")
    params: dict[str, Any] = plain_yaml((example / "params.yaml").read_text(encoding="utf-8"))
    params["method"], params["seed"] = method, int(seed)
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "order":
            params["tasks"] = order_tree(params["tasks"], [value.split(",")])
            continue
        *parents, last = key.split(".")
        node = params
        for part in parents:
            node = node[part]
        node[last] = plain_yaml(value)
    return params


def keep_result(example: Path, out: Path, name: str, table: Path) -> None:
    """Write a run's line of the table that `lamol compare` reads, over an older one of its name.

    Keys stay in their order: that of the tasks is a parameter too."""
    folder = out / folder_name(name)
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    kept = {row["name"]: row for row in map(json.loads, lines)}
    kept[folder.name] = {
        "name": folder.name,
        "commits": commits_of(folder),
        "params": params_of(example, name),
        "chains": json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["chains"],
    }
    with atomic_path(table) as scratch:
        scratch.write_text("".join(json.dumps(kept[one]) + "\n" for one in sorted(kept)))


def plain_yaml(text: str) -> Any:
    """Parse YAML with a parser of its own: runs are made in threads, a parser serves one."""
    return YAML(typ="safe", pure=True).load(text)


def folder_name(name: str) -> str:
    return re.sub("[:=,/]", "-", name)


if __name__ == "__main__":
    main()
