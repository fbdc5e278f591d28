"""Names of tasks and the order in which they follow each other."""

from typing import Any

import pytest
from ruamel.yaml import YAML

from lamol_core.config.task_names import NO_NAME
from tests.config.blocks import find_problems, sequence
from tests.messages import names


@pytest.mark.parametrize(
    ("after", "cycle"),
    [
        ({"a": "a"}, "a -> a"),
        ({"a": "b", "b": "a"}, "a -> b -> a"),
        ({"x": "base", "a": "c", "b": "a", "c": "b", "d": "a"}, "a -> c -> b -> a"),
    ],
)
def test_cycles_are_shown_once(after: dict[str, str], cycle: str) -> None:
    problems = find_problems(sequence(**after))
    assert len(problems) == 1
    assert cycle in problems[0] and names(problems[0], "base")


def test_two_cycles_are_two_problems() -> None:
    assert len(find_problems(sequence(a="b", b="a", c="d", d="c"))) == 2


@pytest.mark.parametrize(
    "name", ["base", "average", "Home", "a b", "a.b", "-a", "a/b", "é", "x" * 65]
)
def test_names_that_would_not_do_as_folders_are_refused(name: str) -> None:
    problems = find_problems(sequence(**{name: "base"}))
    assert any(problem.startswith(f"tasks.{name}:") for problem in problems)


@pytest.mark.parametrize("name", ["a", "0", "sst2", "a-b_c", "x" * 64])
def test_names_that_do(name: str) -> None:
    assert find_problems(sequence(**{name: "base"})) == []


def test_a_name_with_a_line_feed_at_its_end_is_refused() -> None:
    assert find_problems(sequence(**{"home\n": "base"})) != []


@pytest.mark.parametrize("tasks", [{}, [], None, "home", {"a": None}, {"a": {"after": ["base"]}}])
def test_odd_task_blocks_are_problems_not_bugs(tasks: Any) -> None:
    assert find_problems({"tasks": tasks}) != []


def test_a_file_without_tasks_says_so() -> None:
    (problem,) = find_problems({})
    assert problem.startswith("tasks:")


@pytest.mark.parametrize("name", ["2024", "1e3", "2024-01-01", "true", "null", "0x1f", "0.5"])
def test_a_name_that_yaml_reads_as_no_text_is_to_be_quoted(name: str) -> None:
    """By hand, a name is easily written without quotes: as a key, after `after`, in a `where`."""
    yaml, block = YAML(typ="safe"), "{after: base, source: {kind: demo, task: home}}"
    (problem,) = find_problems(yaml.load(f"tasks: {{{name}: {block}}}"))
    read = next(iter(yaml.load(f"{{{name}: 1}}")))
    assert problem.startswith(f"tasks.{read}: ") and names(problem, "quotes")
    assert not names(problem, NO_NAME)
    where = f"{{after: base, source: {{kind: demo, task: home, where: {{{name}: x}}}}}}"
    (problem,) = find_problems(yaml.load(f"tasks: {{a: {where}}}"))
    assert problem.startswith(f"tasks.a.source.where.{read}: ") and names(problem, "quotes")
    if read is not None:
        after = f"a: {block}, b: {block.replace('base', name)}"
        (problem,) = find_problems(yaml.load(f"tasks: {{{after}}}"))
        assert problem.startswith("tasks.b.after: ") and names(problem, "quotes")


@pytest.mark.parametrize("name", ["no", "on", "y", "off", "e3"])
def test_a_name_that_only_yaml_1_1_reads_as_no_text_does_without_quotes(name: str) -> None:
    text = f"tasks: {{{name}: {{after: base, source: {{kind: demo, task: home}}}}}}"
    assert find_problems(YAML(typ="safe").load(text)) == []
