"""torch.compile of a model's repeated blocks: compiled once, used by all of them."""

from torch import nn
from transformers import PreTrainedModel


def compile_blocks(model: PreTrainedModel) -> None:
    """Compile the repeated blocks of a model at their first forward.

    The blocks share one compiled code: the cost does not grow with their number.
    """
    for stack in model.modules():
        if isinstance(stack, nn.ModuleList) and len(stack) > 1:
            for block in stack:
                block.compile(dynamic=True)
