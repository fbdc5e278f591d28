"""Continual learning of language models with LAMOL_KD: the library that the stages call."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lamol-kd")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0+unknown"
