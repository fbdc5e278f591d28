"""Draw pseudo-samples: the teacher writes rows of earlier tasks, and invalid ones are drawn
again.
"""

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from accelerate import PartialState
from transformers import PreTrainedModel

from lamol_core.decoding.completions import Progress
from lamol_core.decoding.decode import decode
from lamol_core.decoding.samplers import FreeFormat, TopKSampler
from lamol_core.errors import GenerationError
from lamol_core.generation.automaton import FormatAutomaton
from lamol_core.generation.characters import CharacterSteps
from lamol_core.generation.judging import Judge
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.parsing import parse_sample
from lamol_core.generation.quotas import draw_num_answers
from lamol_core.generation.requests import (
    Draw,
    Request,
    draw_targets,
    draws_of_attempt,
    longest_draw,
    longest_sample,
    most_answers,
)
from lamol_core.models.checkpoints import load_model, num_positions, read_turns, require_positions
from lamol_core.records import PseudoSample, TaskFacts, all_texts, pseudo_row_id
from lamol_core.seeds import derive_seed, pseudo_seed
from lamol_core.text.codecs import load_codec
from lamol_core.text.normalise import normalise
from lamol_core.text.params import TextParams
from lamol_core.text.template import RowTemplate, TaskPrompts
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
    facts_by_task: Mapping[str, TaskFacts] | None = None,
    judge: Judge | None = None,
    on_rows_done: Progress = lambda count: None,
) -> list[PseudoSample]:
    """Load the teacher and draw `count_by_task` pseudo-samples; returns all samples, valid or not.

    Rows in `carried` count towards these numbers and come first of each task. `count_by_task` must
    be in the order of learning, because a task's index gives its GEN token. `facts_by_task`: with
    the labels that prompts name by `gen_order: target_first`, and the number of turns; without them
    a task is free text of one turn. The teacher runs in eval mode and in its stored dtype. Raises
    GenerationError and ConfigError as PseudoSampler.draw does, and ConfigError where the template
    has no place for several turns.
    """
    codec, facts_by_task = load_codec(checkpoint), facts_by_task or {}
    model = load_model(checkpoint, PartialState().device)
    target_first = {task for task, facts in facts_by_task.items() if text.is_target_first(facts)}
    specific = text.use_task_specific_gen_token
    template = codec.template(TaskPrompts(list(count_by_task), specific, target_first))
    trained_turns = read_turns(checkpoint)
    requests = []
    for task, count in count_by_task.items():
        if count:
            existing = Counter(normalise(s.target) for s in carried if s.source_task == task)
            missing, key = count - existing.total(), (seed, new_task, task)
            targets: tuple[tuple[int, ...], ...] = ()
            num_answers: tuple[int, ...] = ()
            if template.is_target_first(task):
                labels = facts_by_task[task].learnt_classes
                targets = draw_targets(codec, labels, missing, existing, key)
            if task in facts_by_task and facts_by_task[task].has_turns:
                template.require_turns(task)
                # of the rows as a training cut them; of all rows, if it kept no numbers
                shares = trained_turns.get(task, facts_by_task[task].num_answers)
                limit = num_positions(model) or math.inf
                most = most_answers(template, text, task, max(shares), limit)
                drawn_by = derive_seed(*key, "answers")
                num_answers = draw_num_answers(shares, missing, most, drawn_by)
            requests.append(Request(task, missing, targets, num_answers))
    sampler = PseudoSampler(
        model, codec, template, params, text, new_task, seed, teacher_sha256, judge
    )
    return sampler.draw(requests, on_rows_done, carried)


@dataclass(frozen=True)
class PseudoSampler:
    """Draws from one teacher for one new task. Each row depends only on its own seed."""

    teacher: PreTrainedModel
    codec: TextCodec
    template: RowTemplate
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
        attempt. `on_rows_done` counts rows as they are drawn, and takes rejected ones back.

        `carried` rows come first of each task; they are not part of the requests' counts. Raises
        GenerationError, which counts the reasons, where rows are missing at the end: without
        `refill` that is no error, as in the published code, and with a judge only where a task has
        none. Raises ConfigError where rows are longer than the model allows."""
        keys = "text.max_input_tokens and text.max_target_tokens"
        prompts = {
            (one.source_task, ids, num)
            for one in requests
            for ids in (one.targets or ((),))
            for num in (one.num_answers or (1,))
        }
        longest = max((longest_draw(self.template, self.text, *one) for one in prompts), default=1)
        require_positions(self.teacher, longest, keys)
        samples: list[PseudoSample] = []
        attempt = 1
        while draws := draws_of_attempt(requests, samples, attempt, self.params):
            drawn = self._draw_once(draws, attempt, on_rows_done)
            samples += self._checked(drawn, [*carried, *samples])
            on_rows_done(-sum(not sample.valid for sample in samples[-len(draws) :]))
            attempt += 1
        for request in requests if self.params.refill else ():
            task = request.source_task
            num_carried = sum(s.source_task == task for s in carried)
            self._require_rows(request, [s for s in samples if s.source_task == task], num_carried)
        order = {request.source_task: index for index, request in enumerate(requests)}
        samples.sort(key=lambda s: (s.gen_index, s.attempt))
        return sorted([*carried, *samples], key=lambda s: order[s.source_task])

    def _require_rows(
        self, request: Request, drawn: Sequence[PseudoSample], num_carried: int
    ) -> None:
        num_valid = sum(sample.valid for sample in drawn)
        if num_valid < request.count:
            missing, wanted = request.count - num_valid, request.count + num_carried
            sentence = self._too_few(request, drawn, f"{missing} of {wanted}")
            if self.judge is None or not num_valid + num_carried:
                raise GenerationError(sentence)
            log.warning("%s", sentence)

    def _checked(
        self, drawn: list[PseudoSample], before: Sequence[PseudoSample]
    ) -> list[PseudoSample]:
        """Check newly drawn samples as the parameters ask. Rejects duplicates (also of samples in
        `before`), and samples to which the judge gives another label."""
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
        return drawn

    def _draw_once(
        self, draws: Sequence[Draw], attempt: int, on_rows_done: Progress
    ) -> list[PseudoSample]:
        """Draw one sample for each draw. The rows of all tasks share the batches."""
        seeds = [
            pseudo_seed(self.seed, self.new_task, request.source_task, index, attempt)
            for request, index in draws
        ]
        template, params = self.template, self.params
        targets = [request.target_of(index) for request, index in draws]
        nums = [request.num_answers_of(index) for request, index in draws]
        most = [longest_sample(template, self.text, num) for num in nums]
        max_tokens = max(most)
        text_format = FreeFormat()
        if params.format == "constrain":
            x_only = [bool(target) for target in targets]
            text_format = FormatAutomaton(x_only, template, self.text, self._characters)
        sampler = TopKSampler(seeds, params.topk, text_format, max_tokens, self.teacher.device)
        completions = decode(
            self.teacher,
            [
                template.draw_prompt(request.source_task, target, num)
                for (request, _), target, num in zip(draws, targets, nums, strict=True)
            ],
            sampler.choose,
            max_tokens,
            [
                template.end_of_draw(bool(target), num)._replace(most=longest)
                for target, num, longest in zip(targets, nums, most, strict=True)
            ],
            template.pad,
            params.batch_size,
            on_rows_done,
            wants_nll=True,
        )
        samples = []
        drawn = zip(draws, targets, nums, seeds, completions, strict=True)
        for (request, index), target, num, seed, completion in drawn:
            parsed = parse_sample(completion.ids, template, self.codec, target, num)
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

    def _too_few(self, request: Request, drawn: Sequence[PseudoSample], missing: str) -> str:
        reasons = Counter(s.reject_reason for s in drawn if not s.valid)
        listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        constrain = ", or set generate.format: constrain" if self.params.format == "reject" else ""
        return (
            f"Pseudo-samples of {request.source_task!r} for {self.new_task!r}: {missing} rows "
            f"are missing after {self.params.max_attempts} draws a row "
            f"(rejected: {listed}{usable_by_label(request, drawn)}). Raise "
            f"generate.max_attempts or the method's lambda, or train the earlier tasks longer "
            f"(train.epochs){constrain}."
        )


def usable_by_label(request: Request, drawn: Sequence[PseudoSample]) -> str:
    """The labels that have too few rows, with the share of their draws that could be used; "" where
    prompts name no label."""
    wanted = Counter(request.targets)
    rows = [sample for sample in drawn if tuple(sample.target_ids) in wanted]
    draws = Counter(tuple(row.target_ids) for row in rows)
    valid = Counter(tuple(row.target_ids) for row in rows if row.valid)
    names = {tuple(row.target_ids): row.target for row in rows}
    short = [label for label in draws if valid[label] < wanted[label]]
    short.sort(key=lambda label: valid[label] / draws[label])
    listed = [f"{valid[label]} of {draws[label]} draws for {names[label]!r}" for label in short]
    return f"; usable: {', '.join(listed)}" if listed else ""


def rejected(sample: PseudoSample, reason: str) -> PseudoSample:
    return replace(sample, valid=False, reject_reason=reason)


def _text_of(sample: PseudoSample) -> tuple[str, ...]:
    """The task and normalised texts of a sample. Samples with equal ones are duplicates."""
    return sample.source_task, *map(normalise, all_texts(sample))
