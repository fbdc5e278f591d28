"""Errors that a user can cause or meet. Each class has an exit code; any other exception is a bug
(1).
"""

import difflib
from collections.abc import Iterable, Sequence
from importlib.util import find_spec


class LamolError(Exception):
    """A sentence for the user: what is wrong, where, and what to do next."""

    exit_code = 1


class ConfigError(LamolError):
    """params.yaml, an option or the user's data is wrong."""

    exit_code = 3


class UsageError(ConfigError):
    """The command line is wrong: an option is missing or malformed."""

    exit_code = 2


class ArtifactError(LamolError):
    """A file that a stage reads is missing, incomplete or not what its manifest says."""

    exit_code = 4


class DivergedError(LamolError):
    """Training met a loss or gradient that is not finite."""

    exit_code = 5


class GenerationError(LamolError):
    """Too few valid pseudo-samples within the allowed number of attempts, or an audit that failed
    its gate."""

    exit_code = 5


def bulleted(problems: Iterable[str]) -> str:
    """The problems, each on a line of its own. The text follows a sentence that ends in a colon."""
    return "".join(f"\n  - {problem}" for problem in problems)


def numbered(problems: Sequence[str]) -> str:
    """How many problems there are, and each on a line of its own."""
    plural = "" if len(problems) == 1 else "s"
    return f"{len(problems)} problem{plural}:{bulleted(problems)}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint, " (did you mean 'x'?)", with the known name most similar to `name`; "" without
    one."""
    close = nearest(name, known)
    return f" (did you mean {close!r}?)" if close else ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most similar to an unknown one; None where none is similar."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return close[0] if close else None


def missing_package(package: str) -> str | None:
    """A sentence with the command that installs a package of an extra, whose name is the package's;
    None where it is installed."""
    if find_spec(package) is not None:
        return None
    return f"the package {package} is not installed. Run: pip install 'lamol-kd[{package}]'"


def one_line(error: BaseException) -> str:
    """Another library's error message on one line."""
    return " ".join(str(error).split())


def first_line(error: Exception) -> str:
    """The first line of another library's error message, without a full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
