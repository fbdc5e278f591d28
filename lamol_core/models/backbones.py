"""Make a backbone's first model: a nano model with random weights, or a pretrained model."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from tokenizers import ByteLevelBPETokenizer
from tokenizers.pre_tokenizers import PreTokenizer

from lamol_core.config.hub import is_reachable
from lamol_core.config.paths import resolve_path, say_missing
from lamol_core.errors import ConfigError, first_line, missing_package
from lamol_core.models.params import BackboneParams, NanoParams
from lamol_core.models.reserve import end_with_turns, reserve_tokens
from lamol_core.text.chat import ChatTemplate
from lamol_core.text.chat_pieces import find_pieces
from lamol_core.text.params import TextFormat

Pair = tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]
END_OF_TEXT = "<|endoftext|>"
COMMON_FROM = 5
"""A word enters the nano vocabulary if this many texts have it. Rarer words, such as names, are
spelt in pieces: the vocabulary is in every checkpoint and outlives `lamol forget`."""

READS_AHEAD = 1e-4
"""The limit for a causal model: a changed token may change the logits of earlier positions by
rounding only, by less than this share of the change at its own position."""


def build_backbone(
    params: BackboneParams, root: Path, corpus: list[str], text_format: TextFormat = "tokens"
) -> Pair:
    """Make the model (fp32, eval mode) and tokenizer of a backbone block, with reserved tokens
    added unless rows are chats.

    `corpus`: the texts that the nano backbone's tokenizer is trained on; other kinds ignore it.
    `root`: the folder of params.yaml. Raises ConfigError where the block names a missing model or
    one that is not causal, and for chats where its chat template does not fit."""
    is_nano = params.kind == "nano"
    model, tokenizer = build_nano(params.nano, corpus) if is_nano else load_pretrained(params, root)
    _require_causal(model.eval(), f"params.yaml: backbone.path: {params.path}")
    if text_format == "chat":
        end_with_turns(model, ChatTemplate(tokenizer, find_pieces(tokenizer)).end)
    else:
        reserve_tokens(model, tokenizer, params)
    return model.eval(), tokenizer


def build_nano(nano: NanoParams, corpus: list[str]) -> Pair:
    """A small Llama with seeded random weights, and a byte-level BPE trained on the words of
    `corpus`. Raises ConfigError where `corpus` is empty."""
    if not corpus:
        raise ConfigError(
            "params.yaml: backbone.nano.corpus: empty. List the sources of the first tasks, "
            "because the tokenizer is trained on them."
        )
    bpe = ByteLevelBPETokenizer()
    words = _common_words(corpus, bpe._tokenizer.pre_tokenizer)
    bpe.train_from_iterator(
        words, nano.vocab_size, min_frequency=2, special_tokens=[END_OF_TEXT], show_progress=False
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, eos_token=END_OF_TEXT
    )
    tokenizer.model_max_length = nano.max_positions
    config = transformers.LlamaConfig(
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
        return transformers.LlamaForCausalLM(config), tokenizer


def _common_words(corpus: Sequence[str], pre_tokenizer: PreTokenizer) -> Iterator[str]:
    """Every word of the corpus, in order, without the words of fewer than COMMON_FROM texts."""
    split = [
        [text[start:stop] for _, (start, stop) in pre_tokenizer.pre_tokenize_str(text)]
        for text in corpus
    ]
    num_texts = Counter(word for words in split for word in set(words))
    return (word for words in split for word in words if num_texts[word] >= COMMON_FROM)


def load_pretrained(params: BackboneParams, root: Path) -> Pair:
    """Load a pretrained model and its tokenizer, with weights in fp32.

    The block names a model id of the hub, a folder that `save_pretrained` wrote, or a GGUF file.
    Only the hub needs the network. Raises ConfigError where nothing can be loaded."""
    if params.path is None:
        raise ConfigError(f"params.yaml: backbone.path: missing, kind {params.kind!r} needs it.")
    if params.kind == "hub":
        offline = not is_reachable()  # from the cache then, without half a minute of retries
        return _from_pretrained(
            params.path, params.path, revision=params.revision, local_files_only=offline
        )
    path = resolve_path(params.path, root)
    if not path.exists():
        raise ConfigError(f"params.yaml: backbone.path: {say_missing(path, params.path, root)}")
    if params.kind == "folder":
        return _from_pretrained(str(path), str(path), local_files_only=True)
    if problem := missing_package("gguf"):
        raise ConfigError(f"params.yaml: backbone.kind: gguf, but {problem}")
    model, tokenizer = _from_pretrained(
        str(path.parent), str(path), gguf_file=path.name, local_files_only=True
    )
    # the loaded model is marked as quantised and cannot be saved: its weights go into a new model
    # with the plain configuration
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict())
    plain.tie_weights()
    return plain, tokenizer


def _from_pretrained(name: str, where: str, **options: object) -> Pair:
    # read no pickle, and never ask on a terminal whether to run the model's own code
    weights = {} if "gguf_file" in options else {"use_safetensors": True}
    options |= {"trust_remote_code": False}
    where = f"params.yaml: backbone.path: {where}"
    try:
        loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.float32, output_loading_info=True, **weights, **options
        )
    except (OSError, ValueError, LookupError, SafetensorError) as error:
        raise ConfigError(
            f"{where}: no causal language model can be loaded ({first_line(error)})."
        ) from error
    model, loading = loaded
    if missing := sorted(loading["missing_keys"]):
        raise ConfigError(
            f"{where}: {len(missing)} weights of the causal language model are missing "
            f"({missing[0]}). Name a folder saved with its language head."
        )
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{where}: no tokenizer can be loaded ({first_line(error)}).") from error
    num_rows = model.get_input_embeddings().weight.shape[0]
    own = set(tokenizer.get_vocab().values()) - tokenizer.added_tokens_decoder.keys()
    if (highest := max(own, default=0)) >= num_rows:  # an added token (padding) gets its row later
        raise ConfigError(
            f"{where}: the tokenizer has ids up to {highest}, the model {num_rows} embeddings. "
            "Save a model and its own tokenizer to the same folder."
        )
    return model, tokenizer


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
