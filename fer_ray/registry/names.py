"""What models, versions and aliases are called, and how a reference to one is read."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from fer_ray.errors import RegistryError

#: What `name` alone stands for, where it is set.
DEFAULT_ALIAS = "production"
#: The folder of a model that holds its aliases; no version id looks like it.
ALIASES = "aliases"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_NAME_RULE = (
    "must have 1 to 64 letters, digits, '-', '_' or single inner dots, and start with a letter or digit"
)
_VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
#: A second has this many version ids: the six hexadecimal digits, 60 ns each.
_TICKS = 16**6


def check_name(name: str, kind: str = "model name") -> str:
    """Returns `name` if it is safe as one part of a path or URI on every filesystem.

    Raises:
        RegistryError: If it is empty, longer than 64 characters, or has anything that could leave its folder.
    """
    if len(name) > 64 or not _NAME.fullmatch(name):
        raise RegistryError(kind, _NAME_RULE, repr(name))
    return name


def is_version_id(text: str) -> bool:
    """Whether `text` is a version id such as ``20261122T140501Z-3f9a2c``."""
    return _VERSION.fullmatch(text) is not None


def new_version_id(after: str | None = None) -> str:
    """A version id of now: UTC to the second, then the second's fraction as six hexadecimal digits.

    Ids sort by age as text, within a second too.

    Args:
        after: The newest id so far. Where the clock has not passed it (two machines, a clock set back), the
            id is the next one after it, so that the last registered version always sorts last.
    """
    now = datetime.now(UTC)
    ticks = int(now.timestamp()) * _TICKS + now.microsecond * _TICKS // 1_000_000
    if after is not None:
        ticks = max(ticks, _ticks_of(after) + 1)
    moment = datetime.fromtimestamp(ticks // _TICKS, UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{ticks % _TICKS:06x}"


def _ticks_of(version: str) -> int:
    moment = datetime.strptime(version[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return int(moment.timestamp()) * _TICKS + int(version[17:], 16)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A model reference taken apart; at most one of `alias` and `version` is set.

    Args:
        name: The model's name.
        alias: Of ``name@alias``.
        version: Of ``name:version``.
    """

    name: str
    alias: str | None = None
    version: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Reads ``name``, ``name@alias`` or ``name:version``.

        Raises:
            RegistryError: If it is none of the three, or a part breaks the rule for names.
        """
        name, separator, rest = re.fullmatch(r"([^@:]*)([@:]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        check_name(name)
        if not separator:
            return cls(name=name)
        if separator == "@":
            return cls(name=name, alias=check_name(rest, "alias"))
        if not is_version_id(rest):
            raise RegistryError(
                f"model reference {text!r}", "a version reads like 20261122T140501Z-3f9a2c", repr(rest)
            )
        return cls(name=name, version=rest)
