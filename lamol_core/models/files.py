"""Which files of a model's folder are read, and what is wrong with them, without a library that
loads models.

Weights are read from `model.safetensors`, or from the files that its index lists: plain names of
safetensors files, in the folder or in one below it that really lies there. A file itself can be a
link: the hub's cache, DVC and people with two disks lay out folders so.
"""

import json
import math
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from lamol_core.config.paths import begins_with, pointer_problem
from lamol_core.errors import ConfigError
from lamol_core.models.foreign import foreign
from lamol_core.models.gguf_header import count_gguf_weights
from lamol_core.text.plain import TOKENIZER

CONFIG, GENERATION = "config.json", "generation_config.json"
TOKENIZER_CONFIG, ADAPTER_CONFIG = "tokenizer_config.json", "adapter_config.json"
WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
OBJECTS = (
    CONFIG, GENERATION, TOKENIZER, TOKENIZER_CONFIG, "special_tokens_map.json",
    "added_tokens.json", "vocab.json",
)  # fmt: skip
TOKENIZERS = (TOKENIZER, TOKENIZER_CONFIG, "tokenizer.model", "vocab.json")
"""A tokenizer is loaded from one or more of these files."""
NOT_READ = (".bin", ".gguf", ".h5", ".msgpack", ".onnx", ".pt", ".pth")
"""Ends of files of weights for other libraries: whatever state they are in, they do no harm."""
Part = Literal["weights", "tokenizer"]
PARTS: tuple[Part, ...] = ("weights", "tokenizer")
MOST_PER_BYTE = 2
"""Numbers: the smallest that safetensors has are of 4 bits."""
MOST_BYTES = 100_000_000
"""Of a JSON file, and of the header of a safetensors file (as its library has it)."""


def folder_problems(folder: Path, may_lack: Collection[Part] = ()) -> list[str]:
    """Return a sentence for each problem that the files of a model's folder show, with a path.

    `may_lack`: parts whose files need not be there, such as the weights of a model of the hub that
    are not fetched yet."""
    if folder.is_dir() and not (folder / CONFIG).exists():
        return [f"{folder} has no {CONFIG}. Name a folder that `save_pretrained` wrote."]
    try:
        with foreign(f"{folder}: can't be read"):
            for file in (*folder.glob("[!.]*"), *folder.glob("additional_chat_templates/*")):
                if file.is_file() and file.suffix in NOT_READ:
                    continue
                if not file.is_dir():
                    require_plain_file(file)
            for name in OBJECTS:
                if (folder / name).exists():
                    read_object(folder / name)
            config = read_object(folder / CONFIG)
    except ConfigError as error:
        return [str(error)]
    problems = [f"{folder} {problem}" for problem in _config_problems(config)]
    absent = absent_parts(folder)
    try:
        if "weights" not in absent:
            for file in weight_files(folder):
                read_shapes(file)
        elif "weights" in may_lack and (folder / INDEX).exists():
            _names_in(folder / INDEX)
    except ConfigError as error:
        problems.append(str(error))
    problems += [sentence for part, sentence in absent.items() if part not in may_lack]
    if (folder / ADAPTER_CONFIG).exists():
        problems.append(f"{folder} holds an adapter. Merge it into its model and save that.")
    return problems


def absent_parts(folder: Path) -> dict[Part, str]:
    """A sentence for each part of a model whose files are not all in its folder."""
    absent: dict[Part, str] = {}
    try:
        weight_files(folder)
    except ConfigError as error:
        absent["weights"] = str(error)
    if not any((folder / name).is_file() for name in TOKENIZERS):
        advice = "Save it there: `tokenizer.save_pretrained`."
        absent["tokenizer"] = f"{folder} has no tokenizer ({TOKENIZER}). {advice}"
    return absent


def gguf_problems(path: Path) -> list[str]:
    """Return a sentence for each problem that a GGUF file shows, with its path."""
    try:
        require_plain_file(path)
        if not begins_with(path, b"GGUF"):
            return [f"{path} does not begin as a GGUF file."]
        count_gguf_weights(path)
    except ConfigError as error:
        return [str(error)]
    return []


def has_chat_template(path: Path) -> bool:
    """Whether a model's folder or GGUF file seems to hold a chat template."""
    if path.is_file():
        with path.open("rb") as file:
            return b"tokenizer.chat_template" in file.read(MOST_BYTES)
    with suppress(ConfigError):
        told = path / TOKENIZER_CONFIG
        in_config = told.exists() and "chat_template" in read_object(told)
        return in_config or any(path.glob("chat_template*"))
    return False


def require_plain_file(path: Path) -> None:
    """Raises ConfigError where a path, or what it links to, is no file with bytes of its own: a
    FIFO, a device, a pointer of Git LFS."""
    with foreign(f"{path}: can't be read"):
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{path} is no regular file.")
        if problem := pointer_problem(path):
            raise ConfigError(problem)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises ConfigError where there is none."""
    require_plain_file(path)
    with foreign(f"{path}: no JSON object can be read from it"):
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES // 10**6} MB")
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
    return content


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that hold a model's weights. Raises ConfigError where there are none,
    or where their index names others."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / INDEX
    if not index.exists():
        advice = f"Name a folder with {WEIGHTS}."
        if any(folder.glob("*.bin")):
            advice = (
                "Weights in .bin files (pickles) are not read. If you trust them, load the model "
                "with transformers and save it by `save_pretrained`."
            )
        raise ConfigError(f"{folder} has no weights in safetensors. {advice}")
    files = [folder / name for name in _names_in(index)]
    with foreign(f"{index}: can't be followed"):
        for file in files:
            if not file.parent.resolve().is_relative_to(folder.resolve()):
                raise ConfigError(f"{index}: {file.name!r} lies outside the folder.")
            if not file.is_file():
                raise ConfigError(f"{file}: missing, but {index.name} names it.")
    return files


def _names_in(index: Path) -> list[str]:
    """The files that an index of weights names, as paths below its folder."""
    content = read_object(index)
    names = content.get("weight_map")
    if not isinstance(content.get("metadata"), dict) or not isinstance(names, dict) or not names:
        raise ConfigError(f"{index}: lists no weights (`weight_map`, with `metadata`).")
    for name in names.values():
        path = PurePosixPath(name if isinstance(name, str) else "")
        if path.is_absolute() or ".." in path.parts or "\0" in str(path):
            raise ConfigError(f"{index}: names {name!r}, which lies outside the folder.")
        if path.suffix != ".safetensors":
            raise ConfigError(f"{index}: names {name!r}, which is no safetensors file.")
    return sorted(set(names.values()))


def read_shapes(path: Path) -> dict[str, list[int]]:
    """The shape of each tensor in a safetensors file, by its header alone. Raises ConfigError where
    the header is broken or does not fit the file."""
    require_plain_file(path)
    with foreign(f"{path}: its header can't be read"), path.open("rb") as stream:
        size = path.stat().st_size
        length = int.from_bytes(stream.read(8), "little")
        if length > min(size - 8, MOST_BYTES):
            raise ValueError("the file is shorter than its header says")
        header = json.loads(stream.read(length))
        tensors = {name: header[name] for name in header if name != "__metadata__"}
        for name, tensor in tensors.items():
            begin, end = tensor["data_offsets"]
            if not 0 <= begin <= end <= size - 8 - length:
                raise ValueError(f"tensor {name!r} does not lie within the file")
            num = math.prod(tensor["shape"])
            if min(tensor["shape"], default=0) < 0 or num > MOST_PER_BYTE * (end - begin):
                raise ValueError(f"tensor {name!r} has another size than its shape")
        return {name: tensor["shape"] for name, tensor in tensors.items()}


def _config_problems(config: dict[str, Any]) -> Iterator[str]:
    heads = config.get("architectures")
    heads = heads if isinstance(heads, list) else []
    if config.get("is_encoder_decoder"):
        yield "is an encoder and a decoder. Name a causal language model (decoder only)."
    elif (
        heads
        and not config.get("is_decoder")
        and all(str(head).endswith("ForMaskedLM") for head in heads)
    ):
        yield "is a masked language model. Name a causal one."
    if (quantised := config.get("quantization_config")) is not None:
        how = quantised.get("quant_method", "") if isinstance(quantised, dict) else ""
        yield (
            f"has quantised weights ({CONFIG}: quantization_config, {how}): they can't be trained. "
            "Name the model that they were made from."
        )
    if config.get("transformers_weights") is not None:
        yield f"names other weights ({CONFIG}: transformers_weights). Only {WEIGHTS} is read."
