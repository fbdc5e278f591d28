"""`lamol backbone`: the first weights, with all reserved tokens, before any task is learnt."""

from pathlib import Path

from lamol_core.config.task_names import BASE
from stages.runtime import StageRun, run_alone, stage


@stage("backbone")
def backbone(run: StageRun) -> None:
    """Prepare the backbone: runs/base/student.

    Example: lamol backbone
    """

    from lamol_core.artifacts.spec import PSEUDO
    from lamol_core.artifacts.tables import write_table
    from lamol_core.data.gate import write_base_audit
    from lamol_core.data.prepare import write_base
    from lamol_core.data.sources.registry import read_texts
    from lamol_core.models.backbones import build_backbone
    from lamol_core.models.checkpoints import save_checkpoint, write_state
    from lamol_core.models.params import BackboneParams

    params, layout = run.block("backbone", BackboneParams), run.layout
    corpus = read_texts(params.nano.corpus, Path()) if params.kind == "nano" else []
    model, tokenizer = build_backbone(params, Path(), corpus)
    made_of = run.provenance(params.model_dump(mode="json"))
    save_checkpoint(layout.student(BASE), model, made_of, tokenizer=tokenizer)
    # what stands before the first task is empty, and the same bytes whatever the code
    write_state(layout.state(BASE))
    write_base(layout.data(BASE))
    write_base_audit(layout.audit(BASE))
    write_table(layout.pseudo(BASE), PSEUDO, [])
    run.say(
        f"{type(model).__name__}, {model.num_parameters():,} parameters, "
        f"{len(tokenizer):,} tokens, room for {params.max_tasks} tasks -> {layout.student(BASE)}"
    )


if __name__ == "__main__":
    run_alone(backbone)
