"""The command `lamol`. Each subcommand is a file in this folder and is imported when it is
called.
"""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from lamol_core import __version__

COMMANDS = {
    "A sequence": {
        "init DIR --task news=news.csv --task mails=mails/": "Start a new sequence: writes "
        "params.yaml, dvc.yaml and .dvcignore, and sets up DVC.",
        "orders banking,travel,kitchen travel,banking,kitchen": "Rewrite `tasks` of params.yaml as "
        "a tree of several orders, so that shared beginnings are learnt once.",
        "check --estimate": "Read params.yaml and every source, and report all problems at once.",
        "compare --out comparison": "Compare methods: means, spreads and 95 % intervals over seeds "
        "and orders of tasks.",
        "samples TASK --verdict flagged --format csv": "Show the pseudo-samples of earlier tasks "
        "that TASK is learnt with, and what the audit says of them.",
        'ask "do i need a visa for brazil"': "Answer inputs of any task learnt so far with the "
        "last student, a line each.",
        "forget TASK --keep-held-out": "Remove a learnt task's rows from data/. What was learnt, "
        "and every later stage, stays.",
    },
    "Stages, in the order dvc runs them": {
        "backbone": "Prepare the backbone: runs/base/student.",
        "prepare TASK": "Read a task's source into data/TASK: train, dev and test rows.",
        "snapshot TASK": "Freeze the predecessor's student as runs/TASK/teacher (links, no second "
        "copy).",
        "generate TASK --set generate.topk=5": "Draw the pseudo-samples for a task: "
        "runs/TASK/pseudo.parquet.",
        "audit TASK": "Check the pseudo-samples drawn for a task: runs/TASK/audit.",
        "mix TASK": "Mix a task's real rows with the pseudo rows that pass the gate: "
        "runs/TASK/mix.parquet.",
        "train TASK --set train.epochs=3": "Train a task's student: runs/TASK/student, state and "
        "train_log.csv.",
        "evaluate TASK --json": "Score a student on every task up to TASK: runs/TASK/metrics.json, "
        "predictions.parquet.",
        "report --compare ../finetune": "Summarise all tasks: reports/summary.json, index.html and "
        "plots.",
    },
}
"""Every command with its help, by panel of `lamol --help`. Each key is an example call."""
LATE = [example.split()[0] for example in list(COMMANDS.values())[1]][:-1]
"""Stages whose module is imported after the task and params.yaml were checked. `report` is not one:
it has an option of its own."""


class Commands(TyperGroup):
    """Lists all commands by their help texts. A command's module is imported only when it is
    called."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        for panel, commands in COMMANDS.items():
            for example, text in commands.items():
                name = example.split()[0]
                text = f"{text}\n\nExample: lamol {example.replace('TASK', 'travel')}"
                stub = TyperCommand(name, help=text, rich_help_panel=panel)
                self.commands[name] = stub

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in self.commands:
            self.commands[args[0]] = _load(args[0], str(self.commands[args[0]].help))
        return super().resolve_command(ctx, args)


def _load(name: str, text: str) -> Any:
    def module() -> Any:
        return getattr(import_module(f"stages.{name}"), name)

    if name in LATE:
        from stages.runtime import stage_command  # not for `lamol --help`: it loads pyarrow

        command = stage_command(name, lambda: module().body)
    else:
        command = module()
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name, help=text)(command)
    return typer.main.get_command(alone)


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Continual learning of language models that trains on no old data (LAMOL_KD). "
    "`dvc repro` runs a whole sequence; each command below runs one stage of it by hand.",
    epilog="Exit codes: 0 done, 2 usage, 3 configuration or data, 4 corrupt or missing artefact, 5 "
    "training diverged, generation failed, or an audit did (mix.gate: fail), 130 and 143 stopped "
    "from outside, 1 a bug in lamol.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
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
