"""Small tokenizers of five families, each with a chat template written after the family's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

CORPUS = [
    "You are a helpful assistant. user assistant system model",
    "Write one user's message of the task 'home' and the answer to it.",
    "turn the lamp in the kitchen off, please", "what is the capital of France?",
    "play the next song for me", "set an alarm for seven o'clock", "lamp off", "music on",
]  # fmt: skip

CHATML = """
{%- for message in messages -%}
{%- if loop.first and message['role'] != 'system' -%}
{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}
{%- endif -%}
{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}
"""

LLAMA3 = """
{{- bos_token -}}
{%- set today = strftime_now('%d %b %Y') -%}
{%- if messages[0]['role'] != 'system' -%}
{{ '<|start_header_id|>system<|end_header_id|>\n\nToday: ' + today + '\n\n<|eot_id|>' }}
{%- endif -%}
{%- for message in messages -%}
{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}
{{- message['content'] | trim -}}{{ '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif -%}
"""

GEMMA = """
{{- bos_token -}}
{%- if messages[0]['role'] == 'system' -%}
{{ raise_exception('no system role') }}
{%- endif -%}
{%- for message in messages -%}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
{{ raise_exception('roles must alternate') }}
{%- endif -%}
{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}
"""

# as published: the system message stands in the last user's turn of a prompt, and in no row
MISTRAL = """
{{- bos_token -}}
{%- if messages[0]['role'] == 'system' -%}
{%- set system = messages[0]['content'] + '\n\n' -%}{%- set turns = messages[1:] -%}
{%- else -%}{%- set system = '' -%}{%- set turns = messages -%}{%- endif -%}
{%- for message in turns -%}
{%- if message['role'] == 'user' -%}
{{ '[INST] ' + (system if loop.last else '') + message['content'] + '[/INST]' }}
{%- else -%}{{ ' ' + message['content'] | trim + eos_token }}{%- endif -%}
{%- endfor -%}
"""

QWEN3 = """
{%- for message in messages -%}
{%- set content = message['content'] -%}
{%- if message['role'] == 'assistant' -%}
{%- set thought = '' -%}
{%- if '</think>' in content -%}
{%- set thought = content.split('</think>')[0].split('<think>')[-1].strip('\n') -%}
{%- set content = content.split('</think>')[-1].lstrip('\n') -%}
{%- endif -%}
{%- if loop.last -%}
{%- set content = '<think>\n' + thought + '\n</think>\n\n' + content.lstrip('\n') -%}
{%- endif -%}
{%- endif -%}
{{ '<|im_start|>' + message['role'] + '\n' + content + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and enable_thinking is false -%}
{{ '<think>\n\n</think>\n\n' }}
{%- endif -%}
{%- endif -%}
"""

ZEPHYR = """
{%- for message in messages -%}
{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%}
"""


def byte_level(specials: Sequence[str]) -> Tokenizer:
    """A byte-level BPE, as of GPT-2, Qwen, SmolLM2 and Llama 3."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    return _trained(tokenizer, specials, letters)


def metaspace(specials: Sequence[str], prepends: bool) -> Tokenizer:
    """A BPE over words with a mark for spaces and bytes for unknown letters: as of Gemma and
    Mistral v0.3, or with a mark before each stretch (`prepends`), as of Llama 2."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    steps: list[normalizers.Normalizer] = [normalizers.Prepend("▁")] if prepends else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    strips = [decoders.Strip(" ", 1, 0)] if prepends else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strips]
    )
    trained = json.loads(_trained(tokenizer, ["<unk>", *specials], []).to_str())
    vocabulary = list(trained["model"]["vocab"])
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    first = 1 + len(specials)
    ordered = [*vocabulary[:first], *bytes_, *vocabulary[first:]]
    trained["model"]["vocab"] = {token: index for index, token in enumerate(ordered)}
    return Tokenizer.from_str(json.dumps(trained))


def _trained(tokenizer: Tokenizer, specials: Sequence[str], letters: list[str]) -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=[AddedToken(name, special=True, normalized=False) for name in specials],
        initial_alphabet=letters,
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def made(tokenizer: Tokenizer, template: str, bos: str | None, eos: str) -> PreTrainedTokenizerBase:
    whole = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=bos, eos_token=eos)
    whole.chat_template = template.lstrip("\n")
    return whole


def chatml(template: str = CHATML) -> PreTrainedTokenizerBase:
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return made(byte_level(names), template, None, "<|im_end|>")


def llama3() -> PreTrainedTokenizerBase:
    names = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    return made(byte_level(names), LLAMA3, "<|begin_of_text|>", "<|eot_id|>")


def gemma() -> PreTrainedTokenizerBase:
    names = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"]
    return made(metaspace(names, prepends=False), GEMMA, "<bos>", "<eos>")


def mistral(prepends: bool = False) -> PreTrainedTokenizerBase:
    names = ["<s>", "</s>", "[INST]", "[/INST]"]
    return made(metaspace(names, prepends), MISTRAL, "<s>", "</s>")


def zephyr() -> PreTrainedTokenizerBase:
    """Its roles are plain text; the first turn begins with no special token."""
    return made(metaspace(["<s>", "</s>"], prepends=True), ZEPHYR, "<s>", "</s>")


FAMILIES = {
    "chatml": chatml,
    "llama3": llama3,
    "gemma": gemma,
    "mistral": mistral,
    "mistral_prepending": partial(mistral, prepends=True),
    "zephyr": zephyr,
}
