"""Pixels written as text, ``70 80 82 ...``: whole blocks of rows at a time, bad rows one by one."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fer_ray.pixels import Pixels

_SPACE = ord(" ")
_ZERO = ord("0")
#: The pieces' arrays stay in a processor's second-level cache and below the size from which the C library fetches
#: fresh pages for each: twice as fast as a megabyte at a time.
_PIECE_BYTES = 1 << 18


def parse_pixel_text(texts: pa.BinaryArray, count: int) -> tuple[Pixels, dict[int, tuple[str, str]]]:
    """Parses rows of decimal pixel values, 0 to 255, parted by spaces.

    Args:
        texts: N rows, without nulls.
        count: Pixels that each row must have.

    Returns:
        uint8 (N, count), undefined where a row has a fault; and faults, as row -> (reason, detail).
    """
    pixels = np.empty((len(texts), count), np.uint8)
    faults: dict[int, tuple[str, str]] = {}
    rows = max(1, _PIECE_BYTES * len(texts) // (texts.nbytes + 1))
    for start in range(0, len(texts), rows):
        _fill(texts[start : start + rows], start, pixels, faults)
    return pixels, faults


def _fill(texts: pa.BinaryArray, start: int, pixels: Pixels, faults: dict[int, tuple[str, str]]) -> None:
    """Parses all rows at once; where that fails, both halves, down to the single rows at fault."""
    values = _parse_clean(texts, pixels.shape[1])
    if values is not None:
        pixels[start : start + len(texts)] = values
    elif len(texts) == 1:
        result = _parse_row(texts[0].as_py(), pixels.shape[1])
        if isinstance(result, tuple):
            faults[start] = result
        else:
            pixels[start] = result
    else:
        half = len(texts) // 2
        _fill(texts[:half], start, pixels, faults)
        _fill(texts[half:], start + half, pixels, faults)


def _parse_clean(texts: pa.BinaryArray, count: int) -> Pixels | None:
    """Parses rows of one to three digits and spaces; None if any row is different.

    A handful of operations on all characters at once, in bytes, which processors do 16 or more at a time. Each
    character is looked at with the three before it: where a number ends, they are its tens and hundreds.
    """
    if not len(texts):
        return np.empty((0, count), np.uint8)
    characters, starts = _join(texts)
    digits = characters - np.uint8(_ZERO)  # wraps round, so that all that is no digit is above 9
    filled = characters != _SPACE
    if (filled & (digits > 9)).any():
        return None
    digits *= filled.view(np.uint8)
    one, two, three = filled[2:-2], filled[1:-3], filled[:-4]
    ends = filled[3:-1] & ~filled[4:]
    hundreds = digits[1:-3] * one.view(np.uint8)
    rest = digits[2:-2] * np.uint8(10)
    rest += digits[3:-1]
    faults = (hundreds > 2) | ((hundreds == 2) & (rest > 55)) | (one & two & three)
    if (faults & ends).any():
        return None
    stops = [*starts[1:], len(ends)]
    if any(np.count_nonzero(ends[a:b]) != count for a, b in zip(starts, stops, strict=True)):
        return None
    hundreds *= np.uint8(100)
    rest += hundreds
    pixels: Pixels = rest[ends].reshape(len(texts), count)
    return pixels


def _join(texts: pa.BinaryArray) -> tuple[Pixels, list[int]]:
    """All rows in one buffer, a space after each and three before the first.

    Returns:
        The characters; and where each row starts, counted from the first row.
    """
    padded = pa.concat_arrays([pa.array([b""] * 3, texts.type), texts, pa.array([b""], texts.type)])
    whole = pa.ListArray.from_arrays(pa.array([0, len(padded)], pa.int32()), padded)
    characters = np.frombuffer(pc.binary_join(whole, b" ")[0].as_buffer(), np.uint8)
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False)
    return characters, [0, *np.cumsum(lengths + 1)[:-1].tolist()]


def _parse_row(text: bytes, count: int) -> Pixels | tuple[str, str]:
    tokens = text.split()
    wrong = next((token for token in tokens if not token.removeprefix(b"-").isdigit()), None)
    if wrong is not None:
        return "non-numeric pixel value", repr(wrong[:40].decode(errors="replace"))
    if len(tokens) != count:
        return "wrong pixel count", f"{len(tokens)} instead of {count}"
    outside = next((token for token in tokens if not _is_pixel(token)), None)
    if outside is not None:
        return "pixel value out of range", outside[:40].decode()
    return np.array([int(token[-3:]) for token in tokens], np.uint8)


def _is_pixel(token: bytes) -> bool:
    """Whether a whole number is one of 0 to 255; Python itself makes none of thousands of digits."""
    digits = token.removeprefix(b"-").lstrip(b"0")
    return not digits or (not token.startswith(b"-") and len(digits) <= 3 and int(digits) <= 255)
