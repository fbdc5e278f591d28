"""The format automaton and the top-k sampler, on logits alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lamol_core.decoding.completions import Writer
from lamol_core.decoding.samplers import Candidates, FreeFormat, TopKSampler
from lamol_core.generation.automaton import FormatAutomaton
from lamol_core.generation.characters import CharacterSteps
from lamol_core.generation.parsing import parse_sample
from lamol_core.text.params import TextParams
from lamol_core.text.template import ControlTokens, TokenTemplate
from tests.fakes import Decodes
from tests.fakes import Turns as TurnsTemplate

CPU = torch.device("cpu")
CONTROL = ControlTokens(ans=1, eos=0, pad=2, gen=3, gen_by_task=(4, 5))
TEMPLATE = TokenTemplate(CONTROL)
WORDS = 14
NEVER = float("-inf")
ASCII = CharacterSteps.over([b"a"] * WORDS, CPU)
MAX_TOKENS = 2000


def spell(ids) -> str:  # type: ignore[no-untyped-def]
    return "".join(chr(ord("a") + token) for token in ids)


def automaton(rows: int, x: int = 5, y: int = 3, x_only: int = 0) -> FormatAutomaton:
    """The first `x_only` rows have their y in the prompt."""
    limits = TextParams(max_input_tokens=x, max_target_tokens=y)
    return FormatAutomaton([row < x_only for row in range(rows)], TEMPLATE, limits, ASCII)


def free_sampler(seeds: Sequence[int], topk: int) -> TopKSampler:
    return TopKSampler(seeds, topk, FreeFormat(), MAX_TOKENS, CPU)


def every(rows: int) -> torch.Tensor:
    return torch.arange(rows)


def spread(candidates: Candidates, words: int) -> torch.Tensor:
    """Logits (B, words) of the candidates, -inf for other ids."""
    empty = torch.full((len(candidates.ids), words), NEVER)
    return empty.scatter_reduce(1, candidates.ids, candidates.values, "amax")


def constrain(machine: FormatAutomaton, logits: torch.Tensor) -> torch.Tensor:
    """All candidates as logits (B, V): -inf where the format forbids a token."""
    rows = every(len(logits))
    candidates = machine.candidates(logits.clone(), rows, WORDS)
    return spread(candidates, WORDS)


def advance(machine: FormatAutomaton, *tokens: int) -> None:
    machine.advance(torch.tensor(tokens), every(len(tokens)))


def choose(
    sampler: TopKSampler, logits: torch.Tensor, step: int, rows: torch.Tensor | None = None
) -> torch.Tensor:
    """The ids chosen for these rows (default: one a row of logits), which have `step` tokens."""
    rows = every(len(logits)) if rows is None else rows
    return sampler.choose(logits, rows, torch.full_like(rows, step))


def random_logits(rows: int, generator: torch.Generator, spread: float) -> torch.Tensor:
    return spread * torch.randn(rows, WORDS, generator=generator)


@given(
    seed=st.integers(0, 2**31),
    topk=st.integers(1, WORDS + 3),
    x=st.integers(1, 6),
    y=st.integers(1, 4),
    spread=st.sampled_from([0.0, 1.0, 20.0]),
    favoured=st.sampled_from([None, 0, 1, 2, 3, 4]),
)
@settings(max_examples=80, deadline=None)
def test_every_completion_is_well_formed(
    seed: int, topk: int, x: int, y: int, spread: float, favoured: int | None
) -> None:
    """Whatever the model wants: EOS at once, ANS for ever, GEN, PAD."""
    max_tokens, rows, x_only = x + y + 2, 6, 2
    machine = automaton(rows, x, y, x_only)
    sampler = TopKSampler(range(seed, seed + rows), topk, machine, max_tokens, CPU)
    generator = torch.Generator().manual_seed(seed)
    written: list[list[int]] = [[] for _ in range(rows)]
    live = list(range(rows))
    for step in range(max_tokens):
        logits = random_logits(len(live), generator, spread)
        if favoured is not None:
            logits[:, favoured] += 50
        tokens = choose(sampler, logits, step, torch.tensor(live))
        for row, token in zip(live, tokens.tolist(), strict=True):
            written[row].append(token)
        live = [row for row in live if written[row][-1] != CONTROL.eos]
        if not live:
            break
    assert not live, "a row outlived the length limit"
    for row, ids in enumerate(written):
        if row < x_only:
            assert ids[-1] == CONTROL.eos and 1 <= len(ids[:-1]) <= x
            assert not set(ids[:-1]) & {CONTROL.ans, CONTROL.eos, *CONTROL.never_in_text}
            continue
        parsed = parse_sample(ids, TEMPLATE, Decodes(spell))
        assert parsed.reject_reason == ""
        assert ids.count(CONTROL.ans) == 1 and ids.count(CONTROL.eos) == 1
        assert 1 <= len(parsed.input_ids) <= x and 1 <= len(parsed.target_ids) <= y
        assert not set(ids) & set(CONTROL.never_in_text)


@given(
    seed=st.integers(0, 2**31),
    topk=st.integers(1, WORDS),
    one_end=st.booleans(),
    favoured=st.sampled_from([None, 0, 1, 4, 5, 7]),
)
@settings(max_examples=40, deadline=None)
def test_turns_follow_each_other_until_the_number_drawn_is_reached(
    seed: int, topk: int, one_end: bool, favoured: int | None
) -> None:
    template, x, y, nums = TurnsTemplate(one_end), 4, 3, (1, 2, 4)
    limits = TextParams(max_input_tokens=x, max_target_tokens=y)
    machine = FormatAutomaton([False] * len(nums), template, limits, ASCII)
    max_tokens = 4 * (x + y + 5)
    sampler = TopKSampler(range(seed, seed + len(nums)), topk, machine, max_tokens, CPU)
    generator = torch.Generator().manual_seed(seed)

    def choose(logits: torch.Tensor, rows: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        if favoured is not None:
            logits[:, favoured] += 50
        return sampler.choose(logits, rows, length)

    writer = Writer(choose, [template.end_of_draw(False, num) for num in nums], max_tokens, CPU)
    live = every(len(nums))
    while len(live):
        _, ended = writer.write(random_logits(len(live), generator, 1.0), live)
        live = live[~ended]
    for num, written in zip(nums, writer.completions(), strict=True):
        parsed = parse_sample(written.ids, template, Decodes(spell), num_answers=num)
        assert parsed.reject_reason == ""
        assert len(parsed.history_ids) == 2 * (num - 1)
        for i, ids in enumerate([*parsed.history_ids, parsed.input_ids, parsed.target_ids]):
            assert 1 <= len(ids) <= (y if i % 2 else x)


def test_what_stands_before_an_answer_may_be_text_too() -> None:
    """Such as the line end after the name of a role."""
    template = TurnsTemplate(one_end=True)
    machine = FormatAutomaton([False], template, TextParams(max_input_tokens=5), ASCII)
    allowed = constrain(machine, torch.zeros(1, WORDS))[0] > NEVER
    assert allowed[[*template.header, *template.between]].all()
    assert not allowed[[*template.never_in_text, template.end]].any()


def test_eos_counts_as_ans_in_x() -> None:
    machine = automaton(1)
    logits = torch.randn(1, WORDS, generator=torch.Generator().manual_seed(0))
    first = constrain(machine, logits)[0]
    assert first[CONTROL.ans] == NEVER and first[CONTROL.eos] == NEVER
    advance(machine, 8)
    before = logits.softmax(dim=-1)[0]
    after = constrain(machine, logits)[0].softmax(dim=-1)
    banned = [CONTROL.pad, CONTROL.gen, *CONTROL.gen_by_task]
    left = 1 - before[banned].sum()
    expected = (before[CONTROL.ans] + before[CONTROL.eos]) / left
    torch.testing.assert_close(after[CONTROL.ans], expected)
    torch.testing.assert_close(after[8], before[8] / left)
    assert after[[*banned, CONTROL.eos]].sum() == 0


def test_in_y_there_is_no_ans_and_eos_is_its_own() -> None:
    machine = automaton(1)
    for token in (8, CONTROL.ans):
        advance(machine, token)
    logits = torch.randn(1, WORDS, generator=torch.Generator().manual_seed(1))
    empty = constrain(machine, logits)[0]
    assert empty[CONTROL.ans] == NEVER and empty[CONTROL.eos] == NEVER
    advance(machine, 9)
    inside = constrain(machine, logits)[0]
    assert inside[CONTROL.ans] == NEVER and inside[CONTROL.eos] == logits[0, CONTROL.eos]


def test_the_end_is_one_of_the_likeliest_or_no_candidate() -> None:
    machine = automaton(1)
    advance(machine, 8)
    logits = torch.arange(WORDS, dtype=torch.float)[None]
    first, second, third = WORDS - 1, WORDS - 2, WORDS - 3
    assert machine.candidates(logits.clone(), every(1), 3).ids.tolist() == [[first, second, third]]
    logits[0, CONTROL.ans] = 100.0
    assert machine.candidates(logits, every(1), 3).ids.tolist() == [[CONTROL.ans, first, second]]


def test_limits_force_the_transition_row_by_row() -> None:
    machine = automaton(2, x=2, y=1)
    logits = torch.zeros(2, WORDS)
    advance(machine, 8, 8)
    advance(machine, 8, CONTROL.ans)
    forced = constrain(machine, logits)
    # row 0 has two tokens of x: ANS alone is left. Row 1 is at an empty y: text alone is left
    assert torch.isfinite(forced[0]).nonzero()[:, 0].tolist() == [CONTROL.ans]
    assert torch.isfinite(forced[1]).nonzero()[:, 0].tolist() == list(range(6, WORDS))
    advance(machine, CONTROL.ans, 9)
    forced = constrain(machine, logits)
    assert torch.isfinite(forced[1]).nonzero()[:, 0].tolist() == [CONTROL.eos]


def test_logits_that_can_be_chosen_stay_as_they_were() -> None:
    # the log-likelihood of the chosen token is taken after the choice
    machine, logits = automaton(2, x=1), torch.randn(2, WORDS)
    for _ in range(2):
        after = logits.clone()
        candidates = machine.candidates(after, every(2), WORDS)
        possible = candidates.values > NEVER
        assert possible.any(dim=1).all()
        for row in range(2):
            ids = candidates.ids[row, possible[row]]
            assert torch.equal(after[row, ids], logits[row, ids])
        advance(machine, 8, 8)


def test_rows_keep_their_own_state_in_any_company() -> None:
    machine = automaton(3, x=5)
    advance(machine, 8, 8, 8)
    advance(machine, 8, CONTROL.ans, 8)
    candidates = machine.candidates(torch.zeros(2, WORDS), torch.tensor([2, 1]), WORDS)
    allowed = spread(candidates, WORDS) > NEVER
    assert allowed[0, CONTROL.ans] and not allowed[1, CONTROL.ans]


def test_never_outside_the_top_k() -> None:
    rows, topk = 400, 3
    generator = torch.Generator().manual_seed(0)
    sampler = free_sampler(range(rows), topk)
    for step in range(10):
        logits = random_logits(rows, generator, 1.0)
        tokens = choose(sampler, logits, step)
        rank = (logits > logits.gather(1, tokens[:, None])).sum(dim=1)
        assert rank.max() == topk - 1


def test_draws_follow_the_renormalised_probabilities() -> None:
    rows, topk = 4000, 4
    logits = torch.tensor([2.0, 1.5, -1.0, 0.3, 1.0, -3.0])
    sampler = free_sampler(range(rows), topk)
    counts = torch.zeros(2, 6)
    for step in range(2):
        tokens = choose(sampler, logits.expand(rows, -1), step)
        counts[step] = torch.bincount(tokens, minlength=6)
    kept = logits.topk(topk).indices
    expected = rows * logits[kept].softmax(dim=0)
    assert counts[:, [2, 5]].sum() == 0
    # chi-square, 3 degrees of freedom: 16.27 is exceeded once in a thousand
    statistic = ((counts[:, kept] - expected) ** 2 / expected).sum(dim=1)
    assert statistic.max() < 16.27


def test_two_steps_and_two_rows_are_independent() -> None:
    rows = 4000
    sampler = free_sampler(range(rows), 2)
    logits = torch.zeros(rows, 2)
    logits = torch.nn.functional.pad(logits, (0, 2), value=-50.0)
    first, second = (choose(sampler, logits, step) for step in range(2))
    for left, right in ((first, second), (first[:-1], first[1:])):
        agree = (left == right).float().mean().item()
        # 0.5 with a standard deviation of 0.5 / sqrt(4000) = 0.008
        assert abs(agree - 0.5) < 0.032


def test_a_row_depends_on_its_seed_alone() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = [random_logits(1, generator, 1.0) for _ in range(6)]

    def draw(seeds: list[int], of: int) -> list[int]:
        sampler = free_sampler(seeds, 5)
        return [
            choose(sampler, row.expand(len(seeds), -1), step)[of].item()
            for step, row in enumerate(logits)
        ]

    alone = draw([77], 0)
    assert alone == draw([1, 2, 77, 3], 2) == draw([77, 77], 1)
    assert any(alone != draw([seed], 0) for seed in range(5))


def test_a_row_keeps_its_stream_when_others_leave() -> None:
    generator = torch.Generator().manual_seed(4)
    steps = [random_logits(1, generator, 1.0) for _ in range(6)]
    alone, crowd = free_sampler([9], 5), free_sampler([8, 9, 7], 5)
    for step, logits in enumerate(steps):
        rows = torch.tensor([0, 1, 2] if step < 2 else [2, 1])
        tokens = choose(crowd, logits.expand(len(rows), -1), step, rows)
        assert choose(alone, logits, step)[0] == tokens[rows == 1]
