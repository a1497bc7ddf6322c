"""Plans on a real Ray cluster: what is measured there, what is refused, and that nothing is left behind."""

import os
import sys

import pytest

from fer_ray.errors import FerRayError, SweepError
from fer_ray.search import SweepSpec, plan, run
from fer_ray.search.folder import SweepFolder

pytestmark = pytest.mark.ray


@pytest.fixture
def sweep(tmp_path, faces, plain_space):
    def make(**changes) -> SweepSpec:
        content = {
            "name": "sweep",
            "data": str(faces),
            "space": {"file": str(plain_space)},
            "scheduler": {"eta": 2, "max_epochs": 4},
            "max_trials": 4,
            "folder": str(tmp_path / "new" / "sweeps"),
            "model": {"register_winner": False},
        }
        return SweepSpec.parse({**content, **changes})

    return make


def test_a_plan_holds_for_the_sweep_and_leaves_nothing_behind(sweep, ray_cluster, tmp_path):
    spec = sweep()
    before, modules = sorted(os.listdir(tmp_path)), set(sys.modules)
    planned = plan(spec)
    assert sorted(os.listdir(tmp_path)) == before
    assert not {"tensorflow", "keras"} & {name.partition(".")[0] for name in set(sys.modules) - modules}
    assert (planned.workers, planned.hyperparameters, planned.configurations) == (2, 4, None)
    assert [one.trial for one in planned.probe.configurations] == [0, 1, 2, 3]
    assert planned.seconds.expected > 0 and planned.checkpoints_mb > 0 and planned.notes == ()

    result = run(spec)
    trials = result.trials.to_pandas().set_index("trial")
    assert result.epochs.num_rows <= planned.epochs.at_most == 16
    assert len(trials) == planned.trials.at_most == 4
    # The probed configurations are the trials that the sweep begins with.
    for one in planned.probe.configurations:
        assert one.values["units"] == trials.loc[one.trial, "hp.units"]
        assert one.pace.parameters == trials.loc[one.trial, "parameters"]


def test_without_a_probe_there_are_counts_only(sweep, ray_cluster):
    planned = plan(sweep(time_budget="1h"), with_probe=False)
    assert planned.probe is planned.seconds is planned.checkpoints_mb is None
    assert planned.epochs.at_most == 16
    assert planned.notes == ("The time budget of 3600 s may end it earlier; that needs the probe.",)


def test_what_a_killed_plan_left_is_removed_but_not_what_another_is_using(sweep, ray_cluster):
    spec = sweep()
    killed, used, young = (SweepFolder(spec.folder / f".plan-{name}") for name in ("killed", "used", "young"))
    for folder in (killed, used, young):
        folder.path.mkdir(parents=True)
        (folder.path / "space.py").touch()
    for folder in (killed, used):
        os.utime(folder.path, (0, 0))
    with used.locked():
        os.utime(used.path, (0, 0))
        plan(spec, with_probe=False)
    assert sorted(os.listdir(spec.folder)) == [".plan-used", ".plan-young"]


def test_known_configurations_that_cannot_be_trained_are_told(sweep, ray_cluster, plain_space):
    text = plain_space.read_text()
    broken = 'if hp.get("units") == 8: raise ValueError("eight is too few")\n    optimizer = keras'
    plain_space.write_text(text.replace("optimizer = keras", broken, 1))
    searcher = {"kind": "random", "known": [{"units": 64}, {"units": 8}]}
    planned = plan(sweep(searcher=searcher, max_trials=2, limits={"epoch": 1e-6}))
    (failed,) = [one for one in planned.probe.configurations if one.failed]
    assert failed.trial == 1 and "eight is too few" in failed.failed
    assert planned.notes[0] == f"The known configuration of trial 1 fails: {failed.failed}"
    assert planned.notes[1].endswith("longer than limits.epoch, 1e-06 s.")
    assert len(planned.probe.paces) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"data": "nowhere"},
        {"space": {"file": "nowhere.py"}},
        {"storage": "postgresql+psycopg2://127.0.0.1:1/study"},
        {"storage": "nonsense"},
        {"resources": {"cpu": 1000}},
        {"searcher": {"known": [{"units": 5}]}},
        {"searcher": {"kind": "grid"}},
        {"objective": {"metric": "val_beauty"}},
        {"model": {"registry": "/dev/null/registry"}},
        {"publish": "/dev/null/sweeps"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_a_run_refuses_a_plan_refuses_with_the_same_error(sweep, ray_cluster, tmp_path, changes):
    spec = sweep(**changes)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(FerRayError) as refused:
        plan(spec)
    assert sorted(os.listdir(tmp_path)) == before
    with pytest.raises(type(refused.value)) as expected:
        run(spec)
    assert plain(refused) == plain(expected)


def plain(raised: pytest.ExceptionInfo) -> str:
    """Without the folder of the space file's copy, which is another one."""
    error = raised.value
    where = "space file" if error.where.endswith("space.py") else error.where
    return f"{where}: {error.rule} {error.received} {error.remedy}"


def test_a_name_that_is_taken_is_refused(sweep, ray_cluster):
    spec = sweep()
    spec.path.mkdir(parents=True)
    (spec.path / "sweep.yaml").write_text(spec.to_yaml())
    with pytest.raises(SweepError, match="must not exist yet"):
        plan(spec)
    assert os.listdir(spec.folder) == ["sweep"]


@pytest.mark.slow
def test_what_hangs_in_the_probe_ends_the_plan(sweep, ray_cluster, plain_space, tmp_path):
    """The defaults are tried in discovery; 60 units are trained in the probe only."""
    text = plain_space.read_text()
    hangs = '__import__("time").sleep(600 * (hp.get("units") == 60))\n    optimizer = keras'
    plain_space.write_text(text.replace("optimizer = keras", hangs, 1))
    searcher = {"kind": "random", "known": [{"units": 60}]}
    with pytest.raises(SweepError, match="trying one configuration must end within 30 s") as raised:
        plan(sweep(searcher=searcher, max_trials=1, limits={"discovery": 30}))
    assert "of the space file, in build" in raised.value.received
    assert not (tmp_path / "new").exists()
