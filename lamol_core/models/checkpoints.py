"""Checkpoints: folders of safetensors that `save_pretrained` wrote, sealed with a manifest.

One that was trained with an adapter holds the adapter alone. Its `adapter_config.json` names the
backbone by its path in the sequence's folder, its manifest by hash."""

import shutil
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from lamol_core.artifacts.figures import read_json, read_json_as, write_json
from lamol_core.artifacts.manifest import Provenance, write_folder
from lamol_core.artifacts.spec import STUDENT, remedy_at
from lamol_core.config.task_names import BASE
from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.models.files import ADAPTER_CONFIG
from lamol_core.models.foreign import foreign
from lamol_core.text.chat_pieces import ChatPieces

TOKENIZER_FILES = (
    "tokenizer*.json", "special_tokens_map.json", "chat_template*", "vocab*", "merges*",
    "additional_chat_templates/*",
)  # fmt: skip
TURNS = "turns.json"
"""What `read_turns` reads. Only the checkpoints of sequences with several turns have it."""
NumAnswers = dict[str, dict[int, int]]
ADAPTER_WEIGHTS = "adapter_model.safetensors"


def backbone_of(checkpoint: Path) -> Path | None:
    """The folder of the backbone that a checkpoint's adapter belongs to; None where the checkpoint
    holds whole weights. Raises ArtifactError where its files say otherwise."""
    config, mend = checkpoint / ADAPTER_CONFIG, remedy_at(checkpoint)
    if not config.is_file():
        return None
    if read_json(config, mend).get("base_model_name_or_path") != STUDENT.at(BASE).as_posix():
        raise ArtifactError(f"{config}: names another backbone than {STUDENT.at(BASE)}. {mend}")
    if not (weights := checkpoint / ADAPTER_WEIGHTS).is_file():
        raise ArtifactError(f"{weights}: missing. {mend}")
    return STUDENT.at(BASE, checkpoint.absolute().parents[2])


def load_model(
    folder: Path, device: torch.device, dtype: torch.dtype | None = None, attention: str = "eager"
) -> PreTrainedModel:
    """Load a checkpoint's model onto `device`, in eval mode, with its adapter merged into the
    weights if it has one. `dtype` None keeps the stored one, which of an adapter is its own.

    Raises ArtifactError where the folder holds no causal language model."""
    what = f"{folder}: no causal language model in safetensors"
    backbone = backbone_of(folder)
    with foreign(what, ArtifactError, remedy_at(folder)):
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            backbone or folder,
            dtype="auto" if backbone else dtype or "auto",
            attn_implementation=attention,
            local_files_only=True,
            use_safetensors=True,
        )
        if backbone is not None:
            from lamol_core.models.adapters import merge  # peft takes a second to import

            model = merge(model, folder, dtype)
    nn.Module.to(model, device)
    model.eval()
    return model


def num_positions(model: PreTrainedModel) -> int | None:
    """The most tokens that a row may have; None where the model sets no limit."""
    config = model.config.get_text_config(decoder=True)
    return getattr(config, "max_position_embeddings", None)


def require_positions(model: PreTrainedModel, num_tokens: int, keys: str) -> None:
    """Raises ConfigError where rows of `num_tokens` tokens are longer than the model allows.
    `keys`: the keys of params.yaml to lower."""
    limit = num_positions(model)
    if limit is not None and num_tokens > limit:
        raise ConfigError(
            f"params.yaml: {keys}: rows may have {num_tokens} tokens, but "
            f"{type(model).__name__} has {limit} positions. Lower that, or name a model with more."
        )


def read_turns(checkpoint: Path) -> NumAnswers:
    """The training rows of each task with several turns, after rows were cut, by their number of
    answers. Raises ArtifactError where the file is broken."""
    path = checkpoint / TURNS
    if not path.is_file():
        return {}
    return read_json_as(NumAnswers, path, remedy_at(checkpoint))


def save_checkpoint(
    out: Path,
    model: PreTrainedModel,
    provenance: Provenance,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    tokenizer_from: Path | None = None,
    pieces: ChatPieces | None = None,
    turns: NumAnswers | None = None,
) -> None:
    """Write a model, or only the adapter that was trained in it, with its tokenizer.

    The tokenizer is given as an object (`tokenizer`) or copied from another checkpoint
    (`tokenizer_from`), like the `pieces` of its chat template. `turns`: what `read_turns` will
    return."""

    def write(scratch: Path) -> dict[str, int]:
        if getattr(model, "peft_config", None):
            from lamol_core.models.adapters import save_adapter

            save_adapter(model, scratch)
        else:
            model.save_pretrained(scratch)
        if tokenizer is not None:
            tokenizer.save_pretrained(scratch)
        if pieces is not None:
            pieces.write(scratch)
        if turns:
            write_json(scratch / TURNS, turns)
        if tokenizer_from is not None:
            for pattern in TOKENIZER_FILES:
                for file in tokenizer_from.glob(pattern):
                    copy = scratch / file.relative_to(tokenizer_from)
                    copy.parent.mkdir(exist_ok=True)
                    shutil.copyfile(file, copy)
        return {"parameters": model.num_parameters(only_trainable=True)}

    write_folder(out, STUDENT.kind, provenance, write)
