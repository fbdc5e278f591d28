"""Make a backbone's first model: a nano model with random weights, or a pretrained model."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download

from lamol_core.artifacts.manifest import Provenance
from lamol_core.config.hub import download_model, is_reachable
from lamol_core.config.paths import say_missing
from lamol_core.data.sources.registry import read_texts
from lamol_core.errors import ConfigError, missing_package
from lamol_core.models.checkpoints import save_checkpoint
from lamol_core.models.files import (
    absent_parts,
    folder_problems,
    gguf_problems,
    has_chat_template,
    read_shapes,
    weight_files,
)
from lamol_core.models.foreign import foreign
from lamol_core.models.gguf_header import count_gguf_weights
from lamol_core.models.nano import Pair, build_nano
from lamol_core.models.params import BackboneParams
from lamol_core.models.probe import (
    probe,
    read_tokenizer,
    require_all,
    require_memory,
    try_template,
    without_weights,
)
from lamol_core.models.reserve import end_with_turns, reserve_tokens
from lamol_core.text.chat import ChatTemplate
from lamol_core.text.chat_pieces import end_thinking, find_pieces
from lamol_core.text.params import TextFormat
from lamol_core.text.template import TaskPrompts

SMALL_FILES = ["*.json", "*.jinja", "*.model", "*.txt"]
"""What a model of the hub has beside its weights: its configuration and its tokenizer."""

READS_AHEAD = 1e-4
"""The limit for a causal model: a changed token may change the logits of earlier positions by
rounding only, by less than this share of the change at its own position."""


def make_checkpoint(
    out: Path, params: BackboneParams, root: Path, text_format: TextFormat, provenance: Provenance
) -> Pair:
    """Build a backbone and write its checkpoint; returns the model and its tokenizer. Raises
    ConfigError as `build_backbone` and `read_texts` do."""
    corpus = read_texts(params.nano.corpus, root) if params.kind == "nano" else []
    model, tokenizer = build_backbone(params, root, corpus, text_format)
    pieces = find_pieces(tokenizer) if text_format == "chat" else None
    save_checkpoint(out, model, provenance, tokenizer=tokenizer, pieces=pieces)
    return model, tokenizer


def build_backbone(
    params: BackboneParams, root: Path, corpus: list[str], text_format: TextFormat = "tokens"
) -> Pair:
    """Make the model (fp32, eval mode) and tokenizer of a backbone block, with reserved tokens
    added unless rows are chats.

    `corpus`: the texts that the nano backbone's tokenizer is trained on; other kinds ignore it.
    `root`: the folder of params.yaml. Raises ConfigError where the block names a missing model or
    one that is not causal, and for chats where its chat template does not fit."""
    if params.kind == "nano":
        return _prepare(*build_nano(params.nano, corpus), params, text_format)
    with foreign(f"{_at(params.path)}: it can't be prepared for training"):
        model, tokenizer = _prepare(
            *load_pretrained(params, root, text_format), params, text_format
        )
        _require_saved(model, tokenizer)
        return model, tokenizer


def _prepare(
    model: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    params: BackboneParams,
    text_format: TextFormat,
) -> Pair:
    _require_causal(model.eval(), _at(params.path))
    if text_format == "chat":
        template = ChatTemplate(tokenizer, find_pieces(tokenizer))
        end_thinking(tokenizer)
        end_with_turns(model, template.end)
    else:
        reserve_tokens(model, tokenizer, params)
    return model.eval(), tokenizer


def _at(path: object) -> str:
    return f"params.yaml: backbone.path: {path}"


def read_chat_template(
    params: BackboneParams, root: Path, prompts: TaskPrompts = TaskPrompts()
) -> ChatTemplate | None:
    """The chat template of an instruct model, whose weights are not read; None where the files of a
    local one are missing or broken, and for a model of the hub that has none. Of that the small
    files are fetched. Raises ConfigError where they or the tokenizer can't be loaded, or rows can't
    be laid out in its template."""
    path, where = params.local_path(root), _at(params.path)
    if path is None:
        if params.kind == "nano" or params.path is None:
            return None
        path = fetch_small_files(params.path, params.revision)
        if not has_chat_template(path):
            return None
    tokenizer: transformers.PreTrainedTokenizerBase
    if params.kind == "gguf":
        if gguf_problems(path):
            return None
        # not in a child: to read a large vocabulary from GGUF may take longer than it has
        with foreign(f"{where}: no tokenizer can be loaded"):
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                path.parent, gguf_file=path.name, local_files_only=True
            )
        try_template(tokenizer, where)
    elif folder_problems(path, may_lack=["weights"]):
        return None
    else:
        tokenizer = read_tokenizer(path, where, "chat")
    return ChatTemplate(tokenizer, find_pieces(tokenizer), prompts)


def load_pretrained(params: BackboneParams, root: Path, text_format: TextFormat) -> Pair:
    """Load a pretrained model and its tokenizer, with weights in fp32.

    The block names a model id of the hub, a folder that `save_pretrained` wrote, or a GGUF file.
    Only the hub needs the network. Raises ConfigError where nothing can be loaded, and for chats
    where its chat template does not fit."""
    if params.path is None:
        raise ConfigError(f"params.yaml: backbone.path: missing, kind {params.kind!r} needs it.")
    texts = params.ans_text, params.gen_text
    path = params.local_path(root)
    if path is None:
        return _load_from_the_hub(params.path, params.revision, texts, text_format)
    if not path.exists():
        raise ConfigError(_at(say_missing(path, params.path, root)))
    if params.kind == "gguf":
        model, tokenizer = _load_gguf(path)
        if text_format == "chat":
            try_template(tokenizer, _at(path))
        return model, tokenizer
    _require_none(folder_problems(path))
    shapes: dict[str, Sequence[int]] = {}
    for file in weight_files(path):
        shapes |= read_shapes(file)
    probe(path, _at(path), shapes, texts, text_format)
    return _from_pretrained(str(path), _at(path), local_files_only=True, use_safetensors=True)


def _load_from_the_hub(
    name: str, revision: str | None, texts: Sequence[str], text_format: TextFormat
) -> Pair:
    """Fetch the small files and try them, then the weights."""
    options: dict[str, Any] = {"revision": revision, "local_files_only": not is_reachable()}
    probe(fetch_small_files(name, revision), _at(name), None, texts, text_format)
    return _from_pretrained(name, _at(name), use_safetensors=True, **options)


def fetch_small_files(name: str, revision: str | None) -> Path:
    """The folder of a model of the hub, with all but its weights. Raises ConfigError where it can't
    be fetched, or has problems."""
    advice, is_offline = download_model(name), not is_reachable()
    with foreign(f"{_at(name)}: nothing can be fetched", remedy=advice):
        fetched = snapshot_download(
            name, allow_patterns=SMALL_FILES, revision=revision, local_files_only=is_offline
        )
    if is_offline and "tokenizer" in absent_parts(Path(fetched)):
        raise ConfigError(f"{_at(name)}: the cache of the hub has no tokenizer of it. {advice}")
    _require_none(folder_problems(Path(fetched), may_lack=["weights"]))
    return Path(fetched)


def _load_gguf(path: Path) -> Pair:
    if problem := missing_package("gguf"):
        raise ConfigError(f"params.yaml: backbone.kind: gguf, but {problem}")
    _require_none(gguf_problems(path))
    options: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True}
    empty = read_gguf_shapes(path)
    config = empty.config
    require_memory(empty, _at(path))
    if (num := empty.num_parameters()) > (stored := count_gguf_weights(path)):
        raise ConfigError(
            f"{_at(path)}: its header makes a {type(empty).__name__} of {num:,} weights, and it "
            f"holds {stored:,}. Fetch the file again, or name another."
        )
    model, tokenizer = _from_pretrained(str(path.parent), _at(path), config=config, **options)
    # the loaded model is marked as quantised and cannot be saved: its weights go into a new model
    # with the plain configuration
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict())
    plain.tie_weights()
    return plain, tokenizer


def read_gguf_shapes(path: Path) -> transformers.PreTrainedModel:
    """The model of a GGUF file's header, with shapes alone. Raises ConfigError."""
    with foreign(f"{_at(path)}: no causal language model can be made of its header"):
        config = transformers.AutoConfig.from_pretrained(
            str(path.parent), gguf_file=path.name, local_files_only=True
        )
        return without_weights(config)


def _require_none(problems: Sequence[str]) -> None:
    if problems:
        raise ConfigError(_at(problems[0]))


def _from_pretrained(name: str, where: str, **options: object) -> Pair:
    # never ask on a terminal whether to run the model's own code
    options |= {"trust_remote_code": False}
    with foreign(f"{where}: no causal language model can be loaded"):
        loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.float32, output_loading_info=True, **options
        )
    model, loading = loaded
    require_all(loading, where)
    for of_the_model in ("use_safetensors", "config"):
        options.pop(of_the_model, None)
    with foreign(f"{where}: no tokenizer can be loaded"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
    num_rows = model.get_input_embeddings().weight.shape[0]
    own = set(tokenizer.get_vocab().values()) - tokenizer.added_tokens_decoder.keys()
    if (highest := max(own, default=0)) >= num_rows:  # an added token (padding) gets its row later
        raise ConfigError(
            f"{where}: the tokenizer has ids up to {highest}, the model {num_rows} embeddings. "
            "Save a model and its own tokenizer to the same folder."
        )
    return model, tokenizer


def _require_saved(
    model: transformers.PreTrainedModel, tokenizer: transformers.PreTrainedTokenizerBase
) -> None:
    """Raises what saving these raises, but for the weights: transformers accepts more where it
    reads than where it writes."""
    with TemporaryDirectory(prefix="lamol-") as scratch:
        for part in (model.config, model.generation_config, tokenizer):
            if part is not None:
                part.save_pretrained(scratch)


def _require_causal(model: transformers.PreTrainedModel, where: str) -> None:
    """Raises ConfigError where the model reads later tokens, like BERT's language head: it would
    see the tokens that it is trained to predict."""
    ids = torch.tensor([[0, 1, 2, 3], [0, 1, 2, 4]]).clamp(
        max=model.config.get_text_config().vocab_size - 1
    )
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    change = (logits[0] - logits[1]).abs().amax(dim=-1)
    if change[:-1].max() > READS_AHEAD * change[-1]:
        raise ConfigError(
            f"{where}: {type(model).__name__} also reads the tokens after a position, so it is no "
            "causal language model. Name a decoder-only one."
        )
