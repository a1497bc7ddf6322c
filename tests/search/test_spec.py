"""A sweep file: what is refused, and where; what comes back as it was."""

from pathlib import Path

import pytest
import yaml

from fer_ray.errors import ConfigError
from fer_ray.objective import Objective
from fer_ray.search.spec import SweepSpec

MINIMAL = {"name": "first", "data": "faces", "space": {"file": "space.py"}}


def parse(**changes):
    return SweepSpec.parse({**MINIMAL, **changes})


def test_three_keys_are_enough():
    spec = parse()
    assert spec.goal == Objective(metric="val_accuracy", mode="max")
    assert spec.path == Path("sweeps/first")
    assert (spec.scheduler.kind, spec.searcher.kind, spec.time_budget) == ("asha", "tpe", None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_trails": 3}, "sweep: max_trails: is no key of a sweep file. Received: 3."),
        (
            {"scheduler": {"etta": 3}},
            "sweep: scheduler.etta: is no key of a sweep file. Received: 3.",
        ),
        ({"max_trials": "many"}, "sweep: max_trials: should be a valid integer"),
        ({"max_trials": 2.5}, "sweep: max_trials: should be a valid integer"),
        (
            {"max_trials": True},
            "sweep: max_trials: should be another type than true or false. Received: True.",
        ),
        (
            {"resources": {"gpu": 1.5}},
            "sweep: resources.gpu: must be a whole number above 1: Ray gives out no part of a second GPU.",
        ),
        ({"max_trials": 0}, "sweep: max_trials: should be greater than or equal to 1. Received: 0."),
        (
            {"scheduler": {"eta": 1}},
            "sweep: scheduler.eta: should be greater than or equal to 2. Received: 1.",
        ),
        ({"scheduler": "asha"}, "sweep: scheduler: should be a valid dictionary"),
        ({"scheduler": {"kind": "hyperband"}}, "sweep: scheduler.kind: should be 'asha', 'median' or 'none'"),
        (
            {"scheduler": {"grace": 10, "max_epochs": 9}},
            "sweep: scheduler: grace must be at most max_epochs, 9. Received: grace: 10, max_epochs: 9.",
        ),
        ({"objective": {"mode": "maximise"}}, "sweep: objective.mode: should be 'min' or 'max'"),
        ({"objective": "val_loss"}, "sweep: objective: should be a valid dictionary"),
        ({"objective": []}, "sweep: objective: list should have at least 1 item"),
        ({"objective": [{}, {"mode": "up"}]}, "sweep: objective.1.mode: should be 'min' or 'max'"),
        (
            {"objective": {"metric": "parameters"}},
            "sweep: objective: parameters needs a metric of the epochs before it",
        ),
        (
            {"objective": [{"metric": "val_loss"}, {"metric": "val_loss", "mode": "max"}]},
            "sweep: objective: each metric must be named once: val_loss, val_loss. Received: objective: [{",
        ),
        (
            {"objective": [{}, {"metric": "parameters"}], "searcher": {"kind": "cmaes"}},
            "sweep: searcher.kind: cmaes knows one objective only; take tpe",
        ),
        ({"constraints": {"max_parameters": 0}}, "sweep: constraints.max_parameters: should be greater than"),
        ({"constraints": {"max_size": 1}}, "sweep: constraints.max_size: is no key of a sweep file"),
        ({"name": "a/b"}, "sweep: name: string should match pattern"),
        ({"name": ".."}, "sweep: name: string should match pattern"),
        ({"name": "x" * 101}, "sweep: name: string should have at most 100 characters"),
        ({"resources": {"cpu": 0}}, "sweep: resources.cpu: should be greater than 0. Received: 0."),
        ({"resources": {"cpu": float("inf")}}, "sweep: resources.cpu: should be a finite number"),
        ({"resources": {"gpu": -0.5}}, "sweep: resources.gpu: should be greater than or equal to 0"),
        ({"time_budget": "5 weeks"}, "sweep: time_budget: should be a valid number"),
        ({"time_budget": "0m"}, "sweep: time_budget: should be greater than 0"),
        ({"time_budget": -1}, "sweep: time_budget: should be greater than 0. Received: -1."),
        ({"seed": -1}, "sweep: seed: should be greater than or equal to 0. Received: -1."),
        ({"precision": "float16"}, "sweep: precision: should be 'float32'"),
        ({"space": {}}, "sweep: space.file: field required"),
        ({"tracking": {"tensorbaord": True}}, "sweep: tracking.tensorbaord: is no key of a sweep file"),
        ({"tracking": {"mlflow": "here"}}, "sweep: tracking.mlflow: should be a valid dictionary"),
        ({"tracking": {"mlflow": {"url": "x"}}}, "sweep: tracking.mlflow.url: is no key of a sweep file"),
        (
            {"tracking": {"mlflow": {"uri": "mlruns"}}},
            "sweep: tracking.mlflow.uri: string should match pattern",
        ),
        (
            {"tracking": {"wandb": {"mode": "on"}}},
            "sweep: tracking.wandb.mode: should be 'offline' or 'online'",
        ),
    ],
)
def test_a_fault_is_one_error_with_its_place(changes, message):
    with pytest.raises(ConfigError) as caught:
        parse(**changes)
    text = str(caught.value)
    assert text.startswith(message)
    assert "\n" not in text


def test_further_faults_are_counted():
    with pytest.raises(ConfigError, match=r"sweep: max_trials: .* \(2 more\)"):
        parse(max_trials=0, seed=-1, unknown=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), (90, 90), ("90s", 90), ("45m", 2700), ("2h", 7200), ("1.5 d", 129600), (0.5, 0.5)],
)
def test_time_has_units(text, seconds):
    assert parse(time_budget=text).time_budget == seconds


def test_a_spec_does_not_change():
    with pytest.raises(ValueError, match="frozen"):
        parse().max_trials = 3


FULL = {
    "name": "full-1.0",
    "data": "data/faces",
    "space": {
        "file": "spaces/mine.py",
        "object": "Mine",
        "arguments": {"filters": [8, 16], "note": "ä: 'x'"},
    },
    "objective": {"metric": "val_loss", "mode": "min"},
    "searcher": {"kind": "tpe", "options": {"n_startup_trials": 4}},
    "scheduler": {"kind": "asha", "eta": 4, "grace": 2, "max_epochs": 32},
    "max_trials": 40,
    "time_budget": "1.5h",
    "resources": {"cpu": 0.5, "gpu": 0.25},
    "concurrency": 3,
    "seed": 5,
    "precision": "mixed_bfloat16",
    "retries": 0,
    "storage": "postgresql://host/db",
    "folder": "runs",
    "tracking": {"tensorboard": True, "mlflow": {"uri": "http://host:5000"}, "wandb": {"mode": "online"}},
    "model": {"name": "faces", "registry": "s3://bucket/models", "register_winner": False},
    "address": "ray://head:10001",
}


SEVERAL = {
    **MINIMAL,
    "objective": [{"metric": "val_accuracy"}, {"metric": "latency_ms"}, {"metric": "val_loss"}],
    "constraints": {"max_parameters": "2e6", "max_latency_ms": 5},
}


def test_several_objectives_have_a_primary_and_modes_of_their_own():
    spec = SweepSpec.parse(SEVERAL)
    assert [(goal.metric, goal.mode) for goal in spec.goals] == [
        ("val_accuracy", "max"),
        ("latency_ms", "min"),
        ("val_loss", "min"),
    ]
    assert spec.goal == spec.goals[0]
    assert spec.constraints.limits == {"parameters": 2e6, "latency_ms": 5}
    assert spec.measures_latency


def test_a_list_of_one_objective_is_one_objective():
    assert parse(objective=[{"metric": "val_loss"}]).goals == (Objective(metric="val_loss", mode="min"),)
    assert not parse(constraints={"max_parameters": 10}).measures_latency


@pytest.mark.parametrize("content", [MINIMAL, FULL, SEVERAL])
def test_the_resolved_file_reads_back_as_the_same_sweep(content, tmp_path):
    spec = SweepSpec.parse(content)
    (tmp_path / "sweep.yaml").write_text(spec.to_yaml())
    assert SweepSpec.from_yaml(tmp_path / "sweep.yaml") == spec
    assert set(yaml.safe_load(spec.to_yaml())) == set(SweepSpec.model_fields)


@pytest.fixture
def write(tmp_path):
    def to_file(content):
        path = tmp_path / "sweep.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file


def test_overrides_win_over_the_file(write):
    path = write(yaml.safe_dump(FULL))
    spec = SweepSpec.from_yaml(path, {"scheduler.eta": 5, "max_trials": 2, "model.name": None})
    assert (spec.scheduler.eta, spec.scheduler.grace, spec.max_trials) == (5, 2, 2)
    assert spec.model.name is None


def test_overrides_need_no_section_in_the_file(write):
    spec = SweepSpec.from_yaml(write(yaml.safe_dump(MINIMAL)), {"searcher.options.n_startup_trials": 3})
    assert spec.searcher.options == {"n_startup_trials": 3}


@pytest.mark.parametrize("section", ["asha", "[1, 2]"])
def test_an_override_inside_what_is_no_section_is_one_error(write, section):
    path = write(f"{yaml.safe_dump(MINIMAL)}scheduler: {section}\n")
    with pytest.raises(ConfigError, match="scheduler: must be a mapping of keys"):
        SweepSpec.from_yaml(path, {"scheduler.eta": 4})


def test_an_override_fills_an_empty_section(write):
    path = write(f"{yaml.safe_dump(MINIMAL)}scheduler:\n")
    assert SweepSpec.from_yaml(path, {"scheduler.eta": 4}).scheduler.eta == 4


def test_an_override_that_is_no_key_is_named(write):
    with pytest.raises(ConfigError, match=r"sweep\.yaml: scheduler\.beta: is no key of a sweep file"):
        SweepSpec.from_yaml(write(yaml.safe_dump(MINIMAL)), {"scheduler.beta": 4})


def test_a_space_file_is_found_beside_the_sweep_file(write, tmp_path, monkeypatch):
    path = write(yaml.safe_dump(MINIMAL))
    monkeypatch.chdir(tmp_path.parent)
    (tmp_path / "space.py").write_text("")
    assert SweepSpec.from_yaml(path).space.file == tmp_path / "space.py"
    monkeypatch.chdir(tmp_path)
    assert SweepSpec.from_yaml("sweep.yaml").space.file == Path("space.py")


def test_a_missing_file_is_one_error(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: must be a readable sweep file"):
        SweepSpec.from_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="must be a readable sweep file"):
        SweepSpec.from_yaml(tmp_path)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("name: [unclosed", "must be YAML"),
        ("a: b: c", "must be YAML"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "must be YAML"),
        ("", "must be a mapping of keys. Received: NoneType."),
        ("- name\n- data", "must be a mapping of keys. Received: list."),
        ("just text", "must be a mapping of keys. Received: str."),
    ],
)
def test_what_is_no_sweep_file_is_one_error(write, content, rule):
    with pytest.raises(ConfigError) as caught:
        SweepSpec.from_yaml(write(content))
    assert f"sweep.yaml: {rule}" in str(caught.value)
    assert "\n" not in str(caught.value)


SHIPPED = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_sweep_files_that_ship_are_good(path):
    spec = SweepSpec.from_yaml(path)
    assert spec.space.file.is_file()
    assert spec.scheduler.max_epochs > spec.scheduler.grace


def test_sweep_files_ship():
    assert SHIPPED


def test_the_space_beside_the_sweep_file_is_taken_before_one_of_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "exp").mkdir()
    for folder in (tmp_path, tmp_path / "exp"):
        (folder / "space.py").write_text("def build(hp): ...\n")
    (tmp_path / "exp" / "my.yaml").write_text("name: my\ndata: faces\nspace: {file: space.py}\n")
    monkeypatch.chdir(tmp_path)
    assert SweepSpec.from_yaml("exp/my.yaml").space.file == Path("exp/space.py")


def test_trackers_are_switched_on_by_true_or_by_a_mapping():
    on = parse(tracking={"mlflow": True, "wandb": True}).tracking
    assert on == parse(tracking={"mlflow": {}, "wandb": {"project": "fer_ray"}}).tracking
    assert on.mlflow.uri is None and on.wandb.mode == "offline"
    off = parse(tracking={"mlflow": False, "wandb": False}).tracking
    assert off == parse().tracking and off.mlflow is None and off.wandb is None
