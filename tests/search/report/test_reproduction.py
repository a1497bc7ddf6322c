"""The report of a real sweep, and the command in it run: the same numbers, bit for bit on one thread."""

import numpy as np
import pytest

from fer_ray.errors import SweepError
from fer_ray.search import SweepSpec, load_result, run
from fer_ray.search.report import make_report, reproduction


@pytest.mark.ray
def test_the_best_trial_trained_again_gives_the_same_numbers(tmp_path, faces, plain_space, ray_cluster):
    content = {
        "name": "sweep",
        "data": str(faces),
        "space": {"file": str(plain_space)},
        "scheduler": {"eta": 2, "grace": 1, "max_epochs": 3},
        "searcher": {"kind": "random"},
        "max_trials": 3,
        "concurrency": 1,
        "seed": 5,
        "folder": str(tmp_path / "sweeps"),
        "model": {"register_winner": False},
    }
    result = run(SweepSpec.parse(content))
    report = make_report(result.path)
    page = report.page.read_text()
    assert "The data set" not in page and "Machine and versions" in page and "tensorflow" in page

    again = run(SweepSpec.from_yaml(report.reproduction))
    best, repeated = result.best, again.best
    assert (repeated["value"], repeated["epochs"]) == (best["value"], best["epochs"])
    assert repeated["hyperparameters"] == best["hyperparameters"]
    first = result.epochs.to_pandas().query("trial == @best['trial']").drop(columns="trial")
    second = again.epochs.to_pandas().drop(columns="trial")
    metrics = [name for name in first if name not in ("timestamp", "seconds", "worker")]
    np.testing.assert_array_equal(first[metrics].to_numpy(), second[metrics].to_numpy())


def test_a_trial_without_a_result_cannot_be_trained_again(finished):
    result = load_result(finished)
    failed = next(row["trial"] for row in result.trials.to_pylist() if row["state"] == "FAIL")
    with pytest.raises(SweepError, match="must be a trial with a result"):
        reproduction(result, failed)
    with pytest.raises(SweepError, match="must be a trial with a result"):
        reproduction(result, 999)


def test_a_space_file_that_was_changed_since_is_taken_from_the_sweep(made_up, tmp_path):
    sweep = made_up.play(tmp_path, max_trials=2)
    result = load_result(sweep)
    best = result.best["trial"]
    assert reproduction(result, best).space.file == tmp_path / "space.py"
    # Kept modules may have been changed since where they were taken from.
    (sweep / "modules").mkdir()
    assert reproduction(result, best).space.file == sweep / "space.py"
    (sweep / "modules").rmdir()
    (tmp_path / "space.py").write_text("changed")
    assert reproduction(result, best).space.file == sweep / "space.py"
    (tmp_path / "space.py").unlink()
    assert reproduction(result, best).space.file == sweep / "space.py"
