"""Runs every bench, writes benchmarks/results.json and prints the table of docs/performance.md.

    python -m benchmarks.all [--short] [--only NAME ...]
    python -m benchmarks.all --only bench_training --with "--only published --rounds 2"

Each result is kept with its command and date. What was not run this time stays in the file.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, child_environment, say
from benchmarks.workspace import require_shared

RESULTS = ROOT / "benchmarks" / "results.json"
SHORT_RESULTS = ROOT / "benchmarks" / ".work" / "short.json"


@dataclass(frozen=True)
class Bench:
    """A module's options: for figures that count, and for a look at whether it works."""

    options: tuple[str, ...] = ()
    short: tuple[str, ...] = ()


BENCHES = {
    "bench_sampling": Bench((), ("--rows", "64", "--published-rows", "16", "--rounds", "1")),
    "bench_evaluation": Bench((), ("--rows", "64", "--published-rows", "16", "--rounds", "1")),
    "bench_training": Bench(
        (), ("--rows", "64", "--published-rows", "8", "--peer-rows", "32", "--rounds", "1")
    ),
    "bench_memory": Bench((), ("--rows", "32", "--published-rows", "4", "--rounds", "1")),
    "bench_adapters": Bench((), ("--rows", "48", "--rounds", "1")),
    "bench_limit": Bench(("--compile", "never", "always"), ("--rows", "128", "--rounds", "1")),
    "bench_tasks": Bench((), ("--tasks", "4", "--backbone", "nano", "--rounds", "1")),
    "bench_startup": Bench((), ("--rounds", "1", "--no-demo")),
}


@dataclass(frozen=True)
class Target:
    """What a figure is held against; `at_most` where less is better."""

    what: str
    ratio: float | None
    at_most: bool = False

    def verdict(self, ratio: float) -> str:
        if self.ratio is None:
            return ""
        met = ratio <= self.ratio if self.at_most else ratio >= self.ratio
        return "met" if met else "not met"

    def __str__(self) -> str:
        if self.ratio is None:
            return "none"
        return f"{'at most' if self.at_most else 'at least'} {self.ratio:g}"


TARGETS = {
    "sampling_published": Target("pseudo-samples/s against the published procedure", 20),
    "sampling_generate": Target("pseudo-samples/s against generate() at its best", 6),
    "training_published": Target("KD-training rows/s against the published procedure", 12),
    "training_peer": Target("KD-training rows/s against TRL, same rows and dtype", 1.8),
    "evaluation_published": Target("evaluated rows/s against the published procedure", 12),
    "evaluation_generate": Target("evaluated rows/s against generate() at its best", None),
    "limit_eager": Target("training step, share of the matrix peak", 0.35),
    "limit_compile": Target("the same with torch.compile", 0.45),
    "memory_train": Target("peak memory against the published procedure", 0.60, True),
    # a matrix of tokens by new words would add 0.71 of what these rows take
    "memory_vocabulary": Target(
        "vocabulary doubled: growth against embedding, gradient and optimizer rows", 1.7, True
    ),
    "adapter_state_whole": Target("an adapter's weights, gradients, moments: whole's", 0.25, True),
    "adapter_peak_whole": Target("peak memory of training an adapter: whole weights'", 0.65, True),
    "adapter_rows_per_s_whole": Target("rows/s of training an adapter: whole weights'", None),
    "adapter_rows_per_s_trl_sdpa": Target("rows/s of training an adapter: TRL's SFT, sdpa", 1.0),
    "adapter_rows_per_s_trl_eager": Target("the same, TRL with eager attention", 1.0),
    "adapter_peak_trl_sdpa": Target("peak memory of an adapter: TRL's SFT, sdpa", 1.0, True),
    "adapter_peak_trl_eager": Target("the same, TRL with eager attention", 1.0, True),
    "tasks_flat": Target("slowest against fastest of tasks 2..10", 1.15, True),
    "startup_share": Target("overhead of the demo's stages, share of its time", 0.30, True),
}


def run_bench(name: str, options: Sequence[str]) -> list[dict[str, Any]]:
    """Run one module; gives its JSON lines. Its table goes on to our stderr."""
    command = " ".join(["python -m", f"benchmarks.{name}", *options])
    say(f"== {command}")
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options],
        cwd=ROOT, env=child_environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines = ended.stdout.splitlines()
    for line in lines:
        if not line.startswith('{"bench"'):
            say(line)
    found = [json.loads(line) for line in lines if line.startswith('{"bench"')]
    if ended.returncode:
        found = [{"bench": name, "error": f"exit code {ended.returncode}"}]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return [{**result, "command": command, "date": now} for result in found]


def as_markdown(results: Sequence[dict[str, Any]]) -> str:
    """Target against figure, one row a result; what has no target is listed last."""
    head = (
        "| figure | ours | theirs | unit | ratio | rounds | target | |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    rows = []
    for result in sorted(results, key=lambda one: one["bench"] not in TARGETS):
        target = TARGETS.get(result["bench"], Target(result["bench"], None))
        if "error" in result:
            rows.append(f"| {target.what} | {result['error']} | | | | | {target} | |")
            continue
        ratio = result["ratio"]
        rows.append(
            f"| {target.what} | {result['ours']:.4g} | {result['theirs']:.4g} | {result['unit']} "
            f"| {ratio:.3g} | {len(result['runs'])} | {target} | {target.verdict(ratio)} |"
        )
    return head + "\n".join(rows) + "\n"


def measured_machine() -> dict[str, Any]:
    """The machine, described in a process of its own: this one stays small."""
    code = (
        "import json; from benchmarks.machine import describe_machine as d; print(json.dumps(d()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=child_environment(),
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    described = json.loads(ended.stdout)
    assert isinstance(described, dict)
    return described


def read_results(path: Path, machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a results file holds, by bench; nothing if it is another processor's."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if content.get("machine", {}).get("cpu_family_model") != machine["cpu_family_model"]:
        return {}
    return {result["bench"]: result for result in content["results"]}


def write_results(path: Path, results: Sequence[dict[str, Any]], machine: dict[str, Any]) -> None:
    """All results so far, a line each: a run that is cut off keeps what it has."""
    lines = ",\n".join(map(json.dumps, results))
    text = f'{{"machine": {json.dumps(machine)},\n"results": [\n{lines}\n]}}\n'
    path.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("--short", action="store_true", help="few rows: does everything work?")
    made.add_argument("--only", nargs="+", choices=list(BENCHES), default=list(BENCHES))
    made.add_argument("--with", dest="options", help="options of the benches named by --only")
    made.add_argument("--out", type=Path, help="default: benchmarks/results.json")
    options = made.parse_args(arguments)
    require_shared()
    out = options.out or (SHORT_RESULTS if options.short else RESULTS)
    machine = measured_machine()
    results = read_results(out, machine)
    for name in options.only:
        bench = BENCHES[name]
        chosen = bench.short if options.short else bench.options
        if options.options is not None:
            chosen = tuple(shlex.split(options.options))
        results |= {result["bench"]: result for result in run_bench(name, chosen)}
        write_results(out, list(results.values()), machine)
    sys.stdout.write(as_markdown(list(results.values())))


if __name__ == "__main__":
    main()
