"""Trials that take more memory than there is: ended by Ray's monitor, or refused by the machine."""

import optuna
import psutil
import pytest

from fer_ray.search.storage import open_storage

pytestmark = pytest.mark.ray

# Takes memory until somebody ends it, at the point `when` of Keras's callbacks, as often as `times` says.
HUNGRY_SPACE = """
import os, time
import keras, keras_tuner, numpy


class Model(keras_tuner.HyperModel):
    def __init__(self, ledger):
        super().__init__()
        self.meals = ledger + "-meals"

    def build(self, hp):
        model = keras.Sequential([
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("units", 4, 64), activation="relu"),
            keras.layers.Dense(7, activation="softmax"),
        ])
        model.build((None, 16, 16, 1))
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, x, y, callbacks=(), **options):
        # Not while the space is discovered, on a handful of images.
        first = [keras.callbacks.LambdaCallback(WHEN=self.eat)] if len(x) > 100 else []
        return model.fit(x, y, callbacks=[*first, *callbacks], verbose=0, **options)

    def eat(self, *_):
        with open(self.meals, "a+") as file:
            file.write("x")
            if file.tell() > TIMES:
                return
        blocks = []
        for _ in range(80):
            blocks.append(numpy.ones(1 << 27, "uint8"))
            time.sleep(0.05)
        raise RuntimeError("nobody ended it")
"""


def hungry(when: str, times: int) -> str:
    return HUNGRY_SPACE.replace("WHEN", when).replace("TIMES", str(times))


@pytest.fixture
def short_of_memory(nodes):
    """A cluster whose monitor ends workers once three more gigabytes of the machine's memory are in use."""
    memory = psutil.virtual_memory()
    threshold = (memory.total - memory.available + 3e9) / memory.total
    nodes.start_head(1, RAY_memory_usage_threshold=f"{threshold:.4f}", RAY_memory_monitor_refresh_ms="100")
    return nodes


def test_a_trial_that_takes_too_much_memory_fails_alone(short_of_memory, sweeps):
    space = hungry("on_epoch_end", times=2)
    scheduler = {"kind": "none", "max_epochs": 2}
    sweep = sweeps.run(
        "sweep", space=space, address=short_of_memory.address, retries=1, scheduler=scheduler, max_trials=3
    )
    result = sweep.result()
    trials = result.trials.to_pandas().set_index("trial")
    assert trials.state.to_list() == ["FAIL", "COMPLETE", "COMPLETE"]
    study = optuna.load_study(study_name=None, storage=open_storage(result.spec))
    assert study.trials[0].user_attrs["failure"] == "memory"
    assert trials.reason[0].startswith("2 times, which is more often than `retries` allows: ")
    assert "running low on memory" in trials.reason[0]


@pytest.mark.slow
def test_a_worker_that_runs_out_of_memory_after_its_trial_loses_none(short_of_memory, sweeps):
    """Tune resets it meanwhile, or has given it the next trial already, which then uses up a retry."""
    space = hungry("on_train_end", times=2)
    scheduler = {"kind": "none", "max_epochs": 2}
    sweep = sweeps.run(
        "sweep", space=space, address=short_of_memory.address, retries=2, scheduler=scheduler, max_trials=4
    )
    result = sweep.result()
    assert set(result.trials.to_pandas().state) == {"COMPLETE"} and len(result.trials) == 4
    epochs = result.epochs.to_pandas()
    assert not epochs.duplicated(["trial", "epoch"]).any() and len(epochs) == 8
    assert epochs.worker.nunique() == 3
