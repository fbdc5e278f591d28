"""How an error ends a command."""

from __future__ import annotations

import errno

import pytest
import typer

from lamol_core.errors import ArtifactError, ConfigError, DivergedError
from stages.runtime import guarded

FULL = OSError(errno.ENOSPC, "No space left on device", "runs/a/student")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("params.yaml: wrong."), 3, "params.yaml: wrong."),
        (ArtifactError("gone."), 4, "gone."),
        (DivergedError("not finite."), 5, "not finite."),
        (FULL, 4, "runs/a/student: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "data/a"), 4, "data/a: Permission"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), 1, "FileNotFoundError"),
        (KeyError("tasks"), 1, "KeyError"),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_an_error_is_a_sentence_and_a_code(
    error: Exception, code: int, said: str, debug: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    @guarded
    def command(debug: bool) -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        command(debug=debug)
    assert ended.value.exit_code == code
    told = capsys.readouterr().err
    assert said in told and ("Traceback" in told) == debug


def test_a_reader_that_went_away_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    @guarded
    def command() -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(BrokenPipeError):  # which Typer ends quietly
        command()
    assert capsys.readouterr().err == ""
