"""The format automaton and the top-k sampler, on logits alone."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lamol_core.sampling.characters import CharacterSteps
from lamol_core.sampling.filters import parse_sample
from lamol_core.sampling.topk import FormatAutomaton, FreeFormat, Limits, TopKSampler
from lamol_core.text.template import ControlTokens

CPU = torch.device("cpu")
CONTROL = ControlTokens(ans=1, eos=0, pad=2, gen=3, gen_by_task=(4, 5))
WORDS = 14
NEVER = float("-inf")
ASCII = CharacterSteps.over([b"a"] * WORDS, CPU)
FREE = FreeFormat(CONTROL, Limits(1000, 1000))


def spell(ids) -> str:  # type: ignore[no-untyped-def]
    return "".join(chr(ord("a") + token) for token in ids)


def automaton(rows: int, x: int = 5, y: int = 3) -> FormatAutomaton:
    return FormatAutomaton(rows, CONTROL, Limits(x, y), ASCII)


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
    limits, rows = Limits(x, y), 6
    sampler = TopKSampler(
        range(seed, seed + rows), topk, FormatAutomaton(rows, CONTROL, limits, ASCII), limits, CPU
    )
    generator = torch.Generator().manual_seed(seed)
    written: list[list[int]] = [[] for _ in range(rows)]
    live = list(range(rows))
    for _ in range(limits.max_tokens):
        logits = random_logits(len(live), generator, spread)
        if favoured is not None:
            logits[:, favoured] += 50
        tokens, ended = sampler.choose(logits)
        for row, token in zip(live, tokens.tolist(), strict=True):
            written[row].append(token)
        kept = (~ended).nonzero()[:, 0]
        live = [live[place] for place in kept.tolist()]
        if not live:
            break
        sampler.keep(kept)
    assert not live, "a row outlived the length limit"
    for ids in written:
        parsed = parse_sample(ids, CONTROL, spell)
        assert parsed.reject_reason == ""
        assert ids.count(CONTROL.ans) == 1 and ids.count(CONTROL.eos) == 1
        assert 1 <= len(parsed.input_ids) <= x and 1 <= len(parsed.target_ids) <= y
        assert not set(ids) & set(CONTROL.never_in_text)


def test_eos_counts_as_ans_in_x() -> None:
    machine = automaton(1)
    logits = torch.randn(1, WORDS, generator=torch.Generator().manual_seed(0))
    first = machine.constrain(logits)[0]
    assert first[CONTROL.ans] == NEVER and first[CONTROL.eos] == NEVER
    machine.advance(torch.tensor([8]))
    before = logits.softmax(dim=-1)[0]
    after = machine.constrain(logits)[0].softmax(dim=-1)
    banned = [CONTROL.pad, CONTROL.gen, *CONTROL.gen_by_task]
    left = 1 - before[banned].sum()
    expected = (before[CONTROL.ans] + before[CONTROL.eos]) / left
    torch.testing.assert_close(after[CONTROL.ans], expected)
    torch.testing.assert_close(after[8], before[8] / left)
    assert after[[*banned, CONTROL.eos]].sum() == 0


def test_in_y_there_is_no_ans_and_eos_is_its_own() -> None:
    machine = automaton(1)
    for token in (8, CONTROL.ans):
        assert not machine.advance(torch.tensor([token]))
    logits = torch.randn(1, WORDS, generator=torch.Generator().manual_seed(1))
    empty = machine.constrain(logits)[0]
    assert empty[CONTROL.ans] == NEVER and empty[CONTROL.eos] == NEVER
    machine.advance(torch.tensor([9]))
    inside = machine.constrain(logits)[0]
    assert inside[CONTROL.ans] == NEVER and inside[CONTROL.eos] == logits[0, CONTROL.eos]
    assert machine.advance(torch.tensor([CONTROL.eos])).item()


def test_limits_force_the_transition_row_by_row() -> None:
    machine = automaton(2, x=2, y=1)
    logits = torch.zeros(2, WORDS)
    machine.advance(torch.tensor([8, 8]))
    machine.advance(torch.tensor([8, CONTROL.ans]))
    forced = machine.constrain(logits)
    # row 0 has two tokens of x: ANS alone is left. Row 1 is at an empty y: text alone is left
    assert torch.isfinite(forced[0]).nonzero()[:, 0].tolist() == [CONTROL.ans]
    assert torch.isfinite(forced[1]).nonzero()[:, 0].tolist() == list(range(6, WORDS))
    machine.advance(torch.tensor([CONTROL.ans, 9]))
    forced = machine.constrain(logits)
    assert torch.isfinite(forced[1]).nonzero()[:, 0].tolist() == [CONTROL.eos]


def test_the_models_logits_are_not_written_into() -> None:
    # their log-likelihood is taken after the choice
    machine, logits = automaton(2, x=1), torch.randn(2, WORDS)
    before = logits.clone()
    machine.constrain(logits)
    machine.advance(torch.tensor([8, 8]))
    machine.constrain(logits)
    assert torch.equal(logits, before)


def test_rows_that_stay_keep_their_own_state() -> None:
    machine = automaton(3, x=5)
    machine.advance(torch.tensor([8, 8, 8]))
    machine.advance(torch.tensor([8, CONTROL.ans, 8]))
    machine.keep(torch.tensor([1, 2]))
    allowed = torch.isfinite(machine.constrain(torch.zeros(2, WORDS)))
    assert not allowed[0, CONTROL.ans] and allowed[1, CONTROL.ans]


def test_never_outside_the_top_k() -> None:
    rows, topk = 400, 3
    generator = torch.Generator().manual_seed(0)
    sampler = TopKSampler(range(rows), topk, FREE, Limits(10, 10), CPU)
    for _ in range(10):
        logits = random_logits(rows, generator, 1.0)
        tokens, _ = sampler.choose(logits)
        rank = (logits > logits.gather(1, tokens[:, None])).sum(dim=1)
        assert rank.max() == topk - 1


def test_draws_follow_the_renormalised_probabilities() -> None:
    rows, topk = 4000, 4
    logits = torch.tensor([2.0, 1.5, -1.0, 0.3, 1.0, -3.0])
    sampler = TopKSampler(range(rows), topk, FREE, Limits(2, 2), CPU)
    counts = torch.zeros(2, 6)
    for step in range(2):
        tokens, _ = sampler.choose(logits.expand(rows, -1))
        counts[step] = torch.bincount(tokens, minlength=6)
    kept = logits.topk(topk).indices
    expected = rows * logits[kept].softmax(dim=0)
    assert counts[:, [2, 5]].sum() == 0
    # chi-square, 3 degrees of freedom: 16.27 is exceeded once in a thousand
    statistic = ((counts[:, kept] - expected) ** 2 / expected).sum(dim=1)
    assert statistic.max() < 16.27


def test_two_steps_and_two_rows_are_independent() -> None:
    rows = 4000
    sampler = TopKSampler(range(rows), 2, FREE, Limits(2, 2), CPU)
    logits = torch.zeros(rows, 2)
    logits = torch.nn.functional.pad(logits, (0, 2), value=-50.0)
    first, second = sampler.choose(logits)[0], sampler.choose(logits)[0]
    for left, right in ((first, second), (first[:-1], first[1:])):
        agree = (left == right).float().mean().item()
        # 0.5 with a standard deviation of 0.5 / sqrt(4000) = 0.008
        assert abs(agree - 0.5) < 0.032


def test_a_row_depends_on_its_seed_alone() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = [random_logits(1, generator, 1.0) for _ in range(6)]

    def draw(seeds: list[int], of: int) -> list[int]:
        sampler = TopKSampler(seeds, 5, FREE, Limits(4, 4), CPU)
        return [sampler.choose(step.expand(len(seeds), -1))[0][of].item() for step in logits]

    alone = draw([77], 0)
    assert alone == draw([1, 2, 77, 3], 2) == draw([77, 77], 1)
    assert any(alone != draw([seed], 0) for seed in range(5))


def test_a_row_keeps_its_stream_when_others_leave() -> None:
    generator = torch.Generator().manual_seed(4)
    steps = [random_logits(1, generator, 1.0) for _ in range(6)]
    alone = TopKSampler([9], 5, FREE, Limits(4, 4), CPU)
    crowd = TopKSampler([8, 9, 7], 5, FREE, Limits(4, 4), CPU)
    place = 1
    for number, step in enumerate(steps):
        wide = step.expand(3 if number < 2 else 2, -1)
        assert alone.choose(step)[0][0] == crowd.choose(wide)[0][place]
        if number == 1:
            crowd.keep(torch.tensor([1, 2]))
            place = 0
