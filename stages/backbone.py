"""`lamol backbone`: make the first model, with all reserved tokens, before any task."""

from lamol_core.artifacts.manifest import write_folder
from lamol_core.artifacts.spec import AUDIT, DATA, JUDGE, PSEUDO, STATE, STUDENT
from lamol_core.artifacts.tables import write_table
from lamol_core.config.loading import params_error
from lamol_core.data.gate import write_base_audit
from lamol_core.data.prepare import write_base
from lamol_core.models.params import BackboneParams
from lamol_core.preflight.backbone import backbone_problems
from lamol_core.text.params import TextParams
from stages.guard import run_as_module
from stages.runtime import StageRun, stage


@stage("backbone")
def backbone(run: StageRun) -> None:
    params, root = run.block("backbone", BackboneParams), run.layout.root
    text_format = run.block("text", TextParams).format
    if problems := backbone_problems(params, root):
        raise params_error(problems)
    from lamol_core.models.backbones import make_checkpoint  # loads torch

    run.cost.imported()
    made_of = run.provenance(params.made_of(text_format))
    model, tokenizer = make_checkpoint(run.path(STUDENT), params, root, text_format, made_of)
    # the artefacts before the first task are empty; their bytes do not depend on the code
    for artifact in (STATE, JUDGE):
        write_folder(run.path(artifact), artifact.kind)
    write_base(run.path(DATA))
    write_base_audit(run.path(AUDIT))
    write_table(run.path(PSEUDO), PSEUDO, [])
    room = "its chat template" if text_format == "chat" else f"room for {params.max_tasks} tasks"
    run.say(
        f"{type(model).__name__}, {model.num_parameters():,} parameters, "
        f"a vocabulary of {len(tokenizer):,} tokens, {room} -> {run.path(STUDENT)}"
    )
    run.show({"parameters": model.num_parameters(), "tokens": len(tokenizer)})


if __name__ == "__main__":
    run_as_module("backbone")
