"""What is there, and whether there is room for more."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lamol_core.artifacts import store
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import STAGES, STATE, STUDENT
from lamol_core.artifacts.store import bytes_below, require_room
from lamol_core.errors import ArtifactError
from tests.messages import naming


def fill(folder: Path, num_bytes: int) -> None:
    (folder / "deeper").mkdir(parents=True)
    (folder / "deeper" / "weights").write_bytes(bytes(num_bytes))


def test_a_stage_needs_what_the_same_took_at_the_task_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    fill(STUDENT.at("a", tmp_path), 3_000_000)
    fill(STATE.at("a", tmp_path), 2_000_000)
    for free, is_enough in ((5_000_000, True), (4_999_999, False), (0, False)):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(store.shutil, "disk_usage", lambda path, usage=usage: usage)
        for stage in STAGES.values():
            wants_room = any(artifact.large for artifact in stage.writes)
            if is_enough or not wants_room:
                require_room(layout, stage, "a")
            else:
                with pytest.raises(ArtifactError, match=naming(layout.all_runs, stage.name, 5)):
                    require_room(layout, stage, "a")
            require_room(layout, stage, "b")  # nothing is there to go by


def test_students_and_states_are_what_takes_room() -> None:
    large = {artifact for stage in STAGES.values() for artifact in stage.writes if artifact.large}
    assert large == {STUDENT, STATE}


def test_files_are_counted_at_any_depth(tmp_path: Path) -> None:
    fill(tmp_path / "a", 7)
    (tmp_path / "a" / "b").write_bytes(b"xyz")
    assert bytes_below(tmp_path / "a") == 10 and bytes_below(tmp_path / "gone") == 0
