"""The metrics of `eval` as users name them, and what each lacks here."""

from collections.abc import Sequence

from eval import metrics
from eval.metric import Facts, Metric, Resources
from eval.metrics import list_metrics
from models.types import RequestError

__all__ = ["create_metrics", "list_metrics", "metric_rows"]


def create_metrics(names: Sequence[str], resources: Resources | None = None) -> list[Metric]:
    """The named metrics, each once, in page order. Raises RequestError for none and for names that do not exist."""
    if not names:
        raise RequestError("no metric is chosen; choose at least one")
    try:
        return metrics.create_metrics(names, resources)
    except metrics.UnknownMetric as error:
        raise RequestError(str(error)) from error


def metric_rows(resources: Resources | None = None) -> list[tuple[Facts, str]]:
    """The facts of every metric in page order, each with the reason why it cannot run here ("" when it can)."""
    return [(metric.facts, metric.missing()) for metric in metrics.create_metrics(None, resources)]
