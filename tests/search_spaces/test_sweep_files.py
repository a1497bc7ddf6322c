"""The sweep files that ship: their known configurations belong to their spaces, and the demo's learns."""

from pathlib import Path

import pytest

from fer_ray.data import open_dataset
from fer_ray.data.synthetic import write_synthetic
from fer_ray.search import SweepSpec
from fer_ray.training.space_file import SpaceFile
from fer_ray.training.summary import summarise
from fer_ray.training.trial import TrialConfig, TrialData, train

pytestmark = pytest.mark.keras

FOLDER = Path(__file__).parents[2] / "search_spaces"


def read(name: str) -> tuple[SweepSpec, SpaceFile]:
    spec = SweepSpec.from_yaml(FOLDER / f"{name}.yaml")
    return spec, SpaceFile(path=spec.space.file, arguments=spec.space.arguments)


@pytest.mark.parametrize("name", ["demo", "fer2013"])
def test_known_configurations_are_in_their_space(name):
    spec, space_file = read(name)
    space = summarise(space_file, classes=7, input_shape=(48, 48, 1), samples=1).space
    for given in spec.searcher.known:
        space.check({**space.complete(given), **given})


def test_the_first_configuration_of_the_demo_learns_drawn_faces(tmp_path):
    """Chance is one in seven; a demo that ends near it shows a newcomer nothing."""
    spec, space_file = read("demo")
    write_synthetic(tmp_path / "faces", images=4000)
    faces = open_dataset(tmp_path / "faces")
    config = TrialConfig(
        space_file=space_file,
        space={"space": []},
        values=spec.searcher.known[0],
        objective=spec.goal,
        max_epochs=spec.scheduler.max_epochs,
    )
    epochs = []
    data = TrialData(train=faces.load("train"), validation=faces.load("validation"), classes=7)
    train(config, data, report=epochs.append)
    assert max(epoch["val_accuracy"] for epoch in epochs) > 0.8
