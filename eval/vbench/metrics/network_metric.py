"""A dimension that needs weights: its facts, its files, and how a clip is started; and clips it has to refuse."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from eval.metric import ClipFacts, Facts, Resources, Scorer
from eval.vbench import weights

VBENCH = "VBench, arXiv:2311.17982"
VBENCH_I2V = "VBench++, arXiv:2411.13503"


@dataclass(frozen=True)
class NetworkMetric:
    """`start` gives the scorer of a clip; networks are loaded there, once a process."""

    facts: Facts
    files: tuple[str, ...]
    resources: Resources
    start: Callable[[ClipFacts, Resources], Scorer]

    def missing(self) -> str:
        return weights.missing(self.files, self.resources.weights)

    def open(self, clip: ClipFacts) -> Scorer:
        return self.start(clip, self.resources)


def network_metric(
    facts: Facts,
    files: tuple[str, ...],
    resources: Resources,
    start: Callable[[ClipFacts, Resources], Scorer],
    *,
    frame_by_frame: bool = False,
) -> NetworkMetric:
    """The metric, whose version names the weight files that are there: other weights give other numbers, and so does
    less precision, which only networks that see `frame_by_frame` are asked for."""
    version = [facts.version, weights.fingerprint(files, resources.weights)]
    if frame_by_frame and resources.precision != "float32":
        version.append(resources.precision)
        facts = replace(facts, title=f"{facts.title} ({resources.precision})")
    return NetworkMetric(replace(facts, version="-".join(filter(None, version))), files, resources, start)
