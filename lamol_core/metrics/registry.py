"""All metrics, by their names in params.yaml."""

from collections.abc import Sequence

from lamol_core.metrics.accuracy import Accuracy
from lamol_core.metrics.joint_slots import JointSlots
from lamol_core.metrics.rouge_l import RougeL
from lamol_core.metrics.spec import Metric
from lamol_core.metrics.token_f1 import TokenF1
from lamol_core.records import Targets

METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (Accuracy(), TokenF1(), RougeL(), JointSlots())
}


def default_metric(targets: Targets) -> str:
    """Return the name of the metric that `metric: auto` stands for with these targets."""
    return next(metric.name for metric in METRICS.values() if metric.default_for == targets)


def score_rows(metric: str, predictions: Sequence[str], targets: Sequence[str]) -> list[float]:
    """The score of each row, 0 to 1: N predictions and N targets give N scores, in their order.
    Raises ValueError where the lists differ in length."""
    score = METRICS[metric].score
    return [score(*pair) for pair in zip(predictions, targets, strict=True)]
