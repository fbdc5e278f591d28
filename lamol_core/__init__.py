"""Continual learning of language models by LAMOL_KD: the library beneath the pipeline's stages."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lamol-kd")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0+unknown"
