"""Tiny stand-ins: models of three architectures, control tokens, rows. Seeded, made in no time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lamol_core.models.params import BackboneParams
from lamol_core.text.template import ControlTokens, RowTemplate, TaskPrompts, TokenTemplate

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from lamol_core.text.encoded import EncodedRow

VOCABULARY = 48
CONTROL = ControlTokens(ans=1, eos=0, pad=2, gen=3, gen_by_task=(4, 5))
TEMPLATE = TokenTemplate(CONTROL, TaskPrompts(["a", "b"]))
"""Control tokens of the models below; ids from 6 on are text."""
FIRST_TEXT_ID = 6


class Turns(RowTemplate):
    """Rows of several turns in ids: 3 x END 4 5 y END 4 x END ... Prompts for drawing have a 3 more
    for each turn. With `one_end` the same id ends x and y, as in ChatML."""

    header, between = (4, 5), (4,)
    pad, never_in_text = 2, (2, 3)

    def __init__(self, one_end: bool, prompts: TaskPrompts = TaskPrompts()) -> None:
        super().__init__(prompts)
        self.end = 0
        self.end_of_input = self.end_of_lone_input = 0 if one_end else 1

    def before_input(self, task: str) -> tuple[int, ...]:
        return (3,)

    def draw_prompt(
        self, task: str, y: Sequence[int] = (), num_answers: int = 1
    ) -> tuple[int, ...]:
        return (3, *[3] * num_answers, *y)

    def require_turns(self, task: str) -> None:
        """They have a place."""


CORPUS = [
    "turn the kitchen light on",
    "turn the kitchen light off",
    "book a flight to Lisbon on Friday",
    "book a hotel in Lisbon for two nights",
    "what is the answer to this example question",
    "light_on",
    "light_off",
    "book_flight",
    "book_hotel",
] * 5


def tiny_backbone_params(**changes: Any) -> BackboneParams:
    """A nano backbone of hidden 16 and 2 layers with room for 3 tasks."""
    nano = {"hidden_size": 16, "layers": 2, "heads": 2, "vocab_size": 320, "max_positions": 64}
    return BackboneParams.model_validate({"max_tasks": 3, "nano": nano} | changes)


def splitting_tokenizer(corpus: list[str]) -> PreTrainedTokenizerBase:
    """A tokenizer like BERT's: it lower-cases, and writes spaces around every mark."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    words.normalizer, words.decoder = (
        normalizers.BertNormalizer(),
        decoders.WordPiece(cleanup=False),
    )
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[UNK]", "[EOS]"]
    words.train_from_iterator(
        corpus, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special)
    )
    names = {"unk_token": special[0], "eos_token": special[1]}
    return PreTrainedTokenizerFast(tokenizer_object=words, **names)


def tiny_llama(seed: int = 0, vocab_size: int = VOCABULARY, **changes: Any) -> PreTrainedModel:
    from transformers import LlamaConfig, LlamaForCausalLM

    settings: dict[str, Any] = {
        "vocab_size": vocab_size,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
        "tie_word_embeddings": True,
    }
    return _build(LlamaForCausalLM, LlamaConfig(**(settings | _SPECIAL | changes)), seed)


def tiny_gpt2(seed: int = 0, vocab_size: int = VOCABULARY) -> PreTrainedModel:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocab_size,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=64,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        **_SPECIAL,
    )
    return _build(GPT2LMHeadModel, config, seed)


def tiny_gpt_neox(seed: int = 0, vocab_size: int = VOCABULARY) -> PreTrainedModel:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    config = GPTNeoXConfig(
        vocab_size=vocab_size,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        **_SPECIAL,
    )
    return _build(GPTNeoXForCausalLM, config, seed)


def tiny_bloom(seed: int = 0) -> PreTrainedModel:
    """An attention of its own (ALiBi), no position ids."""
    from transformers import BloomConfig, BloomForCausalLM

    config = BloomConfig(
        vocab_size=VOCABULARY, hidden_size=16, n_layer=2, n_head=2, hidden_dropout=0.0, **_SPECIAL
    )
    return _build(BloomForCausalLM, config, seed)


def tiny_mistral(seed: int = 0) -> PreTrainedModel:
    """A sliding window that is shorter than the rows."""
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=4,
        **_SPECIAL,
    )
    return _build(MistralForCausalLM, config, seed)


def tiny_gemma2(seed: int = 0) -> PreTrainedModel:
    """Soft caps on scores and logits: its head is not just a matrix."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=64,
        final_logit_softcapping=3.0,
        **_SPECIAL,
    )
    return _build(Gemma2ForCausalLM, config, seed)


def tiny_grouped_llama(seed: int = 0) -> PreTrainedModel:
    """Two query heads share a key head."""
    return tiny_llama(seed, num_key_value_heads=1)


ARCHITECTURES = {"llama": tiny_llama, "gpt2": tiny_gpt2, "gpt_neox": tiny_gpt_neox}
GROUPED_ARCHITECTURES = ARCHITECTURES | {"grouped_llama": tiny_grouped_llama}
OTHER_ARCHITECTURES = {"bloom": tiny_bloom, "mistral": tiny_mistral, "gemma2": tiny_gemma2}
"""Causal models that need more than plain causal attention."""
_SPECIAL = {"bos_token_id": None, "eos_token_id": CONTROL.eos, "pad_token_id": CONTROL.pad}


def sharpen(model: PreTrainedModel, seed: int = 0, spread: float = 0.4) -> PreTrainedModel:
    """Weights so large that the next token depends on what stands before it."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(spread * noise)
    return model


class Decodes:
    """Turns ids of inputs and of targets into text in the same way."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode

    def decode_input(self, ids: Sequence[int]) -> str:
        return self._decode(ids)

    def decode_target(self, ids: Sequence[int]) -> str:
        return self._decode(ids)


def make_rows(num_new: int, num_pseudo: int, seed: int = 0) -> list[EncodedRow]:
    """Random rows of lengths 1 to 9 (x) and 1 to 4 (y), both origins shuffled together."""
    rng = random.Random(seed)

    def ids(longest: int) -> tuple[int, ...]:
        return tuple(
            rng.randrange(FIRST_TEXT_ID, VOCABULARY) for _ in range(rng.randint(1, longest))
        )

    rows = [TEMPLATE.row(f"b/train/{i:06d}", "new", "b", ids(9), ids(4)) for i in range(num_new)]
    rows += [
        TEMPLATE.row(f"b/pseudo/a/{i:06d}.1", "pseudo", "a", ids(9), ids(4))
        for i in range(num_pseudo)
    ]
    rng.shuffle(rows)
    return rows


def _build(architecture: Any, config: Any, seed: int) -> PreTrainedModel:
    import torch

    config._attn_implementation = "eager"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return architecture(config).eval()
