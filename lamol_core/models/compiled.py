"""Compile a model's repeated blocks with torch.compile."""

from torch import nn
from transformers import PreTrainedModel


def compile_blocks(model: PreTrainedModel) -> None:
    """Let torch compile the repeated blocks of a model at their first forward.

    All blocks share the compiled code, so the cost does not grow with their number."""
    for stack in model.modules():
        if isinstance(stack, nn.ModuleList) and len(stack) > 1:
            for block in stack:
                block.compile(dynamic=True)
