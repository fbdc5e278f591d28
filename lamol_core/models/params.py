"""The blocks `backbone` and `adapter` of params.yaml, and the precision of weights."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from lamol_core.config.paths import resolve_path
from lamol_core.config.section import Count, Positive, Section
from lamol_core.data.sources.registry import Source
from lamol_core.text.params import TextFormat

Precision = Literal["auto", "fp32", "bf16"]


class NanoParams(Section):
    """A small Llama with random weights and a byte-level BPE tokenizer of its own.

    Attributes:
        hidden_size: The width of the model.
        layers: The number of blocks.
        heads: The number of attention heads.
        vocab_size: The most tokens of the tokenizer.
        max_positions: The most tokens of a row.
        seed: The seed of the weights.
        corpus: The sources whose rows the tokenizer is trained on.
    """

    hidden_size: Annotated[int, Field(ge=16, multiple_of=8)] = 128
    layers: Count = 4
    heads: Count = 4
    vocab_size: Annotated[int, Field(ge=300)] = 2048
    max_positions: Annotated[int, Field(ge=32)] = 512
    seed: int = 0
    corpus: list[Source] = Field(default_factory=list)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden_size % self.heads or (self.hidden_size // self.heads) % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} over {self.heads} heads is not an even integer"
            )
        return self


class BackboneParams(Section):
    """The model that the sequence begins with.

    Attributes:
        kind: `nano`: random weights. `hub`: a model of the Hugging Face hub. `folder`: what
            `save_pretrained` wrote. `gguf`: a GGUF file.
        path: The id on the hub, the folder or the file.
        revision: The revision on the hub.
        max_tasks: The most tasks that the sequence can have: so many GEN tokens are reserved.
        ans_text: A text whose mean embedding is the first value of ANS.
        gen_text: A text whose mean embedding is the first value of every GEN token.
    """

    kind: Literal["nano", "hub", "folder", "gguf"] = "nano"
    path: str | None = None
    revision: str | None = None
    max_tasks: Annotated[int, Field(ge=1, le=1000)] = 32
    ans_text: str = "answer"
    gen_text: str = "example"
    nano: NanoParams = NanoParams()

    def local_path(self, root: Path) -> Path | None:
        """Where the model lies, from the folder `root` of params.yaml; None for nano, for a model
        that is on the hub alone, and without a path."""
        if self.kind == "nano" or self.path is None:
            return None
        path = resolve_path(self.path, root)
        return None if self.kind == "hub" and not path.is_dir() else path

    def made_of(self, text_format: TextFormat) -> dict[str, Any]:
        """The parameters that decide the backbone's bytes, for its manifest."""
        own = self.model_dump(mode="json")
        return own if text_format == "tokens" else {**own, "text.format": text_format}


class AdapterParams(Section):
    """Whether a student is the backbone with an adapter, by peft; the backbone stays as it is.

    Attributes:
        kind: `none`: all weights are trained. `lora`: low-rank matrices beside the weights.
        r: The rank of the matrices.
        alpha: What the matrices add is multiplied by `alpha / r`.
        dropout: The dropout before the matrices, while training.
        targets: The names of the layers that have matrices. `all-linear`: all but the head.
        learning_rate: The highest learning rate, instead of that of `train`.
    """

    kind: Literal["none", "lora"] = "none"
    r: Count = 16
    alpha: Positive = 32.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: Literal["all-linear"] | list[str] = "all-linear"
    learning_rate: Positive = 2e-3

    @property
    def is_used(self) -> bool:
        return self.kind != "none"

    def made_of(self) -> dict[str, Any]:
        """The parameters that act, for manifests; {} without an adapter."""
        if not self.is_used:
            return {}
        return {f"adapter.{key}": value for key, value in self.model_dump().items()}
