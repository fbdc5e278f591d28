"""Answers to test rows: what is cut is counted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lamol_core.artifacts.manifest import Provenance
from lamol_core.decoding.answers import answer_greedily
from lamol_core.errors import ConfigError
from lamol_core.evaluation import scoring
from lamol_core.evaluation.params import EvaluateParams
from lamol_core.evaluation.predict import Answers, predict
from lamol_core.evaluation.scoring import predict_from_checkpoint
from lamol_core.models.checkpoints import load_model, save_checkpoint
from lamol_core.models.reserve import reserve_tokens
from lamol_core.records import Example, TaskFacts, to_history
from lamol_core.text.chat import ChatCodec
from lamol_core.text.chat_pieces import find_pieces
from lamol_core.text.codecs import load_codec
from tests.fakes import CORPUS, sharpen, splitting_tokenizer, tiny_backbone_params, tiny_llama
from tests.messages import names, naming
from tests.text.chat_families import chatml


def test_inputs_are_cut_at_their_beginning_and_counted(tiny_checkpoint: Path) -> None:
    model, codec = load_model(tiny_checkpoint, torch.device("cpu")), load_codec(tiny_checkpoint)
    short, long = "the light", "turn on the light " * 30
    params = EvaluateParams(max_target_tokens=3)
    answers = predict(model, codec, [short, long], params, max_length=12)
    assert len(answers.texts) == 2 and answers.rows_cut == 1
    assert answers.answers_cut == 2, "without training it ends nowhere"
    of_rows, of_answers = answers.cuts(params)
    assert names(of_rows, "text.max_length", 1)
    assert names(of_answers, "evaluate.max_target_tokens", 3, 2)
    (kept,) = codec.encode([long])
    end = codec.decode(kept[-10:])
    assert codec.encode([end])[0] == kept[-10:], "what is kept can be written as a text"
    (alone,) = predict(model, codec, [end], params, max_length=12).texts
    assert alone == answers.texts[1]


def test_inputs_leave_room_for_answers_in_the_models_positions(tiny_checkpoint: Path) -> None:
    model, codec = load_model(tiny_checkpoint, torch.device("cpu")), load_codec(tiny_checkpoint)
    positions = model.config.max_position_embeddings
    long = "turn on the light " * 30
    params = EvaluateParams(max_target_tokens=20)
    answers = predict(model, codec, [long], params, max_length=positions)
    assert answers.rows_cut == 1, "it was trained on so long a row, and can be scored on it"
    (kept,) = codec.encode([long])
    end = codec.decode(kept[-(positions - 21) :])
    assert predict(model, codec, [end], params, positions).texts == answers.texts
    with pytest.raises(ConfigError, match=naming("evaluate.max_target_tokens", positions)):
        predict(model, codec, [long], EvaluateParams(max_target_tokens=positions), positions)


def test_answers_are_scored_in_the_form_in_which_the_model_writes(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a tokenizer that lower-cases and splits, no answer is spelt like its label. Labels that
    it takes for the same are never right."""
    labels = ["Card-Lost!", "top.up", "☂", "☃"]
    written = ["card - lost !", "top . up", "[UNK]", "[UNK]"]
    model, tokenizer = tiny_llama(vocab_size=400), splitting_tokenizer([*CORPUS, *labels[:2]])
    reserve_tokens(model, tokenizer, tiny_backbone_params())
    save_checkpoint(tmp_path / "student", model, Provenance(), tokenizer=tokenizer)
    answers = Answers(written, 0, 0)
    monkeypatch.setattr(scoring, "predict", lambda *given: answers)
    rows = [Example(f"a/test/{i}", "a", "x", label, 0) for i, label in enumerate(labels)]

    def scores(student: Path) -> list[float]:
        facts = TaskFacts("a", "accuracy", "classes", (), {})
        given = {"a": rows}, {"a": facts}, EvaluateParams(), 64
        return [one.score for one in predict_from_checkpoint(student, *given).predictions]

    assert scores(tmp_path / "student") == [1.0, 1.0, 0.0, 0.0]
    assert scores(tiny_checkpoint) == [0.0] * 4, "what loses nothing is compared as it is"


def test_a_long_system_message_cuts_the_inputs_of_its_own_task_alone() -> None:
    tokenizer = chatml()
    model = sharpen(tiny_llama(vocab_size=len(tokenizer), max_position_embeddings=512))
    codec = ChatCodec(tokenizer, find_pieces(tokenizer))
    params, text, long = EvaluateParams(max_target_tokens=4), "lamp off " * 30, "Be brief. " * 5
    most = len(codec.template().answer_prompt(codec.encode_inputs([text])[0])) + 1
    alone = predict(model, codec, [text], params, most)
    both = predict(model, codec, [text, text], params, most, systems=["", long])
    assert alone.rows_cut == 0 and both.rows_cut == 1
    assert both.texts[0] == alone.texts[0]


def test_answers_follow_the_turns_before_them_as_many_as_fit() -> None:
    """The prompt is that of plain transformers."""
    tokenizer = chatml()
    model = sharpen(tiny_llama(vocab_size=len(tokenizer), max_position_embeddings=512))
    codec = ChatCodec(tokenizer, find_pieces(tokenizer))
    turns = [("lamp off", "done"), ("next song", "music on")]
    histories = [to_history(turns[start:]) for start in (2, 1, 0)]
    params = EvaluateParams(max_target_tokens=4)
    alone, one, both = predict(model, codec, ["what?"] * 3, params, 512, histories=histories).texts
    assert len({alone, one, both}) == 3, "each turn changes the answer"
    texts = [text for turn in turns for text in turn]
    roles = ("user", "assistant") * 2
    chat = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    prompt = tokenizer.apply_chat_template(
        [*chat, {"role": "user", "content": "what?"}], add_generation_prompt=True
    )["input_ids"]
    template = codec.template()
    (told,) = answer_greedily(model, template, [prompt], 4, 1)
    assert codec.decode_target([i for i in told.ids if i != template.end]) == both
    room = len(prompt) - 1 + 1  # a token less than both turns and an answer's end need
    cut = predict(model, codec, ["what?"] * 3, params, room, histories=histories)
    assert cut.texts == [alone, one, one] and cut.rows_cut == 1
