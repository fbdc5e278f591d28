"""The block `backbone` of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lamol_core.config.section import Section
from lamol_core.data.sources.registry import Source

Precision = Literal["auto", "fp32", "bf16"]


class NanoParams(Section):
    """A small Llama with random weights and its own byte-level BPE, which is trained on
    `corpus`."""

    hidden_size: Annotated[int, Field(ge=16, multiple_of=8)] = 128
    layers: Annotated[int, Field(ge=1)] = 4
    heads: Annotated[int, Field(ge=1)] = 4
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
    """The first model. `max_tasks`: how many tasks get a GEN token. `ans_text` and `gen_text`:
    words whose mean embeddings are the first values of ANS and GEN."""

    kind: Literal["nano", "hub", "folder", "gguf"] = "nano"
    path: str | None = None
    revision: str | None = None
    max_tasks: Annotated[int, Field(ge=1, le=1000)] = 32
    ans_text: str = "answer"
    gen_text: str = "example"
    nano: NanoParams = NanoParams()
