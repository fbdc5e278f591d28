"""A fingerprint stands in for forgotten rows: what it tells is what the rows would have told."""

from __future__ import annotations

import io
from bisect import bisect_right
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamol_core.artifacts.layout import Layout
from lamol_core.audit.fingerprint import (
    FIGURES,
    HASHES,
    Fingerprint,
    own_key,
    read_fingerprint,
    to_files,
)
from lamol_core.audit.memorisation.keyed_hash import LADDER, HashedTexts, KeyedHash
from lamol_core.audit.memorisation.spans import longest_shared_spans
from lamol_core.audit.params import AuditParams
from lamol_core.audit.samples import Judgement
from lamol_core.audit.spec import Audited
from lamol_core.audit.verdicts import Audit, run_checks
from lamol_core.data.params import PrepareParams, TaskParams
from lamol_core.data.prepare import prepare_task, write_base
from lamol_core.data.task_data import TaskData
from lamol_core.errors import ArtifactError
from lamol_core.privacy.fingerprinting import fingerprint_files, fingerprint_of
from lamol_core.text.normalise import words_of
from tests.audit.corpus import SEED, TASK, clean, sample, with_rows
from tests.messages import mentions, names, naming

KEY = bytes(range(32))
FORGOTTEN_ON = "2026-11-25"
words = st.lists(st.sampled_from("abcd"), min_size=1, max_size=40).map(" ".join)


def forgotten(audited: Audited, fingerprint: Fingerprint | None) -> Audited:
    (task,) = audited.tasks
    gone = replace(task, train=(), held_out=(), forgotten_on=FORGOTTEN_ON, fingerprint=fingerprint)
    return replace(audited, tasks=[gone])


def remembered(audited: Audited) -> Audited:
    """The table with a fingerprint in the place of its rows."""
    return forgotten(audited, fingerprint_of(audited.tasks[0], KEY, SEED))


def audit(audited: Audited) -> Audit:
    return run_checks(audited, AuditParams())


def figures(result: Audit, check: str) -> dict[str, float | None]:
    (finding,) = (one for one in result.findings if one.check == check)
    return dict(finding.by_task.get(TASK, {}))


@given(words, st.lists(words, min_size=1, max_size=5))
def test_a_longest_run_is_the_longest_shared_span_by_the_ladder(
    text: str, corpus: list[str]
) -> None:
    hashed = KeyedHash(KEY)
    shared = longest_shared_spans([words_of(text)], [words_of(row) for row in corpus])
    steps = (0, *LADDER)
    (longest,) = HashedTexts([text], hashed).longest_runs(hashed.corpus(corpus))
    assert longest == steps[bisect_right(steps, int(shared.words[0])) - 1]


SECRETS = ["anna.b.smith@mail.co.uk", "212-555-0100", "10.0.0.1", "4111-1111-1111-1111"]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_cannot_be_tried_by_itself(secret: str) -> None:
    hashed = KeyedHash(KEY)
    row = f"please write the bill to {secret} by monday, said the clerk of the shop"
    kept = hashed.corpus([row])
    assert len(kept) > 0 and hashed.row(secret) is None
    assert HashedTexts([secret], hashed).longest_runs(kept) == [0]


def test_it_comes_back_from_its_files_and_has_no_word_of_the_rows(tmp_path: Path) -> None:
    (task,) = clean().tasks
    key_file = tmp_path / "elsewhere" / "key"
    key = own_key(key_file)
    assert own_key(key_file) == key and key_file.stat().st_mode & 0o077 == 0
    kept = fingerprint_of(task, key, SEED)
    files = to_files(kept)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert to_files(read_fingerprint(tmp_path, key_file) or kept) == files
    assert read_fingerprint(tmp_path, tmp_path / "no key") is None

    table = pq.read_table(io.BytesIO(files[HASHES]))
    assert table.schema.field("hash").type == pa.int64()
    assert set(table["side"].to_pylist()) == {"train", "held_out", "train_rest", "held_out_rest"}
    told = b"".join(content for name, content in files.items() if name != HASHES).decode()
    said = {word for row in task.train for word in row.input.split()}
    assert not {word for word in said if word in told.split()}

    (tmp_path / "other").write_text("00" * 32)
    assert read_fingerprint(tmp_path, tmp_path / "other") is None, "made with another key"
    (tmp_path / "broken").write_text("no hex")
    with pytest.raises(ArtifactError, match=naming(tmp_path / "broken")):
        read_fingerprint(tmp_path, tmp_path / "broken")
    for name in (HASHES, FIGURES):  # cut off, before it was copied from the record
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:-9])
        with pytest.raises(ArtifactError, match=naming(tmp_path / name)):
            read_fingerprint(tmp_path, key_file)
        (tmp_path / name).write_bytes(whole)


def test_copies_of_forgotten_rows_are_found_by_it() -> None:
    audited = clean()
    (task,) = audited.tasks
    rows = {i: sample(i, task.train[i].input, task.drawn[i].target) for i in range(20, 40)}
    with_copies = with_rows(audited, rows)
    result = audit(remembered(with_copies))
    by_rows = audit(with_copies)
    assert by_rows.failed == ["memorisation"] and result.verdict != "pass"
    found = {finding.check: finding.verdict for finding in result.findings}
    assert {check for check, verdict in found.items() if verdict != "pass"} == {"memorisation"}
    assert figures(result, "memorisation")["exact_copies"] == 20
    copied = {flag.row_id for flag in result.flags if flag.check == "memorisation"}
    assert copied == {flag.row_id for flag in by_rows.flags if flag.check == "memorisation"}


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_table_passes_by_it_too(seed: int) -> None:
    result = audit(remembered(clean(seed=seed)))
    assert result.verdict_on("privacy") == "pass"
    (note,) = result.notes
    assert names(note, TASK, FORGOTTEN_ON)


def test_histograms_tell_what_the_rows_told() -> None:
    audited = clean(seed=3)
    by_rows, by_hashes = audit(audited), audit(remembered(audited))
    same = figures(by_rows, "faithfulness")
    assert same and figures(by_hashes, "faithfulness") == same
    for check, figure in (("variety", "distinct_2_ratio"), ("copies", "duplicate_excess")):
        told, expected = (figures(one, check)[figure] for one in (by_hashes, by_rows))
        assert told == pytest.approx(expected, abs=0.05)
    assert figures(by_hashes, "drift")["drift_auc"] is None


def test_rows_too_short_for_hashes_are_no_pass() -> None:
    audited = clean()
    (task,) = audited.tasks
    short = [replace(row, input=f"pin {row.input.split()[-1]} now") for row in task.train]
    rows = {i: sample(i, row.input, task.drawn[i].target) for i, row in enumerate(short)}
    copied = with_rows(replace(audited, tasks=[replace(task, train=short)]), rows)
    assert "memorisation" in audit(copied).failed
    result = audit(remembered(copied))
    assert result.verdict == "warn" and result.as_dict()["judged_tasks"] == []
    assert any(mentions(note, 200) == 2 for note in result.notes), "all are too short"
    assert "exact_copies" not in figures(result, "memorisation")


def test_single_rows_too_short_for_hashes_are_not_called_clean() -> None:
    audited = clean()
    short = {i: sample(i, f"pin {i} now", "balance") for i in range(5)}
    result = audit(remembered(with_rows(audited, short))).as_dict()
    (task,) = with_rows(audited, short).tasks
    ids = {place: row.row_id for place, row in enumerate(task.drawn)}
    assert result["judged_tasks"] and result["unjudged_rows"] == [ids[i] for i in range(5)]
    judgement = Judgement({}, result["judged_tasks"], set(result["unjudged_rows"]))
    verdicts = [judgement.verdict(row) for row in task.drawn]
    assert verdicts == ["unjudged"] * 5 + ["clean"] * 195


def test_short_rows_leave_no_hash() -> None:
    """What a vocabulary could be tried out for is not kept."""
    hashed = KeyedHash(KEY)
    assert len(hashed.corpus(["my pin", "one two three four"])) == 0
    assert len(hashed.corpus(["one two three four five"])) == 2, "the run and the row"


@pytest.mark.parametrize("held_out", [0, 1, 4, 5, 50, 201])
def test_every_row_is_in_a_block_or_in_the_rest(held_out: int) -> None:
    (task,) = clean(201).tasks
    task = replace(task, held_out=task.held_out[:held_out])
    kept = fingerprint_of(task, KEY, SEED)
    hashed = KeyedHash(KEY)
    assert set(kept.all_hashes("train")) == set(hashed.corpus(task.texts(task.train)))
    assert set(kept.all_hashes("held_out")) == set(hashed.corpus(task.texts(task.held_out)))
    assert bool(kept.blocks["train"]) == bool(kept.blocks["held_out"]) == (held_out >= 5), (
        "no blocks of few rows"
    )


def test_without_a_fingerprint_it_says_what_is_not_known() -> None:
    result = audit(forgotten(clean(), None))
    assert result.verdict == "warn", "what is not known is no pass"
    assert names(result.notes[0], TASK, FORGOTTEN_ON)
    assert figures(result, "memorisation") == {}
    told = {name: one["verdict"] for name, one in result.as_dict()["checks"].items()}
    assert told["memorisation"] == told["drift"] == "not judged"
    assert told["provenance"] == "pass"
    assert figures(result, "personal_data")["replayed_personal_share"] is None
    assert figures(result, "faithfulness")["unknown_label_share"] == 0.0
    for check, figure in (("copies", "duplicate_excess"), ("variety", "distinct_2_ratio")):
        assert figures(result, check)[figure] is None


def test_no_fingerprint_and_no_key_are_made_where_none_is_wanted(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_base(layout.data("base"))
    source = {"kind": "demo", "task": "home"}
    task = TaskParams.model_validate({"after": "base", "source": source})
    key_file, base = tmp_path / "key", TaskData.load(layout.data("base"))
    prepare_task("home", task, PrepareParams(), base, layout)
    own = TaskData.load(layout.data("home"))
    assert fingerprint_files(own, key_file, SEED, False) == {} and not key_file.exists()
    assert set(fingerprint_files(own, key_file, SEED, True)) == {HASHES, FIGURES}
