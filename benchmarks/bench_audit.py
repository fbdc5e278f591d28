"""How long an audit takes, how it grows, and how often it is wrong about clean tables.

    python -m benchmarks.bench_audit [--rows 20000 200000] [--seeds 20]

As many real rows as pseudo ones, without the teacher, each size in a process of its own. Clean
tables are those of the tests: train, held-out and pseudo rows drawn on their own from one grammar,
200 each.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence

from benchmarks.harness import ROOT, say


def audit_rows(num_rows: int) -> None:
    """Audit a clean table of this size and tell the seconds of each check, and peak memory."""
    from lamol_core.audit.registry import build_checks
    from lamol_core.config import AuditParams
    from tests.audit.corpus import clean, decode

    audited = clean(size=num_rows)
    params = AuditParams()
    total = 0.0
    for check in build_checks(decode):
        started = time.perf_counter()
        check.run(audited, params)
        seconds = time.perf_counter() - started
        total += seconds
        say(f"  {check.name}: {seconds:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    say(f"{num_rows} pseudo rows against {num_rows} real ones: {total:.1f} s, {peak:.2f} GB")


def count_false_alarms(num_seeds: int) -> None:
    """Audit clean tables and tell how many had a verdict or flagged row of each check."""
    from lamol_core.audit.registry import build_checks
    from lamol_core.audit.run import audit_table
    from lamol_core.config import AuditParams
    from tests.audit.corpus import clean, decode

    verdicts: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    for seed in range(num_seeds):
        result = audit_table(clean(seed=seed), build_checks(decode), AuditParams())
        verdicts.update(one.check for one in result.findings if one.verdict != "pass")
        flagged.update(flag.check for flag in result.flags)
    for check in build_checks(decode):
        say(
            f"{check.name}: {verdicts[check.name]} of {num_seeds} clean tables not passed, "
            f"{flagged[check.name]} of {num_seeds * 200} rows flagged"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[20_000, 200_000])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        audit_rows(options.one)
        return
    for num_rows in options.rows:
        command = [sys.executable, "-m", "benchmarks.bench_audit", "--one", str(num_rows)]
        subprocess.run(command, cwd=ROOT, check=True)
    if options.seeds:
        count_false_alarms(options.seeds)


if __name__ == "__main__":
    main()
