"""From a teacher's checkpoint to its pseudo-samples."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from accelerate import PartialState

from lamol_core.decoding.completions import Progress
from lamol_core.generation.drawing import PseudoSampler
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.requests import Request
from lamol_core.models.checkpoints import load_model
from lamol_core.records import PseudoSample
from lamol_core.text.normalise import normalise
from lamol_core.text.params import TextParams
from lamol_core.text.tokenizer import TextCodec


def draw_from_checkpoint(
    teacher: Path,
    teacher_sha256: str,
    count_by_task: dict[str, int],
    params: GenerateParams,
    text: TextParams,
    *,
    new_task: str,
    seed: int,
    carried: Sequence[PseudoSample] = (),
    labels_by_task: Mapping[str, Sequence[str]] | None = None,
    on_rows_done: Progress = lambda count: None,
) -> list[PseudoSample]:
    """Load the teacher (eval mode, in the format it was trained in) and draw what is asked for,
    beyond the rows that are `carried` over; those come first of each task.

    `count_by_task` is in learning order: the position of a task gives its GEN token.
    `labels_by_task` are the tasks' labels, none for free text: `known_labels` asks for them.
    """
    codec = TextCodec.load(teacher)
    model = load_model(teacher, PartialState().device)
    carried_labels = {
        name: Counter(normalise(s.target) for s in carried if s.source_task == name)
        for name in count_by_task
    }
    requests = [
        Request(
            name,
            codec.control.gen_for(index, text.use_task_specific_gen_token),
            count - carried_labels[name].total(),
            frozenset(map(normalise, (labels_by_task or {}).get(name, ()))),
            carried_labels[name],
        )
        for index, (name, count) in enumerate(count_by_task.items())
        if count
    ]
    sampler = PseudoSampler(
        model, codec, params, text, new_task=new_task, seed=seed, teacher_sha256=teacher_sha256
    )
    return sampler.draw(requests, on_rows_done, carried)
