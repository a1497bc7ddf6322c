"""Trials that share GPUs by fractions, on a cluster that Ray takes for one with two of them.

There is no GPU: that TensorFlow takes memory as it needs it is not seen here, only that each worker is told to and
is shown its GPU alone.
"""

import json

import pytest

from fer_ray.search import SweepSpec, run

pytestmark = pytest.mark.ray

# Writes down what its process was told; waits until as many workers train as should.
SPACE = """
import json, os, pathlib, time
import keras, keras_tuner

FOLDER = pathlib.Path({folder!r})
SHOWN = {{name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "TF_FORCE_GPU_ALLOW_GROWTH")}}


class Model(keras_tuner.HyperModel):
    def build(self, hp):
        layers = [keras.layers.Flatten(), keras.layers.Dense(hp.Int("units", 4, 64), activation="relu")]
        model = keras.Sequential([*layers, keras.layers.Dense(7, activation="softmax", dtype="float32")])
        model.build((None, 16, 16, 1))
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, x, *args, **kwargs):
        seen = {{**SHOWN, "compute": model.layers[1].compute_dtype, "optimizer": type(model.optimizer).__name__}}
        kind = "trial" if len(x) > 100 else "discovery"
        (FOLDER / f"{{kind}}-{{os.getpid()}}.json").write_text(json.dumps(seen))
        deadline = time.monotonic() + 120
        while kind == "trial" and len(list(FOLDER.glob("trial-*"))) < 4 and time.monotonic() < deadline:
            time.sleep(0.1)
        return model.fit(x, *args, verbose=0, **kwargs)
"""


@pytest.fixture
def two_gpus():
    import ray

    ray.init(address="local", num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_two_trials_share_each_gpu_and_take_its_memory_as_they_need_it(two_gpus, tmp_path, faces):
    seen = tmp_path / "seen"
    seen.mkdir()
    (tmp_path / "space.py").write_text(SPACE.format(folder=str(seen)))
    spec = SweepSpec.parse(
        {
            "name": "sweep",
            "data": str(faces),
            "space": {"file": str(tmp_path / "space.py"), "object": "Model"},
            "searcher": {"kind": "random"},
            "scheduler": {"kind": "none", "max_epochs": 2},
            "max_trials": 4,
            "resources": {"cpu": 1, "gpu": 0.5},
            "precision": "mixed_float16",
            "folder": str(tmp_path / "sweeps"),
            "model": {"register_winner": False},
        }
    )
    result = run(spec)
    assert result.trials["state"].to_pylist() == ["COMPLETE"] * 4
    workers = [json.loads(file.read_text()) for file in seen.glob("trial-*")]
    assert sorted(worker["CUDA_VISIBLE_DEVICES"] for worker in workers) == ["0", "0", "1", "1"]
    (discovery,) = [json.loads(file.read_text()) for file in seen.glob("discovery-*")]
    assert discovery["CUDA_VISIBLE_DEVICES"] == ""
    assert {worker["TF_FORCE_GPU_ALLOW_GROWTH"] for worker in (*workers, discovery)} == {"true"}
    assert {(worker["compute"], worker["optimizer"]) for worker in workers} == {
        ("float16", "LossScaleOptimizer")
    }


# Trains until the file that it is told is there; a line for each trial: its process and what that is shown.
HELD_SPACE = """
import json, os, pathlib, time
import keras, keras_tuner


class Model(keras_tuner.HyperModel):
    def __init__(self, ledger):
        super().__init__()
        self.ledger = pathlib.Path(ledger)

    def build(self, hp):
        layers = [keras.layers.Flatten(), keras.layers.Dense(hp.Int("units", 4, 64), activation="relu")]
        model = keras.Sequential([*layers, keras.layers.Dense(7, activation="softmax")])
        model.build((None, 16, 16, 1))
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, x, *args, **kwargs):
        if len(x) > 100:
            names = ("CUDA_VISIBLE_DEVICES", "TF_FORCE_GPU_ALLOW_GROWTH")
            with self.ledger.open("a") as file:
                file.write(json.dumps(["SWEEP", os.getpid(), *map(os.environ.get, names)]) + "\\n")
            deadline = time.monotonic() + 120
            while not self.ledger.with_name("enough").exists() and time.monotonic() < deadline:
                time.sleep(0.1)
        return model.fit(x, *args, verbose=0, **kwargs)
"""


@pytest.mark.slow
def test_on_a_mixed_cluster_trials_with_gpus_have_the_node_that_has_them(nodes, sweeps, tmp_path):
    head = nodes.start_head(1)
    with_gpus = nodes.start_node(4, gpus=2)
    common = {"address": nodes.address, "scheduler": {"kind": "none", "max_epochs": 1}}
    gpu = sweeps.run(
        "gpu", space=HELD_SPACE.replace("SWEEP", "gpu"), resources={"cpu": 1, "gpu": 0.5}, **common
    )
    gpu.wait_for(lambda: len(sweeps.ledger.read()) == 4)
    cpu = sweeps.run("cpu", space=HELD_SPACE.replace("SWEEP", "cpu"), max_trials=1, **common)
    cpu.wait_for(lambda: len(sweeps.ledger.read()) == 5)
    (*on_gpus, on_cpu), there = sweeps.ledger.read(), nodes.processes(with_gpus)
    elsewhere = nodes.processes(head)
    (tmp_path / "enough").touch()
    assert {name for name, *_ in on_gpus} == {"gpu"} and {pid for _, pid, *_ in on_gpus} <= there
    assert sorted(shown for _, _, shown, _ in on_gpus) == ["0", "0", "1", "1"]
    assert on_cpu[0] == "cpu" and on_cpu[1] in elsewhere and not on_cpu[2]
    assert {growth for *_, growth in (*on_gpus, on_cpu)} == {"true"}
    assert gpu.result().trials["state"].to_pylist() == ["COMPLETE"] * 4
    assert cpu.result().trials["state"].to_pylist() == ["COMPLETE"]


@pytest.mark.slow
def test_a_trial_without_a_gpu_is_shown_none_on_a_node_that_has_some(nodes, sweeps, tmp_path):
    nodes.start_head(1, gpus=2)
    (tmp_path / "enough").touch()
    sweep = sweeps.run(
        "cpu",
        space=HELD_SPACE.replace("SWEEP", "cpu"),
        max_trials=1,
        address=nodes.address,
        scheduler={"kind": "none", "max_epochs": 1},
    )
    sweep.result()
    assert [shown for _, _, shown, _ in sweeps.ledger.read()] == [""]
