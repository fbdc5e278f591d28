"""`lamol check`: report everything that is wrong with a sequence before it runs for hours."""

from pathlib import Path
from typing import Annotated

import typer

from lamol_core.config.loading import params_error, read_params
from lamol_core.parameters import Params
from lamol_core.preflight.check import check_all
from stages.console import print_json, print_rows, say
from stages.guard import guarded, run_as_module, spoken
from stages.options import DebugOption, JsonOption, SetOption

EstimateOption = Annotated[
    bool,
    typer.Option(
        "--estimate",
        help="Estimate time, memory and disk, by a few steps or one block of the model.",
    ),
]


@guarded
def check(
    overrides: SetOption = None,
    estimate: EstimateOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    data = read_params(Path("params.yaml"), overrides or ())
    found = check_all(data, Path(), config_alone=estimate)
    expected = None
    if estimate and not found.problems:
        from lamol_core.preflight.estimate import estimate_sequence  # loads torch

        say("check: measures the speed, by a few steps or, of a large model, by one of its blocks")
        with spoken(lambda message: None):  # what trying a few steps logs is no news
            expected = estimate_sequence(Params.model_validate(data), Path())
        for note in expected.notes:
            say(f"check: {note}")
    if json:
        print_json(found.as_dict() | ({"estimate": expected.as_dict()} if expected else {}))
    if found.problems:
        raise params_error(found.problems, bool(overrides))
    for hint in found.hints:
        say(f"check: {hint}")
    if not json:
        method = Params.model_validate(data).chosen
        say(f"check: {method.name}: {method.privacy}")
        notes = dict.fromkeys(note for one in found.tasks for note in one.notes)
        for note in notes:  # once, with all its tasks
            tasks = ", ".join(one.task for one in found.tasks if note in one.notes)
            say(f"check: {tasks}: {note}")
        print_rows([one.row() for one in found.tasks])
        if expected is not None:
            print_rows([one.row() for one in expected.tasks])
            if parts := expected.memory_rows():
                print_rows(parts)
            say(f"check: {expected.sentence}")
        for sentence in found.missing:
            say(f"check: missing yet: {sentence}")
        if not found.missing:
            say("check: nothing is wrong; `dvc repro` runs the sequence.")


if __name__ == "__main__":
    run_as_module("check")
