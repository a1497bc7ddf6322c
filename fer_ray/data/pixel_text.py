"""Pixels written as text, ``70 80 82 ...``: whole blocks of rows at a time, bad rows one by one."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fer_ray.pixels import Pixels

_SPACE = ord(" ")
_ZERO = ord("0")


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
    _fill(texts, 0, pixels, faults)
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
    """Parses rows of one to three digits and spaces in a handful of array operations; None if any row differs."""
    rows = len(texts)
    if not rows:
        return np.empty((0, count), np.uint8)
    characters, starts, stops = _join(texts)
    space = characters == _SPACE
    digits = characters - np.uint8(_ZERO)  # wraps round, so that all that is no digit is above 9
    ends = ~space
    if (ends & (digits > 9)).any():
        return None
    length = int(np.count_nonzero(ends))
    ends[:-1] &= space[1:]
    last = np.flatnonzero(ends)
    if last.size != rows * count:
        return None
    tens, hundreds = ~space[last - 1], ~space[last - 2]
    hundreds &= tens
    digits[space] = 0
    values = digits[last - 2] * hundreds * np.uint16(100) + digits[last - 1] * np.uint16(10) + digits[last]
    if length != last.size + np.count_nonzero(tens) + np.count_nonzero(hundreds) or values.max() > 255:
        return None
    if (last[::count] < starts).any() or (last[count - 1 :: count] >= stops).any():
        return None
    pixels: Pixels = values.astype(np.uint8).reshape(rows, count)
    return pixels


def _join(texts: pa.BinaryArray) -> tuple[Pixels, np.ndarray, np.ndarray]:
    """One buffer with all rows, two spaces before the first and one between; where each row starts and stops."""
    padded = pa.concat_arrays([pa.array([b"", b""], texts.type), texts])
    whole = pa.ListArray.from_arrays(pa.array([0, len(padded)], pa.int32()), padded)
    characters = np.frombuffer(pc.binary_join(whole, b" ")[0].as_buffer(), np.uint8)
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    stops = 1 + np.cumsum(lengths + 1)
    return characters, stops - lengths, stops


def _parse_row(text: bytes, count: int) -> Pixels | tuple[str, str]:
    tokens = text.split()
    wrong = next((token for token in tokens if not token.removeprefix(b"-").isdigit()), None)
    if wrong is not None:
        return "non-numeric pixel value", repr(wrong[:40].decode(errors="replace"))
    if len(tokens) != count:
        return "wrong pixel count", f"{len(tokens)} instead of {count}"
    values = [int(token) for token in tokens]
    outside = next((value for value in values if not 0 <= value <= 255), None)
    if outside is not None:
        return "pixel value out of range", str(outside)[:40]
    return np.array(values, np.uint8)
