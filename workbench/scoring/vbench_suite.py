"""VBench's sample folders: `<folder>/<dimension>/<prompt>-<0..4>.mp4`, scored dimension by dimension and put together
by VBench's own rules."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eval.evaluator import Source, evaluate
from eval.metric import MetricResult, Resources
from eval.vbench.aggregation import VBenchScores, aggregate
from eval.vbench.constants import DIMENSIONS, folder_of
from eval.vbench.results import pooled, write_results
from eval.vbench.suite import VIDEO_SUFFIXES, SuitePrompt, check_folder, info_row, prompt_of, read_suite, standard_info
from models.types import RequestError
from workbench.scoring.evaluation import create_metrics, list_metrics


@dataclass(frozen=True)
class SuiteClips:
    """The clips of one dimension: (prompt, file), in order; `told` says what the suite has and the folder lacks."""

    dimension: str
    clips: tuple[tuple[str, Path], ...]
    info: tuple[dict, ...]
    told: str = ""


@dataclass
class SuiteScores:
    """What came of a suite: results by dimension, why others could not be scored, and what was noticed."""

    results: dict[str, list[tuple[str, MetricResult]]] = field(default_factory=dict)
    info: list[dict] = field(default_factory=list)
    cannot: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def values(self) -> dict[str, float | None]:
        """A model's raw value of each dimension, pooled over its clips as VBench does."""
        return {name: pooled(name, [result for _, result in rows]) for name, rows in self.results.items()}

    def aggregated(self) -> VBenchScores:
        return aggregate(self.values())

    def to_dict(self) -> dict[str, Any]:
        scored = {name: sum(result.value is not None for _, result in rows) for name, rows in self.results.items()}
        values = {name: {"value": value, "clips": scored[name]} for name, value in self.values().items()}
        found = self.aggregated()
        groups = {name: asdict(getattr(found, name)) for name in ("quality", "semantic", "total")}
        notices = [*self.notices, *found.notices]
        return {"dimensions": values, **groups, "cannot": self.cannot, "notices": notices}

    def write(self, folder: Path, name: str, command: str) -> None:
        """VBench's two result files."""
        write_results(folder, name, self.info, self.results, {"command": command})


def find_suite(folder: Path, info: Path | None = None) -> list[SuiteClips]:
    """The clips of every dimension that the folder holds. With `info`, VBench's full-info file, they are matched with
    its prompts, in one folder or one a dimension; without, folders named as VBench's are taken whole and prompts are
    those of the names. Raises RequestError."""
    if not folder.is_dir():
        raise RequestError(f"--vbench-suite {str(folder)!r} is not a folder; give the one that holds VBench's clips")
    try:
        found = list(_matched(folder, read_suite(info)) if info else _by_name(folder))
    except (OSError, ValueError) as error:
        raise RequestError(f"the suite cannot be read ({error}); correct it and try again") from error
    if not found:
        names = ", ".join(sorted({folder_of(name) for name in DIMENSIONS})[:4])
        raise RequestError(
            f"--vbench-suite {str(folder)!r} holds no clips in folders such as {names}; lay them out as "
            "DIR/DIMENSION/PROMPT-0.mp4, or give VBench_full_info.json by --vbench-info"
        )
    return found


def _matched(folder: Path, suite: Sequence[SuitePrompt]) -> Iterator[SuiteClips]:
    for dimension in DIMENSIONS:
        rows = [row for row in suite if dimension in row.dimensions]
        prompts = [SuitePrompt(row.prompt, (dimension,), row.labels, row.image) for row in rows]
        apart = (folder / folder_of(dimension)).is_dir()
        check = check_folder(prompts, folder, [dimension], by_dimension=apart)
        clips = tuple((prompts[number].prompt, path) for number, paths in check.found.items() for path in paths)
        if clips:
            told = "" if check.complete else f"{dimension}: {check.says}"
            yield SuiteClips(dimension, clips, tuple(standard_info(prompts, check)), told)


def _by_name(folder: Path) -> Iterator[SuiteClips]:
    for dimension in DIMENSIONS:
        home = folder / folder_of(dimension)
        paths = sorted(path for path in home.iterdir() if path.suffix in VIDEO_SUFFIXES) if home.is_dir() else []
        clips = tuple((prompt_of(path), path) for path in paths)
        info = [info_row(SuitePrompt(prompt, (dimension,)), [str(path)]) for prompt, path in clips]
        if clips:
            yield SuiteClips(dimension, clips, tuple(info))


def score_suite(suite: Sequence[SuiteClips], resources: Resources) -> SuiteScores:
    """Score each dimension on its own clips. One that cannot run here is named with the reason, and left out."""
    scores = SuiteScores()
    for part in suite:
        metric = create_metrics([part.dimension], resources)[0] if part.dimension in list_metrics() else None
        why = metric.missing() if metric else "this workbench has no exact form of it"
        if why or metric.facts.kind != "vbench":
            scores.cannot[part.dimension] = why or "its metric here only follows VBench's idea"
            continue
        sources = [Source(str(path), path, prompt=prompt) for prompt, path in part.clips]
        rows: list[tuple[str, MetricResult]] = []
        for each in evaluate(sources, [metric]):
            if each.skipped:
                scores.notices.append(f"{part.dimension}: skipped {each.id}: {each.skipped}")
            else:
                rows.append((each.id, each.results[part.dimension]))
        scores.results[part.dimension] = rows
        scores.info += part.info
        scores.notices += [part.told] if part.told else []
    return scores
