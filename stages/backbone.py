"""`lamol backbone`: the first weights, with all reserved tokens, before any task is learnt."""

from __future__ import annotations

from stages.runtime import DebugOption, SetOption, guarded, open_params, run_alone


@guarded
def backbone(overrides: SetOption = None, debug: DebugOption = False) -> None:
    """Prepare the backbone: runs/base/student.

    Example: lamol backbone
    """
    from pathlib import Path

    from lamol_core.artifacts.kinds import PSEUDO
    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.manifest import Provenance
    from lamol_core.artifacts.tables import write_table
    from lamol_core.audit.gate import write_base_audit
    from lamol_core.config.blocks import BASE
    from lamol_core.data.prepare import write_base
    from lamol_core.data.sources.reading import read_texts
    from lamol_core.models.backbones import build_backbone
    from lamol_core.models.checkpoints import save_checkpoint, write_state
    from lamol_core.records import PSEUDO_SCHEMA
    from stages.console import say

    params = open_params(overrides).backbone
    layout = Layout()
    corpus = read_texts(params.nano.corpus, Path()) if params.kind == "nano" else []
    model, tokenizer = build_backbone(params, Path(), corpus)
    provenance = Provenance(parameters=params.model_dump(mode="json"))
    save_checkpoint(layout.student(BASE), model, provenance, tokenizer=tokenizer)
    write_state(layout.state(BASE), Provenance())
    write_base(layout.data(BASE))
    write_base_audit(layout.audit(BASE))
    write_table(layout.pseudo(BASE), PSEUDO, [], PSEUDO_SCHEMA, Provenance())
    say(
        f"backbone: {type(model).__name__}, {model.num_parameters():,} parameters, "
        f"{len(tokenizer):,} tokens, room for {params.max_tasks} tasks -> {layout.student(BASE)}"
    )


if __name__ == "__main__":
    run_alone(backbone)
