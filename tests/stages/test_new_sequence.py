"""What `lamol init` chooses for a backbone."""

from __future__ import annotations

from pathlib import Path

from lamol_core.config import Params
from stages.new_sequence import make_params
from tests.stages.sequences import write_csv


def test_a_real_model_gets_better_pseudo_samples_and_random_weights_longer_training(
    tmp_path: Path,
) -> None:
    tasks = [f"colours={write_csv(tmp_path / 'colours.csv', 'colours')}"]
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    real = Params.model_validate(
        make_params(tmp_path / "new", tasks, str(tmp_path / "model"), "lamol_kd")
    )
    nano = Params.model_validate(make_params(tmp_path / "new", tasks, "nano", "lamol_kd"))
    published = Params(tasks={})
    assert real.generate.known_labels and real.generate.balance_labels and real.generate.unique
    assert real.lamol_kd.rows_per_class == 5 and real.train == published.train
    assert nano.generate == published.generate and nano.lamol_kd == published.lamol_kd
    assert nano.train.steps == 400
