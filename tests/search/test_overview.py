"""Watching a sweep from its folder, while it runs and afterwards."""

import math

import pytest
from typer.testing import CliRunner

from fer_ray.cli.app import app
from fer_ray.cli.watch import sparkline
from fer_ray.errors import SweepError
from fer_ray.search import SweepReader, SweepSpec, run
from fer_ray.search.folder import SweepFolder


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


def test_what_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(SweepError, match="must be the folder of a sweep"):
        SweepReader(tmp_path)


def test_sparklines_span_their_values():
    assert sparkline((0.0, 0.5, 1.0, math.nan), 0.0, 1.0) == "▁▅█ "
    assert sparkline((0.3, 0.3), 0.3, 0.3) == "▁▁"
