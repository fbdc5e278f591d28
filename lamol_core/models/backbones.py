"""Where the first weights come from: a registry of functions, each giving a model and tokenizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamol_core.artifacts.manifest import MANIFEST, read_manifest
from lamol_core.artifacts.spec import STUDENT, remedy
from lamol_core.config.paths import resolve_path, say_missing
from lamol_core.config.task_names import BASE
from lamol_core.errors import ConfigError, first_line
from lamol_core.models.params import BackboneParams

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Pair = tuple["PreTrainedModel", "PreTrainedTokenizerBase"]
END_OF_TEXT = "<|endoftext|>"
COMMON_FROM = 5
"""Texts. A vocabulary is in every checkpoint and outlives `lamol forget`: a word of few rows, such
as a name, is none of it and is spelt in pieces."""

READS_AHEAD = 1e-4
"""A token changes what a causal model says before it by rounding alone: by less than this share of
what it changes at its own place."""


def build_backbone(params: BackboneParams, root: Path, corpus: list[str]) -> Pair:
    """The model (fp32, eval mode) and tokenizer of a backbone block, with tokens reserved.

    `corpus` is the text that the nano backbone's tokenizer is trained on; others ignore it.
    Raises ConfigError when the block names something that is not there or is no causal model.
    """
    from lamol_core.models.reserve import reserve_tokens

    model, tokenizer = BACKBONES[params.kind](params, root, corpus)
    _require_causal(model.eval(), f"params.yaml: backbone.path: {params.path}")
    reserve_tokens(model, tokenizer, params)
    return model.eval(), tokenizer


def build_nano(params: BackboneParams, root: Path, corpus: list[str]) -> Pair:
    """A small Llama with seeded random weights and a byte-level BPE of the words in `corpus`."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    nano = params.nano
    if not corpus:
        raise ConfigError(
            "params.yaml: backbone.nano.corpus: empty. List the sources of the first tasks: "
            "the tokenizer is trained on them."
        )
    bpe = ByteLevelBPETokenizer()
    words = _common_words(corpus, bpe._tokenizer.pre_tokenizer)
    bpe.train_from_iterator(
        words, nano.vocab_size, min_frequency=2, special_tokens=[END_OF_TEXT], show_progress=False
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token=END_OF_TEXT)
    tokenizer.model_max_length = nano.max_positions
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=nano.hidden_size,
        intermediate_size=nano.hidden_size * 4,
        num_hidden_layers=nano.layers,
        num_attention_heads=nano.heads,
        max_position_embeddings=nano.max_positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(nano.seed)
        return LlamaForCausalLM(config), tokenizer


def _common_words(corpus: Sequence[str], pre_tokenizer: PreTokenizer) -> Iterator[str]:
    """Every word of the corpus, in order, but those of fewer texts than COMMON_FROM."""
    split = [
        [text[start:stop] for _, (start, stop) in pre_tokenizer.pre_tokenize_str(text)]
        for text in corpus
    ]
    num_texts = Counter(word for words in split for word in set(words))
    return (word for words in split for word in words if num_texts[word] >= COMMON_FROM)


def load_hub(params: BackboneParams, root: Path, corpus: list[str]) -> Pair:
    """A model of the hub by its id: the one case in which the network is used."""
    if params.path is None:
        raise ConfigError("params.yaml: backbone.path: missing. Name the hub's id (owner/model).")
    return _from_pretrained(params.path, f"backbone.path: {params.path}", revision=params.revision)


def load_folder(params: BackboneParams, root: Path, corpus: list[str]) -> Pair:
    """What `save_pretrained` wrote into a local folder."""
    folder = _existing(params, root)
    return _from_pretrained(str(folder), f"backbone.path: {folder}", local_files_only=True)


def load_gguf(params: BackboneParams, root: Path, corpus: list[str]) -> Pair:
    """A GGUF file, its weights taken out of their quantised form into fp32."""
    file = _existing(params, root)
    model, tokenizer = _from_pretrained(
        str(file.parent), f"backbone.path: {file}", gguf_file=file.name, local_files_only=True
    )
    # the loaded model believes it is still quantised and refuses to be saved: the same weights
    # in a model made from the plain configuration are what is wanted
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict())
    plain.tie_weights()
    return plain, tokenizer


BACKBONES: dict[str, Callable[[BackboneParams, Path, list[str]], Pair]] = {
    "nano": build_nano,
    "hub": load_hub,
    "folder": load_folder,
    "gguf": load_gguf,
}


def is_made_of(student: Path, backbone: BackboneParams) -> bool:
    """Whether a prepared backbone is there, and one of these parameters."""
    if not (student / MANIFEST).is_file():
        return False
    manifest = read_manifest(student / MANIFEST, remedy(STUDENT, BASE))
    return manifest.parameters == backbone.model_dump(mode="json")


def _existing(params: BackboneParams, root: Path) -> Path:
    if params.path is None:
        raise ConfigError(f"params.yaml: backbone.path: missing, kind {params.kind!r} needs it.")
    path = resolve_path(params.path, root)
    if not path.exists():
        raise ConfigError(f"params.yaml: backbone.path: {say_missing(path, params.path, root)}")
    return path


def _from_pretrained(name: str, where: str, **options: object) -> Pair:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # no pickle is read and no code of a model's own is run, whatever is asked on a terminal
    weights = {} if "gguf_file" in options else {"use_safetensors": True}
    options |= {"trust_remote_code": False}
    where = f"params.yaml: {where}"
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.float32, output_loading_info=True, **weights, **options
        )
    except (OSError, ValueError, LookupError, SafetensorError) as error:
        raise ConfigError(
            f"{where}: no causal language model can be loaded ({first_line(error)})."
        ) from error
    model, loading = loaded
    if missing := sorted(loading["missing_keys"]):
        raise ConfigError(
            f"{where}: no whole causal language model: {len(missing)} of its weights are not there "
            f"and would be random ({missing[0]}). Name a folder saved with its language head."
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{where}: no tokenizer is loaded ({first_line(error)}).") from error
    num_rows = model.get_input_embeddings().weight.shape[0]
    own = set(tokenizer.get_vocab().values()) - tokenizer.added_tokens_decoder.keys()
    if (highest := max(own, default=0)) >= num_rows:  # an added one (padding) gets its row below
        raise ConfigError(
            f"{where}: its tokenizer has ids up to {highest}, its model {num_rows} embeddings. "
            "They are not of one model: save both to the same folder."
        )
    return model, tokenizer


def _require_causal(model: PreTrainedModel, where: str) -> None:
    """Raises ConfigError for a model that reads ahead, as BERT's language head does: it would be
    trained on what it is to predict, and be worth nothing when it writes."""
    import torch

    ids = torch.tensor([[0, 1, 2, 3], [0, 1, 2, 4]]).clamp(
        max=model.config.get_text_config().vocab_size - 1
    )
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    change = (logits[0] - logits[1]).abs().amax(dim=-1)
    if change[:-1].max() > READS_AHEAD * change[-1]:
        raise ConfigError(
            f"{where}: {type(model).__name__} reads what comes after a token too: no causal "
            "language model. Name a decoder-only one."
        )
