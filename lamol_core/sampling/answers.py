"""What a teacher itself answers to the inputs of pseudo-samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from accelerate import PartialState
from transformers import PreTrainedModel

from lamol_core.config import GenerateParams
from lamol_core.models.checkpoints import load_model
from lamol_core.records import PseudoSample
from lamol_core.sampling.decode import decode
from lamol_core.sampling.rows import Greedy
from lamol_core.text.tokenizer import TextCodec


def answers_of(
    teacher: PreTrainedModel,
    codec: TextCodec,
    inputs: Sequence[Sequence[int]],
    params: GenerateParams,
) -> list[list[int]]:
    """The teacher's greedy answers to inputs (ids), as ids without EOS."""
    control = codec.control
    chooser = Greedy(
        len(inputs),
        control.eos,
        (control.ans, *control.never_in_text),
        params.max_target_tokens + 1,
        teacher.device,
    )
    completions = decode(
        teacher, [(*ids, control.ans) for ids in inputs], chooser, params.batch_size, control.pad
    )
    return [[token for token in one.ids if token != control.eos] for one in completions]


class AskedTeacher:
    """A checkpoint that says of samples whether it would answer as they do. Loaded when first
    asked."""

    def __init__(self, checkpoint: Path, params: GenerateParams) -> None:
        self._checkpoint, self._params = checkpoint, params
        self._loaded: tuple[PreTrainedModel, TextCodec] | None = None

    def __call__(self, samples: Sequence[PseudoSample]) -> list[bool]:
        if self._loaded is None:
            model = load_model(self._checkpoint, PartialState().device)
            self._loaded = model, TextCodec.load(self._checkpoint)
        answers = answers_of(*self._loaded, [s.input_ids for s in samples], self._params)
        return [
            answer == sample.target_ids for answer, sample in zip(answers, samples, strict=True)
        ]
