"""What a row of a CSV file says about its image: the class and the split, or FER+'s votes in place of the class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fer_ray.data.entries import Wishes
from fer_ray.data.label_map import CODES, is_number, label_key, number_error
from fer_ray.data.labels import class_name, split_name
from fer_ray.data.layouts.licences import LICENCES
from fer_ray.data.sources import SoftLabel
from fer_ray.data.votes import VoteRow
from fer_ray.errors import DataError

#: A CSV file's numbers are FER2013's, unless a label map names any.
_CODE = CODES["fer2013"]
#: Votes of other rows agree by chance: with a sixth of FER2013's labels, as its classes are distributed.
_LEAST_AGREEMENT = 0.5
#: The file has this line above its rows.
_HEADER_LINES = 1


@dataclass(frozen=True)
class Said:
    """What is said about a row's image; `refusal`, reason and detail, if it is not to be taken."""

    label: str = ""
    split: str | None = None
    soft_label: SoftLabel | None = None
    refusal: tuple[str, str] | None = None


class CsvLabels:
    """Reads the labels and splits of a CSV file.

    Args:
        wishes: Names for its labels.
        split: Of all its rows, if it has no `Usage`.
        votes: FER+'s, row by row; they decide instead of the column `emotion`.
    """

    def __init__(self, wishes: Wishes, split: str | None = None, votes: Sequence[VoteRow] = ()) -> None:
        self._map, self._split, self._votes = wishes.labels, split, votes
        self._merge, self._spelled = wishes.merge_classes, set[str]()
        # A file has few different cells, each many times over.
        self._known: dict[tuple[bytes, bytes | None], Said] = {}
        #: Whether the votes agree with the file's label, for each row that has both.
        self._agreed: list[bool] = []
        self.has_votes = bool(votes)
        self.card: Mapping[str, str] = {"license": LICENCES["fer-plus"]} if votes else {}

    def read(self, where: str, line: int, emotion: bytes, usage: bytes | None) -> Said:
        """Reads the cells of the row at a line of the file.

        Raises:
            DataError: If the label map names other numbers and not this one, or the votes are of other rows.
        """
        said = self._known.get((emotion, usage))
        if said is None:
            said = self._known[emotion, usage] = self._read(f"{where}:{line}", emotion, usage)
        return self._vote(where, line, said, usage) if self.has_votes else said

    def check_rows(self, where: str, rows: int) -> None:
        """Checks that there are votes for each of the file's rows.

        Raises:
            DataError: If there are more or fewer.
        """
        if self.has_votes and rows != len(self._votes):
            raise DataError(
                where,
                "the votes must have a row for each row of the file",
                f"{len(self._votes):,} for {rows:,}",
            )

    def finish(self, name: str) -> None:
        """Checks that the label map's labels were met, and that no class was spelled in two ways.

        Raises:
            DataError: If not; or if the votes contradict the file's labels, as those of other rows do.
        """
        self._map.check_all_met(name)
        if not self.has_votes:
            self._map.check_labels(name, self._spelled, self._merge)
        elif sum(self._agreed) < _LEAST_AGREEMENT * len(self._agreed):
            raise DataError(
                name,
                f"votes in the order of the file's rows agree with at least {_LEAST_AGREEMENT:.0%} of its labels",
                f"{sum(self._agreed) / len(self._agreed):.0%} of {len(self._agreed):,}",
                "Name the fer2013.csv and the fer2013new.csv whose rows were not sorted anew",
            )

    def report(self) -> dict[str, Any]:
        """Where the labels are from."""
        return {"labels": "FER+ votes"} if self.has_votes else {}

    def _read(self, where: str, emotion: bytes, usage: bytes | None) -> Said:
        text = _text(emotion)
        label = self._label(where, text)
        if label is None and not self.has_votes:
            return Said(refusal=self._map.refusal(text) or ("unknown label", repr(text)))
        if usage is None:
            return Said(label or "", self._split)
        split = split_name(_text(usage))
        if split is None:
            return Said(refusal=("unknown split", repr(_text(usage))))
        return Said(label or "", split)

    def _label(self, where: str, text: str) -> str | None:
        """The class that a cell says; None for numbers without a meaning and for nothing."""
        said = self._map.said(text)
        if said is not None or self._map.refusal(text):
            return said
        if not is_number(text):
            self._spelled.add(text)
            return class_name(text) or None
        if self._map.names_numbers and not self.has_votes:
            raise number_error(where, text)
        name = _CODE.get(label_key(text))
        return self._map.name(name) if name else None

    def _vote(self, where: str, line: int, said: Said, usage: bytes | None) -> Said:
        row = line - 1 - _HEADER_LINES
        if row >= len(self._votes):
            self.check_rows(where, row + 1)
        vote = self._votes[row]
        if usage is not None and said.split is not None and vote.split != said.split:
            raise DataError(
                f"{where}:{line}",
                "the votes must have the rows of the file, in its order",
                f"{_text(usage)} in the file, {vote.split} in the votes",
            )
        verdict = vote.verdict
        if said.refusal or verdict.refusal or verdict.soft_label is None:
            return Said(refusal=said.refusal or verdict.refusal)
        voted = self._map.name(verdict.label or "")
        if said.label:
            self._agreed.append(voted == said.label)
        shares: dict[str, float] = {}
        for name, share in verdict.soft_label.items():
            shares[self._map.name(name)] = shares.get(self._map.name(name), 0) + share
        return Said(voted, said.split or vote.split, shares)


def _text(value: bytes) -> str:
    return value.decode(errors="replace").strip()
