"""Which of our files a stage's output can depend on: the closure of its imports, read as text."""

from __future__ import annotations

import ast
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("lamol_core", "stages")


def closure(start: Path, apart_from: Collection[str] = ()) -> set[Path]:
    """Every file of ours that `start` imports, at any depth and inside functions too, but for the
    files and folders `apart_from` and what these import.

    Imports under `if TYPE_CHECKING` do nothing at run time and do not count.
    """
    exempt = [ROOT / name for name in apart_from]
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        file = waiting.pop()
        if file not in found and not any(file.is_relative_to(one) for one in exempt):
            found.add(file)
            waiting += imported_files(file)
    return found


def imported_files(file: Path) -> list[Path]:
    files: list[Path] = []
    for node in _executed(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            files += _files(node.module)
            for alias in node.names:
                files += _files(f"{node.module}.{alias.name}", exact=True)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                files += _files(alias.name)
    return files


def _executed(node: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        found.append(child)
        found += _executed(child)
    return found


def _files(module: str, exact: bool = False) -> list[Path]:
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return []
    files = []
    path = ROOT.joinpath(*parts)
    if path.with_suffix(".py").is_file():
        files.append(path.with_suffix(".py"))
    elif (path / "__init__.py").is_file() and not exact:
        files.append(path / "__init__.py")
    elif not exact:
        raise AssertionError(f"{module}: no file for it")
    return files
