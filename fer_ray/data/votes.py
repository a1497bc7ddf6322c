"""FER+: ten people's votes on each image of FER2013, as a label and as shares of the classes.

Barsoum et al. 2016, "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution", section 3, and the code its authors gave out: a class with a single vote is an outlier and loses it;
the label is the class with more than half of the votes left; an image without one is not used, nor is one whose
majority says "unknown" or "no face". Deviation: the soft label is all votes left for emotions, divided by their
sum, so that its greatest share is the label; the paper's probabilities cut the smaller shares further.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from fer_ray.data.labels import split_name
from fer_ray.data.sources import SoftLabel
from fer_ray.errors import DataError

#: What was voted on, in the files' order; the last two are no emotions.
VOTED = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt", "unknown", "no face")
_EMOTIONS = VOTED[:-2]


@dataclass(frozen=True)
class Verdict:
    """What the votes on an image come to: a label with its soft label, or a reason to refuse the image."""

    label: str | None = None
    soft_label: SoftLabel | None = None
    refusal: tuple[str, str] | None = None


@dataclass(frozen=True)
class VoteRow:
    """A row of fer2013new.csv: the image's split, and the verdict on it."""

    split: str | None
    verdict: Verdict


def judge(cells: Sequence[str]) -> Verdict:
    """Judges the ten counts of votes on one image."""
    try:
        votes = [int(cell) for cell in cells]
    except ValueError:
        votes = []
    if len(votes) != len(VOTED) or min(votes) < 0:
        return Verdict(refusal=("broken votes", repr(",".join(cells))[:80]))
    kept = [count if count > 1 else 0 for count in votes]
    most = max(kept)
    winner = VOTED[kept.index(most)]
    if most * 2 <= sum(kept) or not most:
        return Verdict(refusal=("no majority of votes", _text(votes)))
    if winner not in _EMOTIONS:
        return Verdict(refusal=(f"voted {winner}", _text(votes)))
    emotions = dict(zip(_EMOTIONS, kept, strict=False))
    total = sum(emotions.values())
    return Verdict(winner, {name: count / total for name, count in emotions.items() if count})


def read_votes(file: IO[bytes], where: str) -> list[VoteRow]:
    """Reads fer2013new.csv: a header, then a row for each row of fer2013.csv.

    Raises:
        DataError: If it is another file.
    """
    lines = file.read().decode("utf-8-sig", errors="replace").splitlines()
    rows = list(csv.reader(line for line in lines if line.strip()))
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if header[:3] != ["usage", "image name", "neutral"] or len(header) != 2 + len(VOTED):
        raise DataError(
            where,
            "the votes must be FER+'s fer2013new.csv: Usage, Image name, and ten columns of votes",
            repr(",".join(header)[:80]),
        )
    return [_row(cells) for cells in rows[1:]]


def _row(cells: Sequence[str]) -> VoteRow:
    name = cells[1].strip() if len(cells) > 1 else ""
    verdict = judge(cells[2:]) if name else Verdict(refusal=("no image name in the votes", "not a face"))
    return VoteRow(split_name(cells[0]), verdict)


def _text(votes: Sequence[int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in zip(VOTED, votes, strict=True) if count)
