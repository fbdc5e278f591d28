"""The base class of all blocks of params.yaml. Each block is declared in the package that uses
it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A block of params.yaml, or a part of one. It is frozen, and an unknown key is an error."""

    removed: ClassVar[Mapping[str, Any]] = {}
    """Keys of earlier versions, with the defaults that they had."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
NumRows = Annotated[int, Field(ge=0)]
