"""Watching a sweep from its folder, while it runs and afterwards."""

import math
import time
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from fer_ray.cli.app import app
from fer_ray.cli.watch import sparkline
from fer_ray.errors import SweepError
from fer_ray.search import SweepReader, SweepSpec, run
from fer_ray.search.budget import seconds_to_go
from fer_ray.search.folder import SweepFolder
from fer_ray.search.overview import _elapsed


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
    seen = []
    result = run(spec, watch=lambda _: seen.append(SweepReader(spec.path).read()))

    assert {overview.state for overview in seen} <= {"starting", "running"}
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


def test_seconds_to_go_need_a_trial_that_has_ended():
    assert seconds_to_go(60, 3, 2) == 40
    assert seconds_to_go(60, 0, 5) is None and seconds_to_go(60, 3, -1) == 0


def test_what_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(SweepError, match="must be the folder of a sweep"):
        SweepReader(tmp_path)


def test_sparklines_span_their_values():
    assert sparkline((0.0, 0.5, 1.0, math.nan), 0.0, 1.0) == "▁▅█ "
    assert sparkline((0.3, 0.3), 0.3, 0.3) == "▁▁"
