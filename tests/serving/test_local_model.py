"""A registered model in this process answers as its endpoint does."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from fer_ray.errors import ExportError, ModelNotFoundError, ServingError
from fer_ray.registry import ModelVersion, Registry
from fer_ray.serving.local_model import LocalModel, load_model


@pytest.fixture
def version(register_toy: Callable[..., ModelVersion], tmp_path: Path) -> ModelVersion:
    return register_toy(Registry(tmp_path / "registry"))


@pytest.fixture
def model(version: ModelVersion, tmp_path: Path) -> LocalModel:
    return load_model("toy", tmp_path / "registry")


def test_pixels_of_the_models_shape(model: LocalModel, version: ModelVersion) -> None:
    pixels = np.full((150, 8, 8, 1), 240, np.uint8)
    pixels[::2] = 10
    answers = model.predict(pixels)
    assert [answer.label for answer in answers] == ["dark", "bright"] * 75
    assert all(sum(answer.probabilities.values()) == pytest.approx(1) for answer in answers)
    assert repr(model) == f"LocalModel('{version.reference}')"
    assert model.description.labels == ["dark", "bright", "tilted"]
    assert model.predict(pixels[:0]) == []


def test_files_are_answered_as_by_the_endpoint(
    model: LocalModel, client: TestClient, encode: Callable[..., bytes], photo: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(encode(photo, "JPEG"))
    (tmp_path / "dark.png").write_bytes(encode(np.full((20, 30), 10, np.uint8)))
    names = ["photo.jpg", "dark.png"]
    answers = model.predict([tmp_path / name for name in names])
    for answer, name in zip(answers, names, strict=True):
        (expected,) = client.post("/predict", content=(tmp_path / name).read_bytes()).json()["predictions"]
        assert answer.model_dump() == expected
    assert model.predict(str(tmp_path / "dark.png")) == answers[1:]


def test_what_is_no_face_is_one_error_that_names_it(model: LocalModel, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ServingError, match=r"notes\.txt: must be an image\. Received: "):
        model.predict(tmp_path / "notes.txt")
    with pytest.raises(ServingError, match=r"none\.png: must be a readable image file"):
        model.predict([tmp_path / "none.png"])
    with pytest.raises(ExportError, match=r"images must be uint8 of shape \(N, 8, 8, 1\)"):
        model.predict(np.zeros((2, 8, 8, 1), np.float32))


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        load_model("toy", Registry(tmp_path))
