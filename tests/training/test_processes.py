"""Two processes (gloo, CPU) take the same steps as one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator

from tests.training.ddp_worker import train_two_steps

pytestmark = [pytest.mark.slow, pytest.mark.long]
ROOT = Path(__file__).parent.parent.parent
NUM_ROWS = (16, 9)
"""Of nine rows the last batch of the epoch has one: a process has nothing of its own to do."""


def start(rank: int, world: int, port: int) -> subprocess.Popen[str]:
    env = os.environ | {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tests.training.ddp_worker", *map(str, NUM_ROWS)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=pipe, stderr=pipe)


def train_in_two_processes() -> list[dict[str, Any]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    workers = [start(rank, 2, port) for rank in range(2)]
    try:
        told = [worker.communicate(timeout=90) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    failed = [
        f"rank {rank}: {errors.strip()[-600:]}"
        for rank, (worker, (_, errors)) in enumerate(zip(workers, told, strict=True))
        if worker.returncode
    ]
    assert not failed, "\n\n".join(failed)
    return [json.loads(line) for line in told[0][0].splitlines() if line.startswith("{")]


def test_two_processes_take_the_steps_of_one(accelerator: Accelerator) -> None:
    for num_rows, two in zip(NUM_ROWS, train_in_two_processes(), strict=True):
        one = train_two_steps(accelerator, num_rows)
        assert (one["processes"], two["processes"]) == (1, 2)
        for alone, shared in zip(one["log"], two["log"], strict=True):
            assert shared == pytest.approx(alone, rel=1e-4)
        assert two["weights"] == pytest.approx(one["weights"], rel=1e-6)
