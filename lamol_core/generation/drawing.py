"""Pseudo-samples: the teacher writes rows of the tasks it knows, each drawn until it is valid."""

import logging
from collections import Counter
from collections.abc import Sequence

from transformers import PreTrainedModel

from lamol_core.decoding.answers import answers_of
from lamol_core.decoding.completions import Completion, Progress
from lamol_core.decoding.decode import decode
from lamol_core.decoding.samplers import TextFormat, TopKSampler
from lamol_core.errors import GenerationError
from lamol_core.generation.automaton import FormatAutomaton, FreeFormat, Limits
from lamol_core.generation.characters import CharacterSteps
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.parsing import parse_sample
from lamol_core.generation.requests import DrawingPlan, Place, Request, credited, rejected
from lamol_core.generation.selection import keep_best
from lamol_core.models.checkpoints import require_positions
from lamol_core.records import SURPLUS, PseudoSample, pseudo_row_id
from lamol_core.seeds import pseudo_seed
from lamol_core.text.normalise import normalise
from lamol_core.text.params import TextParams
from lamol_core.text.tokenizer import TextCodec

log = logging.getLogger(__name__)


class PseudoSampler:
    """Draws from one teacher for one new task. Each row depends on its own seed alone."""

    def __init__(
        self,
        teacher: PreTrainedModel,
        codec: TextCodec,
        params: GenerateParams,
        text: TextParams,
        *,
        new_task: str,
        seed: int,
        teacher_sha256: str,
    ) -> None:
        self._teacher, self._codec, self._params = teacher, codec, params
        self._new_task, self._seed, self._teacher_sha256 = new_task, seed, teacher_sha256
        self._limits = Limits(text.max_input_tokens, text.max_target_tokens)
        keys = "text.max_input_tokens and text.max_target_tokens"
        require_positions(teacher, self._limits.max_tokens + 1, keys)
        vocabulary = teacher.get_output_embeddings().weight.shape[0]
        self._characters = CharacterSteps.over(codec.token_bytes(vocabulary), teacher.device)

    def draw(
        self,
        requests: Sequence[Request],
        on_rows_done: Progress = lambda count: None,
        carried: Sequence[PseudoSample] = (),
    ) -> list[PseudoSample]:
        """Every sample drawn, valid or not, ordered by task, index and attempt.

        A rejected sample is drawn again, `max_attempts` draws at the most (never without `refill`,
        which then gives fewer rows, as the published code does). With `draws_per_row` so
        many times the rows are drawn and the best are kept (selection.py). With `known_labels` a
        row counts for the task that has its label, whatever its prompt. Rows that are `carried`
        over come first of each task, beside the requests. Raises GenerationError
        with the counts of each reason when rows are still missing then.
        """
        samples: list[PseudoSample] = []
        plan = DrawingPlan(requests, self._params)
        missing = plan.all_places()
        attempt = 0
        while missing:
            attempt += 1
            drawn = self._draw_once(missing, attempt, on_rows_done)
            drawn = self._checked(drawn, requests, [*carried, *samples])
            samples += drawn
            missing = plan.missing(missing, drawn, samples, attempt)
        surplus = {row_id for request in requests for row_id in self._surplus(request, samples)}
        samples = [rejected(s, SURPLUS) if s.row_id in surplus else s for s in samples]
        order = {request.source_task: place for place, request in enumerate(requests)}
        samples.sort(key=lambda s: (s.gen_index, s.attempt))
        return sorted([*carried, *samples], key=lambda s: order[s.source_task])

    def _surplus(self, request: Request, samples: list[PseudoSample]) -> set[str]:
        """The ids of a task's valid samples that are not needed; raises as `draw`."""
        valid = [s for s in samples if s.source_task == request.source_task and s.valid]
        if len(valid) < request.count and self._params.refill:
            raise GenerationError(self._too_few(request, samples, request.count - len(valid)))
        likeliest, balance = self._params.draws_per_row > 1, self._params.balance_labels
        if likeliest or balance:
            kept = keep_best(valid, request.count, balance, likeliest, request.carried)
        else:
            kept = {sample.row_id for sample in valid[: request.count]}
        return {sample.row_id for sample in valid} - kept

    def _checked(
        self, drawn: list[PseudoSample], requests: Sequence[Request], before: Sequence[PseudoSample]
    ) -> list[PseudoSample]:
        """Reject well-formed samples with a label that is not their task's, that were drawn
        already, or that the teacher contradicts."""
        if self._params.known_labels:
            drawn = [credited(sample, requests) for sample in drawn]
        if self._params.unique:
            seen = {_text_of(sample) for sample in before if sample.valid}
            for place, sample in enumerate(drawn):
                if sample.valid and _text_of(sample) in seen:
                    drawn[place] = rejected(sample, "duplicate")
                elif sample.valid:
                    seen.add(_text_of(sample))
        if self._params.self_consistent:
            places = [place for place, sample in enumerate(drawn) if sample.valid]
            inputs = [drawn[place].input_ids for place in places]
            longest, batch_size = self._limits.max_target_tokens, self._params.batch_size
            answers = answers_of(self._teacher, self._codec, inputs, longest, batch_size)
            for place, answer in zip(places, answers, strict=True):
                if normalise(self._codec.decode(answer)) != normalise(drawn[place].target):
                    drawn[place] = rejected(drawn[place], "inconsistent")
        return drawn

    def _draw_once(
        self, wanted: Sequence[Place], attempt: int, on_rows_done: Progress
    ) -> list[PseudoSample]:
        """One sample for each (request, index); the rows of all tasks are drawn together."""
        seeds = [
            pseudo_seed(self._seed, self._new_task, request.source_task, index, attempt)
            for request, index in wanted
        ]
        control, device = self._codec.control, self._teacher.device
        text_format: TextFormat
        if self._params.format == "constrain":
            text_format = FormatAutomaton(len(seeds), control, self._limits, self._characters)
        else:
            text_format = FreeFormat(len(seeds), control, self._limits, device)
        prompts = [[request.gen_token] for request, _ in wanted]
        topk, max_tokens = self._params.topk, self._limits.max_tokens
        sampler = TopKSampler(seeds, topk, text_format, max_tokens, device)
        completions = decode(
            self._teacher, prompts, sampler, self._params.batch_size, control.pad, on_rows_done
        )
        return [
            self._sample(request, index, attempt, seed, completion)
            for (request, index), seed, completion in zip(wanted, seeds, completions, strict=True)
        ]

    def _sample(
        self, request: Request, index: int, attempt: int, seed: int, completion: Completion
    ) -> PseudoSample:
        parsed = parse_sample(completion.ids, self._codec.control, self._codec.decode)
        return PseudoSample(
            row_id=pseudo_row_id(self._new_task, request.source_task, index, attempt),
            source_task=request.source_task,
            gen_index=index,
            attempt=attempt,
            input=parsed.input,
            target=parsed.target,
            input_ids=list(parsed.input_ids),
            target_ids=list(parsed.target_ids),
            valid=not parsed.reject_reason,
            reject_reason=parsed.reject_reason,
            nll=completion.nll,
            seed=seed,
            teacher_sha256=self._teacher_sha256,
        )

    def _too_few(self, request: Request, samples: list[PseudoSample], missing: int) -> str:
        name = request.source_task
        prompted = [s for s in samples if s.prompted_task == name]
        reasons = Counter(s.reject_reason for s in prompted if not s.valid)
        elsewhere = sum(s.valid and s.source_task != name for s in prompted)
        listed = [f"{reason} {count}" for reason, count in reasons.most_common()]
        listed += [f"rows of other tasks by their label {elsewhere}"] if elsewhere else []
        constrain = ", or set generate.format: constrain"
        return (
            f"Pseudo-samples of {name!r} for {self._new_task!r}: {missing} of {request.count} rows "
            f"are still not valid after {self._params.max_attempts} draws a row (rejected: "
            f"{', '.join(listed)}). Raise generate.max_attempts, train the earlier tasks longer "
            f"(train.epochs) or raise lambda"
            f"{constrain if self._params.format == 'reject' else ''}."
        )


def _text_of(sample: PseudoSample) -> tuple[str, str, str]:
    """What makes two samples the same: task and text, but for case and white space."""
    return sample.source_task, normalise(sample.input), normalise(sample.target)
