"""`lamol`: every command of the pipeline, one a file of this folder."""

from typing import Annotated

import typer

from stages.ask import ask
from stages.audit import audit
from stages.backbone import backbone
from stages.check import check
from stages.compare import compare
from stages.evaluate import evaluate
from stages.forget import forget
from stages.generate import generate
from stages.init import init
from stages.mix import mix
from stages.orders import orders
from stages.prepare import prepare
from stages.report import report
from stages.samples import samples
from stages.snapshot import snapshot
from stages.train import train

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Continual learning of language models that trains on no old data (LAMOL_KD). "
    "`dvc repro` runs a whole sequence; each command below runs one stage of it by hand.",
    epilog="Exit codes: 0 done, 2 usage, 3 configuration or data, 4 corrupt or missing artefact, 5 "
    "training diverged, generation failed, or an audit did (mix.gate: fail), 130 and 143 stopped "
    "from outside, 1 a bug of lamol's.",
)

SEQUENCE, PIPELINE = "A sequence", "Stages, in the order dvc runs them"
for command in (init, orders, check, compare, samples, ask, forget):
    app.command(rich_help_panel=SEQUENCE)(command)
for command in (backbone, prepare, snapshot, generate, audit, mix, train, evaluate, report):
    app.command(rich_help_panel=PIPELINE)(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from lamol_core import __version__

        typer.echo(f"lamol {__version__}")
        raise typer.Exit()


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Options of `lamol` itself."""


if __name__ == "__main__":
    app()
