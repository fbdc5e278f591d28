"""Which drawn rows count: duplicates, and rows carried over."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from transformers import PreTrainedModel

from lamol_core.generation.carry_over import count_rows, first_rows
from lamol_core.generation.drawing import draw_from_checkpoint
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.requests import draw_targets
from lamol_core.records import PseudoSample
from lamol_core.text.normalise import normalise
from lamol_core.text.tokenizer import PAD, TextCodec, reserved_tokens
from tests.fakes import CORPUS, splitting_tokenizer
from tests.generation.drawn import LIMITS, SHORT, draw


def test_a_text_that_was_drawn_already_is_drawn_again(
    writer: PreTrainedModel, codec: TextCodec
) -> None:
    plain = draw(writer, codec, (30,), text=SHORT, topk=4)
    unique = draw(writer, codec, (30,), text=SHORT, topk=4, unique=True, max_attempts=200)

    def kept(samples: list[PseudoSample]) -> list[tuple[str, str]]:
        return [(s.input.casefold().split(), s.target.casefold().split())  # type: ignore[misc]
                for s in samples if s.valid]  # fmt: skip

    assert len(set(map(str, kept(plain)))) < 30, "few tokens a step repeat themselves"
    assert len(kept(unique)) == len(set(map(str, kept(unique)))) == 30
    assert any(s.reject_reason == "duplicate" for s in unique)


def test_rows_are_carried_over_and_the_rest_is_drawn(
    tiny_checkpoint: Path, teacher: PreTrainedModel, codec: TextCodec
) -> None:
    before = draw(teacher, codec, (6, 6))
    wanted = {"task0": 4, "task1": 9, "task2": 3}
    carried = first_rows(before, wanted)
    assert Counter(s.source_task for s in carried) == {"task0": 4, "task1": 6}
    assert {s.row_id for s in carried} <= {s.row_id for s in before if s.valid}

    params = GenerateParams(max_attempts=50, unique=True)
    samples = draw_from_checkpoint(
        tiny_checkpoint, "abc", wanted, params, LIMITS, new_task="next", seed=0, carried=carried
    )
    kept = Counter(s.source_task for s in samples if s.valid)
    assert kept == wanted
    assert [s for s in samples if s.row_id.startswith("new/")] == carried
    texts = [(s.source_task, normalise(s.input), normalise(s.target)) for s in samples if s.valid]
    assert len({text for text in texts if text[0] != "task0"}) == 12, (
        "unique among carried rows too"
    )
    assert [s.source_task for s in samples] == sorted(s.source_task for s in samples)


def test_fewer_rows_carried_over_are_of_every_label() -> None:
    drawn = [row(index, target) for index, target in enumerate("aaaabbbbcc")]
    carried = first_rows(drawn, {"a": 6})
    assert Counter(one.target for one in carried) == {"a": 2, "b": 2, "c": 2}
    assert [one.gen_index for one in carried] == [0, 1, 4, 5, 8, 9]
    assert first_rows(drawn, {"a": 20}) == drawn


def row(index: int, target: str, task: str = "a", valid: bool = True) -> PseudoSample:
    return PseudoSample(
        f"b/pseudo/{task}/{index:06d}.1", task, index, 1, "x", target, [1], [2], valid,
        "" if valid else "duplicate", 0.0, 0, "t",
    )  # fmt: skip


def test_carried_valid_and_rejected_rows_are_counted() -> None:
    rows = [*(row(i, "y") for i in range(3)), row(3, "y", valid=False), row(4, "free", task="b")]
    counts = count_rows(rows, carried=rows[:2], params=GenerateParams())
    assert (counts["carried"], counts["valid"], counts["rejected"]) == (2, 2, 1)
    assert counts["kept_bytes"] == 0


def test_labels_are_named_and_compared_in_the_form_in_which_the_teacher_writes_them() -> None:
    tokenizer = splitting_tokenizer([*CORPUS, "Card-Lost!"])
    tokenizer.add_tokens(reserved_tokens(1), special_tokens=True)
    tokenizer.pad_token = PAD
    codec = TextCodec(tokenizer)
    targets = draw_targets(codec, ["Card-Lost!", "LIGHT"], 4, {"card - lost !": 2}, (0, "b", "a"))
    assert Counter(codec.decode(ids) for ids in targets) == {"card - lost !": 1, "light": 3}
