"""Adapters (LoRA, Hu et al. 2021), by peft: a model whose own weights are frozen and that learns a
few beside them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora.layer import Linear as LoraLinear
from peft.tuners.trainable_tokens.layer import TrainableTokensLayer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from lamol_core.artifacts.figures import read_json
from lamol_core.artifacts.spec import STUDENT, remedy_at
from lamol_core.config.task_names import BASE
from lamol_core.errors import ConfigError
from lamol_core.models.checkpoints import ADAPTER_WEIGHTS
from lamol_core.models.files import ADAPTER_CONFIG
from lamol_core.models.head import require_targets
from lamol_core.models.params import AdapterParams
from lamol_core.seeds import derive_seed

PREFIX = "base_model.model."
"""What peft puts before the names of weights in a file."""
NAME = "default"
"""The name of the only adapter of a model, as in plain transformers."""
SAME = {
    "r": "adapter.r",
    "lora_alpha": "adapter.alpha",
    "target_modules": "adapter.targets",
    "trainable_token_indices": "backbone.max_tasks",
}
"""The keys of `adapter_config.json` that do not change from task to task, with those of params.yaml
that decide them."""


class OwnTokens(TrainableTokensLayer):
    """Embeddings of which an adapter has some rows of its own. peft's own forward copies the whole
    table each time, and makes a gradient as large."""

    def forward(self, ids: Tensor) -> Tensor:
        states: Tensor = self.base_layer(ids)
        if self.disable_adapters or self.merged:
            return states
        own_ids = torch.tensor(self.token_indices[NAME], device=ids.device)
        is_own, place = (ids[..., None] == own_ids).max(dim=-1)
        own = F.embedding(place, self.trainable_tokens_delta[NAME])
        scale = self._get_embed_scale()  # type: ignore[no-untyped-call]  # of Gemma
        own = own if scale is None else own * scale.to(own.dtype)
        return torch.where(is_own[..., None], own.to(states.dtype), states)


class LeanLinear(LoraLinear):
    """A linear layer with an adapter, whose product is added in place. peft's own forward makes
    three results of the layer's size beside the one that is kept, and glibc leaves holes where they
    were (docs/decisions/training.md has the figures)."""

    def forward(self, states: Tensor) -> Tensor:
        """The output (..., n) of `states` (..., d)."""
        rows = states.flatten(0, -2)
        projected: Tensor = self.base_layer(rows)
        if not (self.disable_adapters or self.merged):
            low, up = self.lora_A[NAME](self.lora_dropout[NAME](rows)), self.lora_B[NAME].weight
            projected.addmm_(low, up.T, alpha=self.scaling[NAME])  # type: ignore[arg-type]
        return projected.view(*states.shape[:-1], projected.shape[-1])


def merge(
    backbone: PreTrainedModel, checkpoint: Path, dtype: torch.dtype | None = None
) -> PreTrainedModel:
    """The model with the adapter of a checkpoint merged into its weights: added in fp32, then
    rounded to `dtype`, by default the adapter's."""
    # peft reads the adapter in fp32, whatever the dtype of the backbone
    adapted = PeftModel.from_pretrained(backbone, str(checkpoint), torch_device="cpu")
    merged: PreTrainedModel = adapted.merge_and_unload()
    kept = dtype or next(iter(load_file(checkpoint / ADAPTER_WEIGHTS).values())).dtype
    # not `Module.to`: it would round buffers too, such as the frequencies of positions
    for weight in merged.parameters():
        weight.data = weight.data.to(kept)
    merged.config.dtype = kept
    return merged


def add_adapter(
    backbone: PreTrainedModel, params: AdapterParams, own_rows: Sequence[int], seed: int
) -> None:
    """Freeze a model and add an adapter to train. `own_rows`: the ids of tokens whose rows in the
    embeddings and the head are trained too. The first output of the model does not change.

    Raises ConfigError where a target is no linear layer, or the head."""
    require_targets(backbone, params.targets)
    tables = {_name_of(backbone, table): list(own_rows) for table in _tables(backbone)}
    config = LoraConfig(
        r=params.r,
        lora_alpha=params.alpha,  # type: ignore[arg-type]  # a float is fine
        lora_dropout=params.dropout,
        target_modules=params.targets,
        trainable_token_indices=tables if own_rows else None,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "adapter") % 2**32)
        backbone.add_adapter(config, NAME)
    added: Any = backbone.peft_config[NAME]
    added.target_modules = sorted(added.target_modules)  # a set has another order in each process
    # from the folder of the sequence, where plain transformers finds it
    added.base_model_name_or_path = STUDENT.at(BASE).as_posix()
    for layer in backbone.modules():
        adapter = getattr(layer, "token_adapter", None)
        if adapter is not None and isinstance(adapter.get_base_layer(), nn.Embedding):
            adapter.__class__ = OwnTokens
        elif type(layer) is LoraLinear and isinstance(layer.get_base_layer(), nn.Linear):
            layer.__class__ = LeanLinear


def load_adapter(model: PreTrainedModel, checkpoint: Path) -> None:
    """Copy the adapter of a checkpoint into that of a model. Raises ConfigError where params.yaml
    describes another adapter."""
    saved = read_json(checkpoint / ADAPTER_CONFIG, remedy_at(checkpoint))
    added: Any = model.peft_config[NAME]
    mine = added.to_dict()
    if other := [key for key in SAME if saved.get(key) != mine[key]]:
        raise ConfigError(
            f"{checkpoint}: its adapter was made with another {SAME[other[0]]} than params.yaml "
            "has. Run `dvc repro`: an adapter goes on from the first task to the last."
        )
    tensors = load_file(checkpoint / ADAPTER_WEIGHTS)
    named = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
    set_peft_model_state_dict(model, named, adapter_name=NAME)


def save_adapter(model: PreTrainedModel, folder: Path) -> None:
    """Write the adapter of a model as `PeftModel.save_pretrained` does."""
    tensors = get_peft_model_state_dict(model, adapter_name=NAME, save_embedding_layers=False)
    named = {f"{PREFIX}{name}": tensor.contiguous() for name, tensor in tensors.items()}
    save_file(named, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    model.peft_config[NAME].save_pretrained(folder)


def share_backbone(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of a model with an adapter of its own. The frozen weights are the same tensors."""
    frozen = {id(p): p for p in model.parameters() if not p.requires_grad}
    return copy.deepcopy(model, dict(frozen))


def _tables(model: PreTrainedModel) -> list[Any]:
    """The embeddings, and the head where it has a matrix of its own."""
    embeddings: Any = model.get_input_embeddings()
    head: Any = model.get_output_embeddings()
    tied = head is None or head.weight.data_ptr() == embeddings.weight.data_ptr()
    return [embeddings] if tied else [embeddings, head]


def _name_of(model: PreTrainedModel, layer: Any) -> str:
    return next((name for name, module in model.named_modules() if module is layer), "")
