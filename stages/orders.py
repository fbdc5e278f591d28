"""`lamol orders`: write several orders of the tasks as one tree, so that a shared beginning is
trained once.
"""

from pathlib import Path
from typing import Annotated

import typer

from lamol_core.artifacts.atomic import atomic_path
from lamol_core.artifacts.layout import Layout
from lamol_core.config.loading import read_params, round_trip_yaml
from lamol_core.data import orders as task_orders
from lamol_core.data.tombstones import forgotten_under_another_name, read_records
from lamol_core.errors import ConfigError, UsageError, bulleted
from lamol_core.parameters import load_params
from stages.console import say
from stages.guard import guarded, run_as_module
from stages.options import DebugOption

OrdersArgument = Annotated[list[str] | None, typer.Argument(help="Orders, each as task,task,task.")]
RandomOption = Annotated[
    int | None,
    typer.Option(min=1, help="Draw N orders at random; the first is that of params.yaml."),
]
SeedOption = Annotated[int, typer.Option(help="Seed of --random.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the tree, change nothing.")]


@guarded
def orders(
    wanted: OrdersArgument = None,
    random: RandomOption = None,
    seed: SeedOption = 0,
    dry_run: DryRunOption = False,
    debug: DebugOption = False,
) -> None:
    path = Path("params.yaml")
    params = load_params(path, ())  # all of it must be valid before it is rewritten
    blocks = read_params(path)["tasks"]
    tasks = task_orders.distinct_tasks(blocks)
    if bool(wanted) == (random is not None):
        raise UsageError("orders: name orders, or ask for --random N of them.")
    chosen = [order.split(",") for order in wanted or ()]
    if random is not None:
        chosen = task_orders.random_orders(task_orders.listed_order(blocks), random, seed)
    tree = task_orders.order_tree(tasks, chosen)
    records = read_records(Layout().all_forgotten)
    sources = {name: params.task(task_orders.original_name(name, tree)).source for name in tree}
    problems = [
        problem
        for name, source in sources.items()
        if (problem := forgotten_under_another_name(name, source, records, Path()))
    ]
    if problems:
        raise ConfigError(f"orders: params.yaml stays as it is:{bulleted(problems)}")
    yaml = round_trip_yaml()
    document = yaml.load(path.read_text(encoding="utf-8"))
    document["tasks"] = tree
    if dry_run:
        for name, task in tree.items():
            typer.echo(f"{name}: after {task['after']}")
    else:
        with atomic_path(path) as scratch, scratch.open("w", encoding="utf-8") as stream:
            yaml.dump(document, stream)
    total = sum(map(len, chosen))
    say(f"orders: {len(chosen)} orders of {total} tasks in all need {len(tree)} trainings")


if __name__ == "__main__":
    run_as_module("orders")
