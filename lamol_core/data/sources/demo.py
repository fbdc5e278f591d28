"""The bundled demo corpus: five small tasks, written by scripts/make_demo_corpus.py."""

import json
from importlib import resources

from lamol_core.errors import ConfigError

DEMO_TASKS: tuple[str, ...] = ("home", "travel", "sentiment", "slots", "query")
DEMO_SPLITS: tuple[str, ...] = ("train", "dev", "test")


def demo_rows(task: str, split: str) -> list[dict[str, str]]:
    """The rows {"input", "target"} of a demo task's split, in file order.
    Raises ConfigError for a task or split that the corpus does not have."""
    for kind, name, known in (("task", task, DEMO_TASKS), ("split", split, DEMO_SPLITS)):
        if name not in known:
            raise ConfigError(
                f"The demo corpus has no {kind} {name!r}. Use one of {', '.join(known)}."
            )
    path = resources.files("lamol_core.data") / "demo_corpus" / f"{task}.{split}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
