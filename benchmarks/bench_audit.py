"""How long an audit takes, how it grows, and how often it is wrong about clean tables.

    python -m benchmarks.bench_audit [--rows 20000 200000] [--seeds 20] [--real ROWS.jsonl]

As many real rows as pseudo ones, without the teacher, each size in a process of its own; `--alike`
takes rows that differ in one number. Clean tables are those of the tests: train, held-out and
pseudo rows drawn on their own from one grammar, 200 each. With --real they are cut out of a file
of real rows at random (of one `domain` each, where it has some): what stands for pseudo rows, and
what for held-out ones, is then as much of a kind with the training rows as can be.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import ROOT, say
from lamol_core.machine import peak_memory_bytes

CUTS = ((200, 100), (100, 150), (40, 100), (100, 10))
"""Pseudo and held-out rows that are cut out of real ones; all others are training rows."""


def audit_rows(num_rows: int, alike: bool) -> None:
    """Audit a clean table of this size and tell the seconds of each check, and peak memory."""
    from lamol_core.audit.params import AuditParams
    from lamol_core.audit.registry import CHECKS
    from tests.audit.corpus import clean

    audited = clean(size=num_rows, num_templates=1 if alike else None)
    params = AuditParams()
    total = 0.0
    for check in CHECKS:
        started = time.perf_counter()
        check.run(audited, params.own(check))
        seconds = time.perf_counter() - started
        total += seconds
        say(f"  {check.name}: {seconds:.1f} s")
    peak = peak_memory_bytes() / 1e9
    say(f"{num_rows} pseudo rows against {num_rows} real ones: {total:.1f} s, {peak:.2f} GB")


def count_false_alarms(num_seeds: int) -> None:
    """Audit clean tables and tell how many had a verdict or flagged row of each check."""
    from lamol_core.audit.params import AuditParams
    from lamol_core.audit.registry import CHECKS
    from lamol_core.audit.verdicts import run_checks
    from tests.audit.corpus import clean

    verdicts: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    for seed in range(num_seeds):
        result = run_checks(clean(seed=seed), AuditParams())
        verdicts.update(one.check for one in result.findings if one.verdict != "pass")
        flagged.update(flag.check for flag in result.flags)
    for check in CHECKS:
        say(
            f"{check.name}: {verdicts[check.name]} of {num_seeds} clean tables not passed, "
            f"{flagged[check.name]} of {num_seeds * 200} rows flagged"
        )


def count_on_real_rows(path: Path, num_seeds: int) -> None:
    """The same of tables cut out of real rows."""
    from lamol_core.audit.params import AuditParams
    from lamol_core.audit.verdicts import run_checks
    from tests.audit.corpus import table_of

    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    domains = sorted({row.get("domain", "") for row in rows})
    for num_pseudo, num_held_out in CUTS:
        verdicts: Counter[str] = Counter()
        flagged: Counter[str] = Counter()
        for seed in range(num_seeds):
            domain = domains[seed % len(domains)]
            texts = [(r["input"], r["target"]) for r in rows if r.get("domain", "") == domain]
            random.Random(seed).shuffle(texts)
            pseudo, rest = texts[:num_pseudo], texts[num_pseudo:]
            audited = table_of(rest[num_held_out:], rest[:num_held_out], pseudo)
            result = run_checks(audited, AuditParams())
            verdicts.update(f"{one.check} {one.verdict}" for one in result.findings)
            flagged.update(flag.check for flag in result.flags)
        beyond = {name: count for name, count in verdicts.items() if not name.endswith("pass")}
        say(
            f"{num_seeds} tables of {num_pseudo} rows, {num_held_out} held out: "
            f"{beyond or 'all pass'}; rows flagged: {dict(flagged) or 'none'}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[20_000, 200_000])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--real", type=Path, help="JSONL with input and target")
    parser.add_argument("--alike", action="store_true", help="rows that differ in one number")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        audit_rows(options.one, options.alike)
        return
    for num_rows in options.rows:
        command = [sys.executable, "-m", "benchmarks.bench_audit", "--one", str(num_rows)]
        command += ["--alike"] if options.alike else []
        subprocess.run(command, cwd=ROOT, check=True)
    if options.seeds and options.real:
        count_on_real_rows(options.real, options.seeds)
    elif options.seeds:
        count_false_alarms(options.seeds)


if __name__ == "__main__":
    main()
