"""Try a foreign model in a child process: all that loading it does, but for reading weights."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lamol_core.errors import ConfigError
from lamol_core.machine import memory_bytes
from lamol_core.models.files import CONFIG, GENERATION, TOKENIZER_CONFIG
from lamol_core.models.foreign import TEXTS, foreign, try_out
from lamol_core.text.chat import ChatTemplate
from lamol_core.text.chat_pieces import find_pieces
from lamol_core.text.params import TextFormat
from lamol_core.text.plain import TOKENIZER

NO_MODEL = "no causal language model can be made of it"
LOCAL: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}
Shapes = Mapping[str, Sequence[int]]


def probe(
    folder: Path, where: str, shapes: Shapes | None, texts: Sequence[str], text_format: TextFormat
) -> None:
    """Raises ConfigError where a model can't be made of a folder's files, its weights have other
    shapes, its tokenizer can't encode and decode `texts` and a few more, or rows that are chats
    can't be laid out in its template.

    `where`: how an error names the folder. `shapes`: of the stored tensors, by name; None where
    they are not at hand."""
    try_out(_steps(folder, where, shapes, (*TEXTS, *texts), text_format))


def _steps(
    folder: Path, where: str, shapes: Shapes | None, texts: Sequence[str], text_format: TextFormat
) -> Iterator[str]:
    yield f"{where}/{CONFIG}: {NO_MODEL}"
    torch.set_num_threads(1)  # a fork has none of its parent's threads
    model = without_weights(AutoConfig.from_pretrained(folder, **LOCAL))
    if shapes is not None:
        yield f"{where}: its weights do not fit {CONFIG}"
        _require_shapes(model, shapes, where)
    require_memory(model, where)
    if (folder / GENERATION).exists():
        yield f"{where}/{GENERATION}: can't be read, or can't be written again"
        GenerationConfig.from_pretrained(folder, local_files_only=True).validate(strict=True)
    yield from _tokenizer_steps(folder, where, texts, text_format)


def _tokenizer_steps(
    folder: Path, where: str, texts: Sequence[str], text_format: TextFormat
) -> Iterator[str]:
    file, settings = (
        f"{where}/{name}" if (folder / name).exists() else where
        for name in (TOKENIZER, TOKENIZER_CONFIG)
    )
    yield f"{file}: no tokenizer can be read from it"
    try:
        with foreign(f"{settings}: no tokenizer can be loaded"):
            tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
    except ConfigError:
        # which of both is broken is asked only now: to read a large file again takes seconds
        if (folder / TOKENIZER).exists():
            Tokenizer.from_file(str(folder / TOKENIZER))
        raise
    if not tokenizer.is_fast:
        raise ConfigError(
            f"{where}: its tokenizer ({type(tokenizer).__name__}) can't be saved as {TOKENIZER}, "
            "which is needed. Name a model whose tokenizer can."
        )
    yield f"{file}: the tokenizer can't encode and decode a short text"
    for text in texts:
        tokenizer.decode(tokenizer(text)["input_ids"])
    if text_format == "chat":
        yield from _template_steps(tokenizer, where)


def _template_steps(tokenizer: PreTrainedTokenizerBase, where: str) -> Iterator[str]:
    yield f"{where}: its chat template can't be rendered"
    ChatTemplate(tokenizer, find_pieces(tokenizer))


def try_template(tokenizer: PreTrainedTokenizerBase, where: str) -> None:
    """Raises ConfigError where rows can't be laid out in a tokenizer's chat template, which may
    never end: a child process tries it."""
    try_out(_template_steps(tokenizer, where))


def read_shapes_of(folder: Path, where: str) -> PreTrainedModel:
    """The model of a folder's config.json, with shapes alone: neither weights nor a tokenizer need
    be there. Raises ConfigError where none can be made, which a child process tries first."""

    def steps() -> Iterator[str]:
        yield f"{where}/{CONFIG}: {NO_MODEL}"
        torch.set_num_threads(1)
        read()

    def read() -> PreTrainedModel:
        return without_weights(AutoConfig.from_pretrained(folder, **LOCAL))

    try_out(steps())
    with foreign(f"{where}/{CONFIG}: {NO_MODEL}"):
        return read()


def try_tokenizer(folder: Path, where: str, text_format: TextFormat = "tokens") -> None:
    """Raises ConfigError where no tokenizer can be loaded from a folder, or rows that are chats
    can't be laid out in its template: a child process tries it."""
    try_out(_tokenizer_steps(folder, where, TEXTS, text_format))


def read_tokenizer(folder: Path, where: str, text_format: TextFormat) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, after `try_tokenizer`, which raises ConfigError."""
    try_tokenizer(folder, where, text_format)
    with foreign(f"{where}: no tokenizer can be loaded"):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, **LOCAL)
        return tokenizer


def without_weights(config: Any) -> PreTrainedModel:
    """The causal language model of a configuration, with shapes alone."""
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            config, dtype=torch.float32, trust_remote_code=False
        )
    return model


def require_memory(model: PreTrainedModel, where: str) -> None:
    """Raises ConfigError where the model in fp32 alone is larger than this machine's memory."""
    wanted = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    if (present := memory_bytes()) is not None and wanted > present:
        raise ConfigError(
            f"{where}/{CONFIG}: makes a {type(model).__name__} of {wanted / 1e9:,.0f} GB, and "
            f"this machine has {present / 1e9:,.0f} GB. Name a smaller model."
        )


def _require_shapes(model: PreTrainedModel, shapes: Shapes, where: str) -> None:
    """Raises ConfigError where a stored tensor has another shape than the model's.

    transformers compares them, because it renames and merges tensors of some models on the way."""
    stored = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    loaded: Any = type(model).from_pretrained(
        None, config=model.config, state_dict=stored, device_map="meta", dtype=torch.float32,
        ignore_mismatched_sizes=True, output_loading_info=True,
    )  # fmt: skip
    _, loading = loaded
    for name, is_stored, is_wanted in sorted(loading["mismatched_keys"], key=lambda key: key[0]):
        raise ConfigError(
            f"{where}/{CONFIG}: makes tensor {name} {tuple(is_wanted)}, but it is stored as "
            f"{tuple(is_stored)}. Save a model and its own configuration to the same folder."
        )
    require_all(loading, where)


def require_all(loading: Mapping[str, Any], where: str) -> None:
    """Raises ConfigError where a model's files lack weights. transformers would make them up.

    `loading`: what `from_pretrained` tells of it."""
    if missing := sorted(loading["missing_keys"]):
        raise ConfigError(
            f"{where}: {len(missing)} weights of the causal language model are missing "
            f"({missing[0]}). Name a folder saved with its language head."
        )
