"""The epoch journal survives kills and speaks strict JSON."""

import json
import math
import multiprocessing
import os
import signal
import time

import pytest

from fer_ray.errors import DataError
from fer_ray.results import EpochJournal


def test_records_come_back_in_order(tmp_path):
    journal = EpochJournal(tmp_path / "deep" / "epochs.jsonl")
    assert journal.read() == []
    records = [
        {"trial": number, "epoch": 1, "val_loss": 0.1 * number, "worker": "é\n"} for number in range(5)
    ]
    for record in records:
        journal.append(record)
    assert journal.read() == records
    assert journal.path.read_bytes().count(b"\n") == 5


def test_nan_and_infinity_come_back_and_the_file_stays_strict_json(tmp_path):
    journal = EpochJournal(tmp_path / "j")
    journal.append({"trial": 0, "loss": math.nan, "val_loss": -math.inf, "accuracy": None, "note": "NaN"})
    (record,) = journal.read()
    assert math.isnan(record.pop("loss"))
    assert record == {"trial": 0, "val_loss": -math.inf, "accuracy": None, "note": "NaN"}

    def refuse(constant):
        raise AssertionError(constant)

    line = json.loads(journal.path.read_text(), parse_constant=refuse)
    assert line["loss"] is None
    assert line["non_finite"] == {"loss": "nan", "val_loss": "-inf"}


@pytest.mark.parametrize("torn", [b'{"trial": 2, "ep', b'{"trial": 2}', b"\x00\x00\x00", "é".encode()[:1]])
def test_a_torn_last_line_is_skipped_and_then_cut_off(tmp_path, torn):
    journal = EpochJournal(tmp_path / "j")
    journal.append({"trial": 1})
    with journal.path.open("ab") as file:
        file.write(torn)
    assert journal.read() == [{"trial": 1}]
    journal.append({"trial": 3})
    assert journal.read() == [{"trial": 1}, {"trial": 3}]
    assert torn not in journal.path.read_bytes()


def test_a_torn_line_longer_than_a_block_is_cut_off(tmp_path):
    journal = EpochJournal(tmp_path / "j")
    journal.path.write_bytes(b'{"trial":1}\n' + b"x" * 200_000)
    journal.append({"trial": 2})
    assert journal.path.read_bytes() == b'{"trial":1}\n{"trial":2}\n'


def test_a_file_with_only_a_torn_line_starts_anew(tmp_path):
    journal = EpochJournal(tmp_path / "j")
    journal.path.write_bytes(b'{"tri')
    assert journal.read() == []
    journal.append({"trial": 1})
    assert journal.read() == [{"trial": 1}]


@pytest.mark.parametrize("line", [b'{"trial": ', b"[1]", b"", b"\xff", b"7"])
def test_a_broken_acknowledged_line_is_refused_with_its_number(tmp_path, line):
    journal = EpochJournal(tmp_path / "j")
    journal.path.write_bytes(b'{"trial":1}\n' + line + b'\n{"trial":3}\n')
    with pytest.raises(DataError, match="line 2: must be one JSON object"):
        journal.read()


@pytest.mark.parametrize("record", [{"x": {"deep": math.nan}}, {"x": object()}, {"non_finite": {}}])
def test_what_json_cannot_say_is_refused_and_nothing_is_written(tmp_path, record):
    journal = EpochJournal(tmp_path / "j")
    with pytest.raises(DataError):
        journal.append(record)
    assert not journal.path.exists()


def write_for_ever(path, acknowledged):
    journal = EpochJournal(path)
    for number in range(10**9):
        journal.append({"number": number, "padding": "x" * 5000})
        acknowledged.value = number


def test_a_killed_writer_loses_nothing_that_it_was_told_is_written(tmp_path):
    context = multiprocessing.get_context("fork")
    for _ in range(3):
        path = tmp_path / f"{time.monotonic_ns()}"
        acknowledged = context.Value("q", -1)
        writer = context.Process(target=write_for_ever, args=(path, acknowledged))
        writer.start()
        while acknowledged.value < 20:
            time.sleep(0.01)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        records = EpochJournal(path).read()
        assert [record["number"] for record in records] == list(range(len(records)))
        assert len(records) > acknowledged.value
