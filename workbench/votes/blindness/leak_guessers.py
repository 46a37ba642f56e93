"""Guessers that never look at a picture: which side of a pair is the first system, by what else was sent?

Each learns from all other pairs, whose systems it is told; that is more than any annotator knows. What the pictures
show is for everybody to see, so nothing here reads a sample's value but to see whether the same bytes come again.
"""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import av
import numpy as np

from eval.statistics.intervals import Interval, wilson
from workbench.common.words import percent
from workbench.votes.blindness.leak_check import Finding

CONFIDENCE = 0.99  # of the interval in which chance must lie
PIECE, MOST_PIECES = 64, 2000  # bytes of a piece that is looked for again, and how many are kept of a clip
FILLER, ENHANCEMENT = 12, 6  # kinds of H.264 units that hold no picture
VARYING = ("date",)  # headers that tell the hour, as `seconds` does


@dataclass(frozen=True)
class Sent:
    """A clip as it reached an annotator, without what it shows: bytes in all, of each packet and of what is coded in
    it, what is around the packets, headers, seconds from asking to the last byte, and hashes of pieces."""

    prompt: str
    size: int
    packets: np.ndarray
    coded: np.ndarray
    around: frozenset
    headers: frozenset
    seconds: float
    pieces: np.ndarray


@dataclass(frozen=True)
class Guess:
    """How a guesser fared: of `pairs` it dared to say something on `decided` and was `right` on some."""

    channel: str
    right: int
    decided: int
    pairs: int

    @property
    def interval(self) -> Interval | None:
        """The rate at which it is right where it says something; None where it never does."""
        return wilson(self.right, self.decided, confidence=CONFIDENCE) if self.decided else None

    @property
    def finding(self) -> Finding:
        """It leaks when the rate is above chance."""
        found = self.interval
        if found is None:
            return Finding(f"guess by {self.channel}", False, f"has nothing to go by in any of {self.pairs} pairs")
        says = f"right on {self.right} of {self.decided} ({percent(found.value)}, {percent(CONFIDENCE)} interval "
        return Finding(
            f"guess by {self.channel}", found.low > 0.5, f"{says}{percent(found.low)} to {percent(found.high)})"
        )


def read_sent(content: bytes, prompt: str, headers: Mapping[str, str] | None = None, seconds: float = 0.0) -> Sent:
    """What somebody keeps of an answer. Raises av.FFmpegError for what is no video."""
    with av.open(io.BytesIO(content), "r") as container:
        found = [(packet.pos, bytes(packet)) for packet in container.demux(video=0) if packet.size]
    packets = [data for _, data in sorted(found)]
    start, end = min(found)[0], max(found)[0] + len(max(found)[1])
    around = {("head", hashlib.sha256(content[:start]).hexdigest()), ("tail", len(content) - end)}
    told = {(name.lower(), value) for name, value in (headers or {}).items() if name.lower() not in VARYING}
    return Sent(
        prompt,
        len(content),
        np.array([len(data) for data in packets], float),
        np.array([_coded(data) for data in packets], float),
        frozenset(around),
        frozenset(told),
        seconds,
        _pieces(packets),
    )


def guesses(pairs: Sequence[tuple[Sent, Sent]]) -> list[Guess]:
    """All guessers on pairs of which the first clip is by the first system; they are not told that, but of the
    other pairs."""
    found = []
    for channel, guesser in GUESSERS.items():
        margins = guesser(pairs)
        found.append(Guess(channel, int((margins > 0).sum()), int((margins != 0).sum()), len(pairs)))
    return found


def _coded(packet: bytes) -> int:
    """Bytes of the units, each with its length before it, that hold picture."""
    total, at = 0, 0
    while at + 4 < len(packet):
        length = int.from_bytes(packet[at : at + 4])
        total += length * ((packet[at + 4] & 31) not in (FILLER, ENHANCEMENT))
        at += 4 + length
    return total


def _pieces(packets: Sequence[bytes]) -> np.ndarray:
    """Sorted uint64 hashes of pieces of the packets; of many the same are kept in every clip that has them."""
    words = [np.frombuffer(data[: len(data) // PIECE * PIECE], np.uint64).reshape(-1, PIECE // 8) for data in packets]
    factors = np.random.default_rng(0).integers(1, 2**63, PIECE // 8, np.uint64) | np.uint64(1)
    mixed = (np.concatenate(words) * factors).sum(1, dtype=np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    return np.unique(mixed)[:MOST_PIECES]


# the guessers: a number for every pair, above 0 where the guess is right, 0 where there is nothing to go by


def _by_number(read: Callable[[Sent], np.ndarray | float]) -> Callable[[Sequence[tuple[Sent, Sent]]], np.ndarray]:
    """Which of the differences seen elsewhere, or their opposites, is nearest to this one?"""

    def guesser(pairs: Sequence[tuple[Sent, Sent]]) -> np.ndarray:
        difference = _differences(pairs, read)
        margins = np.zeros(len(pairs))
        for k, mine in enumerate(difference):
            others = np.delete(difference, k, axis=0)
            if len(others):
                so, opposite = (np.abs(others - sign * mine).sum(1).min() for sign in (1, -1))
                margins[k] = opposite - so
        return margins

    return guesser


def _by_direction(read: Callable[[Sent], np.ndarray | float]) -> Callable[[Sequence[tuple[Sent, Sent]]], np.ndarray]:
    """Does this difference go the way in which most others go?"""

    def guesser(pairs: Sequence[tuple[Sent, Sent]]) -> np.ndarray:
        difference = _differences(pairs, read)
        margins = np.zeros(len(pairs))
        for k, mine in enumerate(difference):
            others = np.sign(np.delete(difference, k, axis=0))
            margins[k] = others.mean(0) @ np.sign(mine) if len(others) else 0.0
        return margins

    return guesser


def _differences(pairs: Sequence[tuple[Sent, Sent]], read: Callable[[Sent], np.ndarray | float]) -> np.ndarray:
    """(pairs, numbers): the first side less the second; what is shorter is filled up with zeros."""
    sides = [[np.atleast_1d(read(sent)) for sent in pair] for pair in pairs]
    width = max(len(values) for pair in sides for values in pair)
    first, second = (np.stack([np.pad(pair[k], (0, width - len(pair[k]))) for pair in sides]) for k in (0, 1))
    return first - second


def _by_words(read: Callable[[Sent], frozenset]) -> Callable[[Sequence[tuple[Sent, Sent]]], np.ndarray]:
    """Which side has more of what the first system's clips have elsewhere, and the others have not?"""

    def guesser(pairs: Sequence[tuple[Sent, Sent]]) -> np.ndarray:
        words = [[read(sent) for sent in pair] for pair in pairs]
        balance: dict = {}
        for pair in words:
            for side, sign in zip(pair, (1, -1), strict=True):
                for word in side:
                    balance[word] = balance.get(word, 0) + sign
        margins = []
        for first, second in words:
            # this pair itself is not known
            of_first = sum(balance[word] - 1 for word in first - second)
            of_second = sum(balance[word] + 1 for word in second - first)
            margins.append(of_first - of_second)
        return np.array(margins)

    return guesser


def _by_recurrence(pairs: Sequence[tuple[Sent, Sent]]) -> np.ndarray:
    """Of which clip do more pieces come again among the clips of the same prompt that are known to be the first
    system's?"""
    groups: dict[str, list[int]] = {}
    for k, (first, _) in enumerate(pairs):
        groups.setdefault(first.prompt, []).append(k)
    margins = np.zeros(len(pairs))
    for members in groups.values():
        for k in members:
            known = [pairs[j] for j in members if j != k]
            margins[k] = _recurring(pairs[k][0], known) - _recurring(pairs[k][1], known)
    return margins


def _recurring(sent: Sent, known: Sequence[tuple[Sent, Sent]]) -> int:
    shared = [[len(np.intersect1d(sent.pieces, other.pieces, True)) for other in pair] for pair in known]
    first, second = (max((pair[k] for pair in shared), default=0) for k in (0, 1))
    return first - second


GUESSERS: dict[str, Callable[[Sequence[tuple[Sent, Sent]]], np.ndarray]] = {
    "size": _by_number(lambda sent: sent.size),
    "sizes of packets": _by_number(lambda sent: sent.packets),
    "larger packets": _by_direction(lambda sent: sent.packets),
    "sizes of what is coded": _by_number(lambda sent: sent.coded),
    "more that is coded": _by_direction(lambda sent: sent.coded),
    "number of packets": _by_number(lambda sent: len(sent.packets)),
    "file heads": _by_words(lambda sent: sent.around),
    "response headers": _by_words(lambda sent: sent.headers),
    "timing": _by_number(lambda sent: sent.seconds),
    "slower answers": _by_direction(lambda sent: sent.seconds),
    "recurring bytes": _by_recurrence,
}
