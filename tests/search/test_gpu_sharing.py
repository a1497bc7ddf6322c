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
    assert {worker["TF_FORCE_GPU_ALLOW_GROWTH"] for worker in (*workers, discovery)} == {"true"}
    assert {(worker["compute"], worker["optimizer"]) for worker in workers} == {
        ("float16", "LossScaleOptimizer")
    }
