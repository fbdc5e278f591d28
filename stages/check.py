"""`lamol check`: everything that is wrong with a sequence, before any hour is spent on it."""

from __future__ import annotations

from stages.runtime import DebugOption, JsonOption, SetOption, guarded, run_alone


@guarded
def check(
    overrides: SetOption = None, json: JsonOption = False, debug: DebugOption = False
) -> None:
    """Read params.yaml and every source, and report all problems at once.

    Example: lamol check
    """
    from pathlib import Path

    from lamol_core.config import Params
    from lamol_core.data.checking import check_sequence, describe_sequence
    from lamol_core.errors import ConfigError
    from lamol_core.params_file import read_params
    from stages.console import print_json, print_rows, say

    data = read_params(Path("params.yaml"), overrides or ())
    problems = check_sequence(data, Path())
    if json:
        print_json({"problems": problems})
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(f"params.yaml: {len(problems)} to mend:\n{listed}")
    if not json:
        print_rows(describe_sequence(Params.model_validate(data), Path()))
        say("check: nothing is wrong; `dvc repro` runs the sequence.")


if __name__ == "__main__":
    run_alone(check)
