"""Draw pseudo-samples: the teacher writes rows of earlier tasks, and invalid ones are drawn
again.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import PreTrainedModel

from lamol_core.decoding.answers import answers_of
from lamol_core.decoding.completions import Progress
from lamol_core.decoding.decode import decode
from lamol_core.decoding.samplers import FreeFormat, TopKSampler
from lamol_core.errors import ConfigError, GenerationError
from lamol_core.generation.automaton import FormatAutomaton
from lamol_core.generation.characters import CharacterSteps
from lamol_core.generation.judging import Judge
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.parsing import parse_sample
from lamol_core.generation.requests import Draw, DrawingPlan, Request, assigned, rejected
from lamol_core.generation.selection import even_quotas, keep_best
from lamol_core.models.checkpoints import load_model, require_positions
from lamol_core.records import SURPLUS, PseudoSample, pseudo_row_id
from lamol_core.seeds import derive_seed, pseudo_seed
from lamol_core.text.normalise import normalise
from lamol_core.text.params import TextParams
from lamol_core.text.plain import written_forms
from lamol_core.text.tokenizer import TextCodec

log = logging.getLogger(__name__)


def draw_from_checkpoint(
    checkpoint: Path,
    teacher_sha256: str,
    count_by_task: Mapping[str, int],
    params: GenerateParams,
    text: TextParams,
    *,
    new_task: str,
    seed: int,
    carried: Sequence[PseudoSample] = (),
    labels_by_task: Mapping[str, Sequence[str]] | None = None,
    judge: Judge | None = None,
    on_rows_done: Progress = lambda count: None,
) -> list[PseudoSample]:
    """Load the teacher and draw `count_by_task` pseudo-samples; returns all samples, valid or not.

    Rows in `carried` count towards these numbers and come first of each task. `count_by_task` must
    be in the order of learning, because a task's index gives its GEN token. `labels_by_task`: the
    labels of each task (none for free text), which `known_labels` needs. The teacher runs in eval
    mode and in its stored dtype. Raises GenerationError and ConfigError as PseudoSampler.draw does.
    """
    codec = TextCodec.load(checkpoint)
    model = load_model(checkpoint, PartialState().device)
    requests = []
    for index, (task, count) in enumerate(count_by_task.items()):
        if count:
            gen_token = codec.control.gen_for(index, text.use_task_specific_gen_token)
            known = (labels_by_task or {}).get(task, ())
            is_given = text.is_target_first(known)  # the prompt names the label
            limit = text.max_length if is_given else text.max_target_tokens
            labels = _writable(task, known, codec, params.known_labels or is_given, limit)
            existing = Counter(normalise(s.target) for s in carried if s.source_task == task)
            missing = count - existing.total()
            targets: tuple[tuple[int, ...], ...] = ()
            if is_given:
                targets = _targets(labels, missing, existing, (seed, new_task, task))
            request = Request(task, gen_token, missing, frozenset(labels), existing, targets)
            requests.append(request)
    sampler = PseudoSampler(model, codec, params, text, new_task, seed, teacher_sha256, judge)
    return sampler.draw(requests, on_rows_done, carried)


def _targets(
    ids: Mapping[str, Sequence[int]], count: int, existing: Counter[str], key: tuple[Any, ...]
) -> tuple[tuple[int, ...], ...]:
    """The ids of the labels that `count` rows are to have: equal numbers of each, `existing` rows
    included. `key` decides which labels come first where there are fewer rows than labels."""
    order = sorted(ids, key=lambda label: derive_seed(*key, label))
    quotas = even_quotas(dict.fromkeys(order, count), count, existing)
    return tuple(tuple(ids[label]) for label, quota in quotas.items() for _ in range(quota))


def _writable(
    task: str, labels: Sequence[str], codec: TextCodec, needed: bool, max_tokens: int
) -> dict[str, list[int]]:
    """The labels that a teacher can write with `max_tokens` tokens, normalised, in the form in
    which it writes them, each with its ids. The first of the others is logged. Raises ConfigError
    where there are only others, if labels are `needed`."""
    forms = written_forms(labels, codec)
    ids = dict(zip(labels, codec.encode(labels), strict=True))
    written = [label for label in labels if label in forms and len(ids[label]) <= max_tokens]
    if lost := [label for label in labels if label not in written]:
        sentence = (
            f"{len(lost)} of the {len(labels)} labels of {task!r} can't be drawn, first "
            f"{lost[0]!r}: it has {len(ids[lost[0]])} tokens (text.max_target_tokens is "
            f"{max_tokens}), or the tokenizer takes it for another."
        )
        if needed and not written:
            raise ConfigError(f"params.yaml: {sentence} Raise that, or rename the labels.")
        log.warning("%s", sentence)
    return {normalise(forms[label]): ids[label] for label in written}


@dataclass(frozen=True)
class PseudoSampler:
    """Draws from one teacher for one new task. Each row depends only on its own seed."""

    teacher: PreTrainedModel
    codec: TextCodec
    params: GenerateParams
    text: TextParams
    new_task: str
    seed: int
    teacher_sha256: str
    judge: Judge | None = None

    def draw(
        self,
        requests: Sequence[Request],
        on_rows_done: Progress = lambda count: None,
        carried: Sequence[PseudoSample] = (),
    ) -> list[PseudoSample]:
        """Draw until all requests are met; returns every sample, valid or not, by task, index and
        attempt.

        `carried` rows come first of each task; they are not part of the requests' counts.
        DrawingPlan decides what is drawn again. With `draws_per_row` above 1 more rows are drawn
        than wanted, and the best are kept. Raises GenerationError, which counts the reasons, where
        rows are missing at the end; without `refill` that is no error, as in the published code.
        Raises ConfigError where rows are longer than the model allows."""
        keys = "text.max_input_tokens and text.max_target_tokens"
        require_positions(self.teacher, self.text.max_sample_tokens + 1, keys)
        samples: list[PseudoSample] = []
        plan, attempt = DrawingPlan(requests, self.params), 1
        while draws := plan.draws(samples, attempt):
            drawn = self._draw_once(draws, attempt, on_rows_done)
            samples += self._checked(drawn, requests, [*carried, *samples])
            attempt += 1
        surplus = {row_id for request in requests for row_id in self._surplus(request, samples)}
        samples = [rejected(s, SURPLUS) if s.row_id in surplus else s for s in samples]
        order = {request.source_task: index for index, request in enumerate(requests)}
        samples.sort(key=lambda s: (s.gen_index, s.attempt))
        return sorted([*carried, *samples], key=lambda s: order[s.source_task])

    def _surplus(self, request: Request, samples: list[PseudoSample]) -> set[str]:
        """The ids of a task's valid samples that are not needed. Raises GenerationError where there
        are too few, unless `refill` is off."""
        valid = [s for s in samples if s.source_task == request.source_task and s.valid]
        if len(valid) < request.count and self.params.refill:
            sentence = self._too_few(request, samples, request.count - len(valid))
            if self.judge is None or not valid:
                raise GenerationError(sentence)
            log.warning("%s", sentence)
        likeliest, balance = self.params.draws_per_row > 1, self.params.balance_labels
        kept = {sample.row_id for sample in valid[: request.count]}
        if likeliest or balance:
            # without more draws than rows the first ones: the likeliest vary the least
            valid.sort(key=lambda s: (s.nll if likeliest else s.attempt, s.gen_index, s.row_id))
            kept = keep_best(valid, request.count, balance, request.carried)
        return {sample.row_id for sample in valid} - kept

    def _checked(
        self, drawn: list[PseudoSample], requests: Sequence[Request], before: Sequence[PseudoSample]
    ) -> list[PseudoSample]:
        """Check newly drawn samples as the parameters ask. Rejects samples whose label is not their
        task's, duplicates (also of samples in `before`), and samples that the teacher answers
        differently."""
        if self.params.known_labels:
            drawn = [assigned(sample, requests) for sample in drawn]
        if self.params.unique:
            seen = {_text_of(sample) for sample in before if sample.valid}
            for index, sample in enumerate(drawn):
                if sample.valid and _text_of(sample) in seen:
                    drawn[index] = rejected(sample, "duplicate")
                elif sample.valid:
                    seen.add(_text_of(sample))
        if self.judge is not None:
            valid = [index for index, sample in enumerate(drawn) if sample.valid]
            verdicts = self.judge.agrees([drawn[index] for index in valid])
            for index, is_right in zip(valid, verdicts, strict=True):
                if not is_right:
                    drawn[index] = rejected(drawn[index], "other_label")
        if self.params.self_consistent:
            valid = [index for index, sample in enumerate(drawn) if sample.valid]
            inputs = [drawn[index].input_ids for index in valid]
            longest, batch_size = self.text.max_target_tokens, self.params.batch_size
            answers = answers_of(self.teacher, self.codec, inputs, longest, batch_size)
            for index, answer in zip(valid, answers, strict=True):
                if normalise(self.codec.decode(answer)) != normalise(drawn[index].target):
                    drawn[index] = rejected(drawn[index], "inconsistent")
        return drawn

    def _draw_once(
        self, draws: Sequence[Draw], attempt: int, on_rows_done: Progress
    ) -> list[PseudoSample]:
        """Draw one sample for each draw. The rows of all tasks share the batches."""
        seeds = [
            pseudo_seed(self.seed, self.new_task, request.source_task, index, attempt)
            for request, index in draws
        ]
        control, params, max_tokens = self.codec.control, self.params, self.text.max_sample_tokens
        text_format = FreeFormat()
        if params.format == "constrain":
            x_only = [bool(request.targets) for request, _ in draws]
            text_format = FormatAutomaton(x_only, control, self.text, self._characters)
        sampler = TopKSampler(seeds, params.topk, text_format, max_tokens, self.teacher.device)
        completions = decode(
            self.teacher,
            [request.prompt(index, control) for request, index in draws],
            sampler.choose,
            max_tokens,
            control,
            params.batch_size,
            on_rows_done,
            wants_nll=True,
        )
        samples = []
        for (request, index), seed, completion in zip(draws, seeds, completions, strict=True):
            written = completion.ids
            if target := request.target_of(index):
                end = (control.eos,) if written[-1:] == (control.eos,) else ()
                written = (*written[: len(written) - len(end)], control.ans, *target, *end)
            parsed = parse_sample(written, control, self.codec.decode)
            sample = PseudoSample(
                row_id=pseudo_row_id(self.new_task, request.source_task, index, attempt),
                source_task=request.source_task,
                gen_index=index,
                attempt=attempt,
                **parsed._asdict(),
                valid=not parsed.reject_reason,
                nll=completion.nll,
                seed=seed,
                teacher_sha256=self.teacher_sha256,
            )
            samples.append(sample)
        return samples

    @cached_property
    def _characters(self) -> CharacterSteps:
        vocabulary = self.teacher.get_output_embeddings().weight.shape[0]
        return CharacterSteps.over(self.codec.token_bytes(vocabulary), self.teacher.device)

    def _too_few(self, request: Request, samples: list[PseudoSample], missing: int) -> str:
        task = request.source_task
        prompted = [s for s in samples if s.prompted_task == task]
        reasons = Counter(s.reject_reason for s in prompted if not s.valid)
        reasons["of another task by their label"] = sum(
            s.valid and s.source_task != task for s in prompted
        )
        listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common() if count)
        constrain = ", or set generate.format: constrain" if self.params.format == "reject" else ""
        return (
            f"Pseudo-samples of {task!r} for {self.new_task!r}: {missing} of {request.count} rows "
            f"are missing after {self.params.max_attempts} draws a row (rejected: {listed}"
            f"{_by_label(request, prompted)}). Raise generate.max_attempts or lambda, or train the "
            f"earlier tasks longer (train.epochs){constrain}."
        )


def _by_label(request: Request, drawn: Sequence[PseudoSample]) -> str:
    """The labels that have too few rows, with the share of their draws that could be used; "" where
    prompts name no label."""
    if not request.targets:
        return ""
    draws, valid = Counter(s.target for s in drawn), Counter(s.target for s in drawn if s.valid)
    short = [label for label in draws if valid[label] < len(request.targets) // len(draws)]
    short.sort(key=lambda label: valid[label] / draws[label])
    listed = (f"{valid[label]} of {draws[label]} draws for {label!r}" for label in short)
    return "; usable: " + ", ".join(listed)


def _text_of(sample: PseudoSample) -> tuple[str, str, str]:
    """The task and normalised texts of a sample. Samples with equal ones are duplicates."""
    return sample.source_task, normalise(sample.input), normalise(sample.target)
