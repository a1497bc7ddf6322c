"""Watching a sweep from its folder, while it runs and afterwards."""

import io
import math
import time
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from fer_ray.cli.app import app
from fer_ray.cli.watch import fitted, sparkline
from fer_ray.errors import SweepError
from fer_ray.results.journal import EpochJournal
from fer_ray.search import SweepOverview, SweepReader, SweepSpec, run
from fer_ray.search.budget import Budget
from fer_ray.search.folder import SweepFolder, journal_path
from fer_ray.search.live import Live, Work, write_live
from fer_ray.search.overview import RungView, TrialView, WorkerView, _elapsed
from fer_ray.search.storage import open_storage
from fer_ray.search.study import open_study


@pytest.mark.ray
def test_a_reader_sees_what_the_sweep_does(tmp_path, faces, plain_space, ray_cluster):
    spec = SweepSpec.parse(
        {
            "name": "watched",
            "data": str(faces),
            "space": {"file": str(plain_space)},
            "scheduler": {"variant": "promotion", "eta": 2, "max_epochs": 4},
            "max_trials": 6,
            "folder": str(tmp_path),
            "model": {"register_winner": False},
        }
    )
    told, seen = [], []

    def look(status):
        told.append(status)
        seen.append(SweepReader(spec.path).read())

    result = run(spec, watch=look)

    assert {overview.state for overview in seen} <= {"starting", "running"}
    assert [overview.eta for overview in seen] == [status.eta for status in told]
    assert all(len(overview.workers) == overview.counts["running"] <= 2 for overview in seen)
    trained = {(epoch["worker"], epoch["trial"]) for epoch in result.epochs.to_pylist()}
    shown = {(worker.name, worker.trial) for overview in seen for worker in overview.workers if worker.name}
    assert shown and shown <= trained
    assert any(overview.counts["running"] and overview.workers for overview in seen)
    assert any(overview.counts["paused"] for overview in seen)
    lengths = [overview.epochs for overview in seen]
    assert lengths == sorted(lengths)

    overview = SweepReader(spec.path).read()
    assert overview.state == "max_trials" and overview.eta is None and overview.workers == ()
    assert overview.counts == {
        "finished": result.trials.column("state").to_pylist().count("COMPLETE"),
        "stopped": result.trials.column("state").to_pylist().count("PRUNED"),
    }
    table = result.epochs.to_pandas()
    for trial in overview.trials:
        assert list(trial.values) == table[table.trial == trial.number].val_accuracy.tolist()
    assert max(trial.best for trial in overview.trials) == result.best["value"]
    assert [rung.epoch for rung in overview.rungs] == [1, 2]
    for rung in overview.rungs:
        assert rung.reached == (table.epoch == rung.epoch).sum()
        assert rung.passed == (table.epoch == rung.epoch + 1).sum()

    shown = CliRunner().invoke(app, ["sweep", "watch", str(spec.path), "--rows", "2"])
    assert shown.exit_code == 0
    assert "Sweep watched: max_trials" in shown.stdout and "4 more trials are not shown" in shown.stdout


def test_a_sweep_without_outcome_that_nobody_runs_was_killed(tmp_path, faces, plain_space):
    content = {
        "name": "new",
        "data": str(faces),
        "space": {"file": str(plain_space)},
        "folder": str(tmp_path),
    }
    folder = SweepFolder.create(SweepSpec.parse(content))
    with folder.locked():
        assert SweepReader(folder.path).read().state == "starting"
        with pytest.raises(SweepError, match="is being run by another process"), folder.locked():
            pass
    overview = SweepReader(folder.path).read()
    assert overview.state == "killed" and overview.trials == () and overview.elapsed == 0


def test_the_time_between_two_runs_is_no_time_of_the_sweep(monkeypatch):
    def rows(*ends: int) -> list[dict]:
        return [{"timestamp": datetime.fromtimestamp(end, UTC), "seconds": 5.0} for end in ends]

    begun = [{"started": datetime.fromtimestamp(start, UTC).isoformat()} for start in (90, 1000, 2000)]
    monkeypatch.setattr(time, "time", lambda: 2050.0)
    # 105 to 120, then 1005 to 1040, then from 2015 on.
    epochs = rows(110, 120, 1010, 1040, 2020, 2030)
    assert _elapsed(epochs, begun, running=False) == 15 + 35 + 15
    assert _elapsed(epochs, begun, running=True) == 15 + 35 + 35
    # The last run has trained nothing yet; a sweep made before runs were kept has one.
    assert _elapsed(epochs[:4], begun, running=True) == 15 + 35
    assert _elapsed(epochs[:2], [], running=False) == 15
    assert _elapsed([], begun, running=True) == 0


def test_a_trial_runs_that_its_driver_says_has_a_worker(tmp_path, faces, plain_space):
    content = {
        "name": "resumed",
        "data": str(faces),
        "space": {"file": str(plain_space)},
        "folder": str(tmp_path),
    }
    folder = SweepFolder.create(SweepSpec.parse(content))
    study = open_study(folder.spec(), open_storage(folder.spec()))
    for trial in (0, 1, 2):
        study.ask()
        epoch = {"trial": trial, "epoch": 1, "val_accuracy": 0.5, "seconds": 1.0, "worker": "dead-1"}
        EpochJournal(journal_path(folder.path)).append({**epoch, "timestamp": datetime.now(UTC).isoformat()})
    live = Live(eta=7.0, work=(Work(trial=1, worker=None, since=time.time() + 60),))
    # A killed driver's, before this one has told anything.
    write_live(folder.path, live)
    with folder.locked():
        assert SweepReader(folder.path).read().counts == {"waiting": 3}
        write_live(folder.path, live)
        overview = SweepReader(folder.path).read()
        assert [trial.state for trial in overview.trials] == ["waiting", "running", "waiting"]
        assert overview.workers == (WorkerView(name=None, trial=1, epochs=0, idle=0.0),)
        assert overview.eta == 7
    overview = SweepReader(folder.path).read()
    assert overview.counts == {"waiting": 3} and overview.workers == () and overview.eta is None


def test_the_time_to_go_is_that_of_trials_epochs_or_time_whichever_is_first(tmp_path, faces, plain_space):
    content = {"name": "sweep", "data": str(faces), "space": {"file": str(plain_space)}}

    def to_go(elapsed, ended, left, epochs, **budgets):
        return Budget(SweepSpec.parse({**content, **budgets}), lambda: 0.0).seconds_to_go(
            elapsed, ended, left, epochs
        )

    assert to_go(60, 3, 2, 30) == 40
    assert to_go(60, 0, 5, 3) is None and to_go(60, 3, -1, 30) == 0
    assert to_go(60, 3, 2, 30, time_budget=10) == 10
    assert to_go(60, 3, 2, 30, epoch_budget=5) == 10
    assert to_go(60, 3, 2, 0, epoch_budget=5) == 40


def test_what_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(SweepError, match="must be the folder of a sweep"):
        SweepReader(tmp_path)


def test_sparklines_span_their_values():
    assert sparkline((0.0, 0.5, 1.0, math.nan), 0.0, 1.0) == "▁▅█ "
    assert sparkline((0.3, 0.3), 0.3, 0.3) == "▁▁"


def test_an_ordinary_terminal_shows_rungs_workers_and_the_newest_epochs():
    rising = tuple(epoch / 100 for epoch in range(101))
    overview = SweepOverview(
        name="long",
        metric="val_accuracy",
        mode="max",
        state="running",
        trials=tuple(
            TrialView(number=number, state="running", values=rising, best=1.0, worker=None)
            for number in range(30)
        ),
        rungs=(RungView(epoch=3, reached=30, passed=20), RungView(epoch=9, reached=20, passed=10)),
        workers=tuple(WorkerView(name=f"host-{n}", trial=n, epochs=9, idle=1.0) for n in range(30)),
        max_trials=60,
        elapsed=100.0,
        eta=None,
    )
    for height in (24, 40):
        console = Console(width=80, height=height, force_terminal=True, file=io.StringIO())
        with console.capture() as capture:
            console.print(fitted(overview, 20, console))
        lines = Text.from_ansi(capture.get()).plain.splitlines()
        assert len(lines) == height
        assert {"Rungs after epoch", "that went on"} <= {line[:17].strip() for line in lines}
        assert sum("host-" in line for line in lines) == height // 4
        curves = [line for line in lines if "▁" in line or "█" in line]
        assert curves and all(line.rstrip().endswith("█████████████") for line in curves)
        assert lines[-1].strip() == f"{30 - len(curves)} more trials are not shown"
