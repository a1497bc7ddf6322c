import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_ray.data.pixel_text import parse_pixel_text


def parse(rows: list[bytes], count: int):
    return parse_pixel_text(pa.array(rows, pa.binary()), count)


@settings(deadline=None)
@given(
    st.integers(1, 6).flatmap(
        lambda count: st.lists(
            st.lists(st.integers(0, 255), min_size=count, max_size=count), min_size=1, max_size=8
        )
    )
)
def test_clean_rows_are_what_split_and_int_give(rows):
    pixels, faults = parse([" ".join(map(str, row)).encode() for row in rows], len(rows[0]))
    assert faults == {}
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == rows


@pytest.mark.parametrize(
    ("row", "values"),
    [
        (b" 1 22 255", [1, 22, 255]),
        (b"1  22 255 ", [1, 22, 255]),
        (b"001 0022 255", [1, 22, 255]),
        (b"0" * 5000 + b"1 000 -0", [1, 0, 0]),
    ],
)
def test_odd_but_whole_rows_are_read(row, values):
    pixels, faults = parse([b"9 9 9", row, b"8 8 8"], 3)
    assert faults == {}
    assert pixels.tolist() == [[9, 9, 9], values, [8, 8, 8]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1 2", "wrong pixel count"),
        (b"1 2 3 4", "wrong pixel count"),
        (b"", "wrong pixel count"),
        (b"1 2 256", "pixel value out of range"),
        (b"1 2 1000", "pixel value out of range"),
        (b"1 -2 3", "pixel value out of range"),
        (b"1 -0002 3", "pixel value out of range"),
        (b"1 " + b"9" * 5000 + b" 3", "pixel value out of range"),
        (b"1 -" + b"9" * 5000 + b" 3", "pixel value out of range"),
        (b"1 x 3", "non-numeric pixel value"),
        (b"1 2.0 3", "non-numeric pixel value"),
        (b"1 \xff 3", "non-numeric pixel value"),
    ],
)
@pytest.mark.parametrize("position", [0, 2, 5])
def test_a_bad_row_is_named_and_its_neighbours_are_kept(row, reason, position):
    rows = [b"1 2 3"] * 5
    rows.insert(position, row)
    pixels, faults = parse(rows, 3)
    assert {at: fault[0] for at, fault in faults.items()} == {position: reason}
    assert np.delete(pixels, position, axis=0).tolist() == [[1, 2, 3]] * 5


def test_counts_that_balance_over_two_rows_are_both_refused():
    _, faults = parse([b"1 2 3 4", b"5 6"], 3)
    assert sorted(faults) == [0, 1]


def test_no_rows():
    pixels, faults = parse([], 4)
    assert pixels.shape == (0, 4)
    assert faults == {}
