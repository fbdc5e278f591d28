"""Results that stay the same keep the file of the first run, seconds and all."""

import json
from pathlib import Path

import pytest

from lamol_core.artifacts.figures import read_json, write_csv, write_json
from lamol_core.errors import ArtifactError

FIRST = [{"step": 0, "loss": 1.25, "kl": None, "seconds": 0.5}]


def test_json_keeps_the_measurements_of_the_first_run(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    write_json(path, {"score": 50.0, "seconds": 1.0}, ("seconds",))
    write_json(path, {"score": 50.0, "seconds": 2.0}, ("seconds",))
    assert json.loads(path.read_text()) == {"score": 50.0, "seconds": 1.0}


@pytest.mark.parametrize(
    "content",
    [{"score": 51.0, "seconds": 2.0}, {"score": 50.0, "seconds": 2.0, "more": 1}, {"seconds": 2.0}],
)
def test_json_of_other_results_is_written(tmp_path: Path, content: dict) -> None:
    path = tmp_path / "figures.json"
    write_json(path, {"score": 50.0, "seconds": 1.0}, ("seconds",))
    write_json(path, content, ("seconds",))
    assert json.loads(path.read_text()) == content


def test_json_without_measured_keys_is_always_written(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"seconds": 1.0})
    write_json(path, {"seconds": 2.0})
    assert json.loads(path.read_text()) == {"seconds": 2.0}


def test_json_takes_the_place_of_broken_text(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text("{")
    write_json(path, {"score": 1.0}, ("seconds",))
    assert json.loads(path.read_text()) == {"score": 1.0}


def test_json_of_nan_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"score": 1.0})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"score": float("nan")})
    assert json.loads(path.read_text()) == {"score": 1.0}


def test_csv_has_the_columns_that_are_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    write_csv(path, FIRST, ("step", "loss", "kl"))
    assert path.read_text() == "step,loss,kl\n0,1.25,\n"
    write_csv(path, [], ("step",))
    assert path.read_text() == "step\n"


def test_read_json_names_path_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    for text in (None, "{", "[1]"):
        if text is not None:
            path.write_text(text)
        with pytest.raises(ArtifactError) as caught:
            read_json(path, "Run `dvc repro`.")
        assert str(path) in str(caught.value) and "Run `dvc repro`." in str(caught.value)
    path.write_text('{"a": 1}')
    assert read_json(path, "") == {"a": 1}
