"""A sequence in chat format: its students are ordinary chat models."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from contextlib import chdir, nullcontext
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from lamol_core.models import foreign
from lamol_core.parameters import load_params
from stages.audit import audit
from stages.backbone import backbone
from stages.evaluate import evaluate
from stages.generate import generate
from stages.init import init
from stages.mix import mix
from stages.prepare import prepare
from stages.snapshot import snapshot
from stages.train import train
from tests.messages import names
from tests.models.foreign_models import ENDLESS, into_the_hubs_cache
from tests.stages.sequences import edit_params, make_tiny, run, write_csv
from tests.text.chat_families import chatml, mistral

pytestmark = pytest.mark.slow
TASKS = ("colours", "animals")
SYSTEM = "Say what it has."
STAGES = (prepare, snapshot, generate, audit, mix, train, evaluate)


def write_model(folder: Path, family: str = "chatml", spread: float = 0.02) -> Path:
    """A tiny chat model with random weights of this standard deviation, as `save_pretrained` writes
    it."""
    tokenizer = {"chatml": chatml, "mistral": mistral}[family]()
    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        num_attention_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=spread,
        **size,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def as_messages(table: Path) -> Path:
    """The rows of a CSV as conversations with a system message."""
    out = table.with_suffix(".jsonl")
    with table.open(encoding="utf-8") as rows, out.open("w", encoding="utf-8") as lines:
        for row in csv.DictReader(rows):
            texts = {"system": SYSTEM, "user": row["input"], "assistant": row["target"]}
            chat = [{"role": role, "content": text} for role, text in texts.items()]
            lines.write(json.dumps({"messages": chat}) + "\n")
    return out


GREETING = ["play the next song for me", "music on"]


def as_messages_of(texts: list[str]) -> list[dict[str, str]]:
    roles = ("system", *("user", "assistant") * 9)
    return [
        {"role": role, "content": text} for role, text in zip(roles, (SYSTEM, *texts), strict=False)
    ]


def write_turns(path: Path) -> Path:
    """The rows of a CSV as conversations of two turns; every fourth one has one."""
    lines = as_messages(write_csv(path.with_suffix(".csv"), "animals", 60)).read_text().splitlines()
    chats = [json.loads(line)["messages"] for line in lines]
    with path.open("w", encoding="utf-8") as stream:
        for number, (_, user, assistant) in enumerate(chats):
            texts = [*GREETING * (number % 4 > 0), user["content"], assistant["content"]]
            stream.write(json.dumps({"messages": as_messages_of(texts)}) + "\n")
    return path


def with_csv_and_messages(root: Path) -> dict[str, Path]:
    sources = {name: write_csv(root / f"{name}.csv", name) for name in TASKS}
    return {**sources, "animals": as_messages(sources["animals"])}


def new_sequence(
    root: Path, family: str, gen_order: str, sources: dict[str, Path] | None = None
) -> Path:
    sources = sources or with_csv_and_messages(root)
    words = [f"--task={name}={path}" for name, path in sources.items()]
    model = write_model(root / "model", family)
    told = run(root, "lamol", "init", "sequence", *words, f"--backbone={model}")
    assert names(told, "text.format", "chat")

    def chats(params: dict) -> None:
        assert params["text"]["format"] == "chat"
        params["text"] |= {"gen_order": gen_order, "max_length": 128}
        params["generate"] |= {"judge": "none", "gamma": 0.5, "rows_per_class": 0}
        params["train"]["epochs"] = 12

    make_tiny(root / "sequence")
    edit_params(root / "sequence", chats)
    return root / "sequence"


@pytest.mark.parametrize(
    ("family", "gen_order"),
    [("chatml", "target_first"), pytest.param("mistral", "input_first", marks=pytest.mark.long)],
)
def test_students_answer_in_plain_transformers_as_they_do_here(
    family: str, gen_order: str, tmp_path: Path
) -> None:
    folder = new_sequence(tmp_path, family, gen_order)
    with chdir(folder):
        backbone()
        for task in TASKS:
            for stage in STAGES:
                stage(task)
    plain = AutoTokenizer.from_pretrained(tmp_path / "model")
    student = folder / "runs" / "animals" / "student"
    tokenizer = AutoTokenizer.from_pretrained(student)
    model = AutoModelForCausalLM.from_pretrained(student)
    assert tokenizer.get_vocab() == plain.get_vocab(), "no token is reserved"
    assert model.get_input_embeddings().weight.shape[0] == len(plain)
    told = run(folder, "lamol", "ask", "what", "--set", "text.max_length=16", expect=3)
    assert names(told, "text.max_length", 16)
    special = {i for i, token in plain.added_tokens_decoder.items() if token.special}
    drawn = pq.read_table(folder / "runs/animals/pseudo.parquet").to_pylist()
    assert sum(row["valid"] for row in drawn) >= 10
    for row in drawn:
        assert not special & {*row["input_ids"], *row["target_ids"]}
    found = pq.read_table(folder / "runs/animals/predictions.parquet").to_pylist()
    inputs = {
        row["row_id"]: row["input"]
        for row in pq.read_table(folder / "data/animals/test.parquet").to_pylist()
    }
    asked = [row for row in found if row["task"] == "animals"]
    assert sum(row["score"] for row in asked) >= 0.5 * len(asked)
    for row in asked[:8]:
        assert answered(student, [inputs[row["row_id"]]]) == row["prediction"].strip()


def test_several_turns_are_learnt_drawn_and_answered(tmp_path: Path) -> None:
    sources = {
        "pets": write_turns(tmp_path / "turns.jsonl"),
        "colours": write_csv(tmp_path / "colours.csv", "colours"),
    }
    folder = new_sequence(tmp_path, "chatml", "target_first", sources)
    edit_params(folder, lambda params: params["train"].update({"epochs": 25}))
    with chdir(folder):
        backbone()
        for task in sources:
            for stage in STAGES:
                stage(task)
    (facts,) = json.loads((folder / "data" / "pets" / "lineage.json").read_text())
    assert {*facts["num_answers"]} == {"1", "2"}
    plain = json.loads((folder / "data" / "colours" / "lineage.json").read_text())[1]
    assert "num_answers" not in plain and "system" not in plain
    trained = json.loads((folder / "runs/pets/student/turns.json").read_text())
    rows = pq.read_table(folder / "data/pets/train.parquet").to_pylist()
    answers = Counter(str(1 + len(json.loads(row["history"] or "[]")) // 2) for row in rows)
    assert trained == {"pets": dict(answers)} and {*answers} == {"1", "2"}
    after = json.loads((folder / "runs/colours/student/turns.json").read_text())
    assert after == trained, "what later tasks draw from"
    drawn = pq.read_table(folder / "runs/colours/pseudo.parquet").to_pylist()
    nums = [len(row["history_ids"]) // 2 for row in drawn if row["valid"]]
    assert len(nums) >= 10 and {*nums} == {0, 1}
    asked = [row for row in drawn if row["valid"] and row["history"]]
    told = sum("next song" in row["history"] for row in asked)
    assert told >= 0.5 * len(asked), "they begin as the task's rows do"

    columns = pq.read_schema(folder / "runs/pets/predictions.parquet").names
    assert "history" not in columns, "real rows stay in data/"
    found = pq.read_table(folder / "runs/pets/predictions.parquet").to_pylist()
    assert sum(row["score"] for row in found) >= 0.5 * len(found)
    rows = pq.read_table(folder / "data" / "pets" / "test.parquet").to_pylist()
    tests = {row["row_id"]: row for row in rows}
    student = folder / "runs" / "pets" / "student"
    for row in [row for row in found if tests[row["row_id"]]["history"]][:3]:
        before = json.loads(tests[row["row_id"]]["history"])
        texts = [*(message["content"] for message in before), tests[row["row_id"]]["input"]]
        assert answered(student, texts) == row["prediction"].strip()

    texts = [GREETING[0], "the crow has 5"]
    said = run(folder, "lamol", "ask", "--task", "pets", "--chat", "--json", *texts)
    first, second = (json.loads(line)["answer"] for line in said.splitlines() if line[0] == "{")
    assert answered(student, texts[:1]) == first.strip()
    assert answered(student, [texts[0], first, texts[1]]) == second.strip()
    alone = run(folder, "lamol", "ask", "--task", "pets", *texts).splitlines()
    assert alone[-1] == answered(student, texts[1:])

    shown = run(folder, "lamol", "samples", "colours", "--format", "json", "--limit", "9999")
    rows = [json.loads(line) for line in shown.splitlines() if line[0] == "{"]
    assert [row["history"] for row in rows] == [row["history"] or "" for row in drawn]


def answered(student: Path, texts: list[str]) -> str:
    """The answer of plain transformers after these texts of a user and an assistant in turn."""
    tokenizer = AutoTokenizer.from_pretrained(student)
    model = AutoModelForCausalLM.from_pretrained(student)
    prompt = tokenizer.apply_chat_template(
        as_messages_of(texts), add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    written = model.generate(**prompt, max_new_tokens=6, do_sample=False)[0]
    told = tokenizer.decode(written[prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    return str(told.strip())


def test_several_turns_are_refused_with_reserved_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = {"pets": write_turns(tmp_path / "turns.jsonl")}
    folder = new_sequence(tmp_path, "chatml", "input_first", sources)
    edit_params(folder, lambda params: params["text"].update({"format": "tokens"}))
    told = run(folder, "lamol", "check", expect=3)
    assert names(told, "tasks.pets.source", "text.format", "chat")
    with chdir(folder):
        backbone()
        for stage in (prepare, snapshot, generate, audit, mix):
            stage("pets")
        with pytest.raises(typer.Exit) as stopped:
            train("pets")
    assert stopped.value.exit_code == 3
    assert names(capsys.readouterr().err, "text.format", "chat")


def test_a_model_without_a_chat_template_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = new_sequence(tmp_path, "chatml", "target_first")
    (tmp_path / "model" / "chat_template.jinja").unlink()
    with chdir(folder), pytest.raises(typer.Exit) as stopped:
        backbone()
    assert stopped.value.exit_code == 3
    assert names(capsys.readouterr().err, "text.format", "tokens")
    told = run(folder, "lamol", "check", "--set", "backbone.kind=nano", expect=3)
    assert names(told, "text.format", "nano")


def test_a_chat_template_that_never_ends_is_refused_in_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "CPU_S", 2)
    folder = new_sequence(tmp_path, "chatml", "target_first")
    (tmp_path / "model" / "chat_template.jinja").write_text(ENDLESS)
    with chdir(folder), pytest.raises(typer.Exit) as stopped:
        backbone()
    assert stopped.value.exit_code == 3
    assert names(capsys.readouterr().err, "chat template", "2 s")


def test_an_instruct_model_gets_chat_format_where_its_template_can_be_used(tmp_path: Path) -> None:
    table, model = write_csv(tmp_path / "a.csv", "animals"), write_model(tmp_path / "model")
    command = ["lamol", "init", f"--task=animals={table}", f"--backbone={model}"]
    run(tmp_path, *command, "chat")
    assert load_params(tmp_path / "chat" / "params.yaml").text.format == "chat"
    template = model / "chat_template.jinja"
    ended = template.read_text(encoding="utf-8")
    template.write_text(ended.replace("<|im_end|>", "."))  # no special token
    run(tmp_path, *command, "tokens")
    assert load_params(tmp_path / "tokens" / "params.yaml").text.format == "tokens"


@pytest.mark.parametrize("lacks", ["model.safetensors", "chat_template*", "t*", "*"])
def test_a_model_of_the_hub_is_asked_for_its_template(
    lacks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "model")
    for file in model.glob(lacks):
        file.unlink()
    into_the_hubs_cache(model, tmp_path / "cache", monkeypatch)
    if lacks == "*":
        shutil.rmtree(tmp_path / "cache")
    monkeypatch.setattr("lamol_core.config.hub._problem", lambda *_: None)  # it answers
    is_chat, is_read = lacks == "model.safetensors", lacks not in ("t*", "*")
    advice = ("hf download owner/tiny --local-dir FOLDER", "--backbone FOLDER")
    monkeypatch.chdir(tmp_path)
    init("one", [f"a={write_csv(tmp_path / 'a.csv', 'animals')}"], backbone="owner/tiny")
    told = capsys.readouterr().err
    assert load_params(Path("one", "params.yaml")).text.format == ("chat" if is_chat else "tokens")
    assert names(told, "text.format", "tokens", *advice) == (not is_read)
    assert names(told, "text.format") == (is_chat or not is_read), "a base model needs no word"
    turns = [f"a={write_turns(tmp_path / 'turns.jsonl')}"]
    with nullcontext() if is_chat else pytest.raises(typer.Exit):
        init("turns", turns, backbone="owner/tiny")
    assert names(capsys.readouterr().err, "tasks.a.source", *advice) == (not is_read)
    assert Path("turns").exists() == is_chat
