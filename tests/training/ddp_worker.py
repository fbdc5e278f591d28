"""Two steps of training in one of several processes; the first prints what came out as JSON,
a line for each number of rows."""

import json
import sys
from typing import Any

from accelerate import Accelerator

from lamol_core.methods.lamol_kd import LamolKd, LamolKdParams
from lamol_core.training.hidden_states import as_body
from lamol_core.training.params import TrainParams
from lamol_core.training.teacher.online import OnlineTeacher
from lamol_core.training.trainer import Trainer
from tests.fakes import make_rows, sharpen, tiny_llama

PARAMS = {"steps": 2, "batch_size": 8, "micro_batch_tokens": 64, "warmup_fraction": 0.0}
NAMES = ("loss", "grad_norm", "ce_qa", "ce_gen", "kl_qa", "kl_gen", "tokens")


def train_two_steps(accelerator: Accelerator, num_rows: int) -> dict[str, Any]:
    """The number of processes, the terms of every step, and the sum of all weights."""
    student, teacher = (sharpen(tiny_llama(), seed, 0.2) for seed in (0, 1))
    loss, params = LamolKd(LamolKdParams()).loss, TrainParams.model_validate(PARAMS)
    with as_body(student) as body, as_body(teacher) as teacher_body:
        trainer = Trainer(accelerator, body, OnlineTeacher(teacher_body), loss, params)
        log = trainer.train(make_rows(num_rows - 4, 4), 0)
    return {
        "processes": accelerator.num_processes,
        "log": [[row[name] for name in NAMES] for row in log],
        "weights": sum(p.double().abs().sum().item() for p in student.parameters()),
    }


if __name__ == "__main__":
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    for num_rows in sys.argv[1:]:
        result = train_two_steps(accelerator, int(num_rows))
        if accelerator.is_main_process:
            print(json.dumps(result))  # noqa: T201
    accelerator.end_training()
