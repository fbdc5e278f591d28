"""`lamol mix T`: write the training set of task T, which refers to real and pseudo rows by id."""

from lamol_core.artifacts.spec import MIX
from lamol_core.artifacts.tables import write_table
from lamol_core.data.gate import pass_gate
from lamol_core.data.mixing import mix_rows
from lamol_core.data.params import MixParams
from lamol_core.data.task_data import TaskData
from lamol_core.methods.registry import METHODS
from stages.guard import run_as_module
from stages.runtime import StageRun, stage


@stage("mix")
def mix(run: StageRun) -> None:
    data, method = TaskData.read(run), METHODS[run.method]
    passed = pass_gate(run, run.block("mix", MixParams), data.earlier)
    if method.mixes_real_rows and len(data.earlier) == 1:  # once in a sequence
        run.say(f"{method.name}: {method.privacy}")
    real = data.rows_to_mix(method.mixes_real_rows)
    rows = mix_rows(real, passed.samples, run.task, run.seed)
    run.hashes["train.parquet"] = data.hashes["train.parquet"]
    parameters = {"seed": run.seed, "method": method.name, "flagged_dropped": passed.num_dropped}
    write_table(run.path(MIX), MIX, rows, run.provenance(parameters))
    num_pseudo = len(rows) - len(real)
    dropped = f" ({passed.num_dropped} flagged ones left out)" if passed.num_dropped else ""
    failed = f" (their audit failed: {passed.failed})" if passed.failed else ""
    run.say(f"{len(real)} real + {num_pseudo} pseudo{failed}{dropped} -> {run.path(MIX)}")
    run.show({"real": len(real), "pseudo": num_pseudo, "flagged_dropped": passed.num_dropped})


if __name__ == "__main__":
    run_as_module("mix")
