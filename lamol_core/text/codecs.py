"""Load the codec of a checkpoint, which knows how its rows become token sequences."""

from pathlib import Path

from transformers import AutoTokenizer

from lamol_core.text.chat import ChatCodec
from lamol_core.text.chat_pieces import ChatPieces
from lamol_core.text.tokenizer import TextCodec


def load_codec(checkpoint: Path) -> TextCodec:
    """The codec of a checkpoint: a ChatCodec where the pieces of a chat template lie beside its
    weights. Raises ArtifactError where they are broken."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    pieces = ChatPieces.read(checkpoint)
    return TextCodec(tokenizer) if pieces is None else ChatCodec(tokenizer, pieces)
