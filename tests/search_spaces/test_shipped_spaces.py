"""The spaces that ship, under Keras Tuner unchanged and under ours."""

import importlib.util
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest

from fer_ray.errors import FailedTrialError, SpaceError
from fer_ray.objective import Objective
from fer_ray.training.backbones import BACKBONES, load_backbone, squeezenet, unfreeze
from fer_ray.training.space_file import SpaceFile
from fer_ray.training.trial import TrialConfig, TrialData, train

pytestmark = pytest.mark.keras

FOLDER = Path(__file__).parents[2] / "search_spaces"
SMALL = {
    "baseline": {"filters": [4, 8], "batch_sizes": [8, 16]},
    "transfer": {"backbones": ["squeezenet"], "weights": "none", "input_sizes": [48], "batch_sizes": [8]},
}
CLASSES = {"baseline": "BaselineHyperModel", "transfer": "TransferHyperModel"}


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)

    def some(n):
        labels = np.arange(n) % 3
        return generator.integers(0, 256, (n, 32, 32, 1), dtype=np.uint8), labels.astype(np.int64)

    return TrialData(train=some(16), validation=some(9), classes=3)


def module_of(name):
    """As a user of Keras Tuner imports it: no help of ours."""
    spec = importlib.util.spec_from_file_location(f"shipped_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hypermodel(name, **arguments):
    made = getattr(module_of(name), CLASSES[name])
    return made(**{"classes": 3, "input_shape": (32, 32, 1), **SMALL[name], **arguments})


@pytest.mark.parametrize("name", ["baseline", "transfer"])
def test_a_space_runs_under_keras_tuner_unchanged(name, data, tmp_path):
    tuner = keras_tuner.RandomSearch(
        hypermodel(name), objective="val_accuracy", max_trials=2, seed=1, directory=tmp_path
    )
    tuner.search(*data.train, validation_data=data.validation, epochs=1, verbose=0)
    trials = tuner.oracle.get_best_trials(2)
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    assert all(0 <= trial.score <= 1 for trial in trials)
    assert trials[0].metrics.exists("val_macro_f1")
    assert "batch_size" in trials[0].hyperparameters.values


@pytest.mark.parametrize("name", ["baseline", "transfer"])
def test_a_space_trains_under_ours_and_reports_every_score(name, data):
    epochs = []
    config = TrialConfig(
        space_file=SpaceFile(path=FOLDER / f"{name}.py", arguments=SMALL[name]),
        space={"space": []},
        values={},
        objective=Objective(metric="val_macro_f1", mode="max"),
        max_epochs=2,
    )
    train(config, data, report=epochs.append)
    scores = {"loss", "accuracy", "macro_f1", "balanced_accuracy"}
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert scores | {f"val_{score}" for score in scores} <= set(epochs[0])


@pytest.mark.parametrize("name", ["baseline", "transfer"])
def test_any_configuration_gives_probabilities_from_uint8_images(name, data):
    hp = keras_tuner.HyperParameters()
    space = hypermodel(name)
    space.build(hp)
    for attempt in range(3):
        values = {item.name: item.random_sample(attempt + 7) for item in hp.space}
        sampled = hp.copy()
        sampled.values = values
        model = space.build(sampled)
        images = data.validation[0]
        # In training mode too: augmentation must not change the shape.
        for training in (False, True):
            probabilities = np.asarray(model(images, training=training))
            assert probabilities.shape == (9, 3)
            assert probabilities.dtype == np.float32
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_transfer_space_trains_its_head_before_its_backbone(data):
    space = hypermodel("transfer")
    hp = keras_tuner.HyperParameters()
    hp.values = {"trainable_blocks": "1", "head_epochs": 1}
    model = space.build(hp)
    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    assert backbone.trainable_variables == []
    after = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            named = {v.path: np.asarray(v).copy() for v in backbone.variables}
            after.append((epoch, named))

    before = {v.path: np.asarray(v).copy() for v in backbone.variables}
    space.fit(
        hp, model, *data.train, validation_data=data.validation, epochs=2, callbacks=[Watch()], verbose=0
    )
    (_, first), (_, second) = after
    assert all(np.array_equal(before[path], first[path]) for path in before)
    moved = {path.split("/")[-2] for path in before if not np.array_equal(first[path], second[path])}
    assert moved
    assert all(layer.startswith("fire9_") for layer in moved)


@pytest.mark.parametrize(("blocks", "layers"), [("0", 0), ("1", 3), ("2", 6), ("all", 25)])
def test_blocks_are_counted_from_the_output(blocks, layers):
    model = squeezenet((48, 48, 3))
    unfreeze(model, "squeezenet", blocks)
    trainable = [layer.name for layer in model.layers if layer.trainable and layer.weights]
    assert len(trainable) == layers


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_prefix_of_a_block_names_layers(name):
    backbone = BACKBONES[name]
    model = backbone.make((64, 64, 3))
    for prefix in backbone.blocks:
        assert any(layer.name.startswith(prefix) and layer.weights for layer in model.layers), prefix
    unfreeze(model, name, "all")
    normalisation = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert not any(layer.trainable for layer in normalisation)


def test_squeezenet_has_the_weights_of_its_paper():
    # 1.1 without its classifier: 1,235,496 less the 513,000 of a convolution to 1,000 classes.
    assert squeezenet((227, 227, 3)).count_params() == 722_496
    assert squeezenet((227, 227, 3)).output_shape == (None, 13, 13, 512)


def test_weights_come_from_a_file(tmp_path):
    file = tmp_path / "squeezenet.weights.h5"
    original = squeezenet((48, 48, 3))
    original.save_weights(file)
    loaded = load_backbone("squeezenet", (64, 64, 3), str(file))
    for ours, theirs in zip(loaded.weights, original.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_weights_that_cannot_be_had_fail_the_trial(tmp_path):
    (broken := tmp_path / "broken.weights.h5").write_bytes(b"no weights")
    with pytest.raises(FailedTrialError, match="must be a file that every worker can read"):
        load_backbone("squeezenet", (48, 48, 3), str(tmp_path / "none.weights.h5"))
    with pytest.raises(FailedTrialError, match="must fit squeezenet without its top"):
        load_backbone("squeezenet", (48, 48, 3), str(broken))
    with pytest.raises(FailedTrialError, match="are not offered by Keras"):
        load_backbone("squeezenet", (48, 48, 3), "imagenet")


def test_an_unknown_backbone_is_refused_by_name():
    space = SpaceFile(path=FOLDER / "transfer.py", arguments={"backbones": ["resnet"]})
    with pytest.raises(SpaceError, match=r"backbones must be among mobilenet_v2, .*resnet"):
        space.load(3, (32, 32, 1))
