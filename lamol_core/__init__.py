"""Continual learning of language models by LAMOL_KD: the library beneath the pipeline's stages."""

__version__ = "0.1.0"
