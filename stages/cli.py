"""The command `lamol`. Each subcommand is a file in this folder and is imported when it is
called.
"""

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from lamol_core import __version__

COMMANDS: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("commands.toml").read_text(encoding="utf-8")
)
"""Every command with its help, by panel of `lamol --help`. Each key is an example call."""
STAGES = "Stages, in the order dvc runs them"
LATE = [stage for example in COMMANDS[STAGES] if (stage := example.split()[0]) != "report"]
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
                self.commands[name] = TyperCommand(name, help=text, rich_help_panel=panel)

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
    help="Teach a language model one task after another without the old tasks' data (LAMOL_KD).\n\n"
    f"Example: lamol {next(iter(COMMANDS['A sequence']))}, then `dvc repro` in DIR.",
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
