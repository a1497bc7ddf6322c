"""Small sources that the tests write themselves."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_ray.data.labels import EMOTIONS
from fer_ray.data.synthetic import draw_faces

FOLDER_OF = {"Training": "train", "PublicTest": "test", "PrivateTest": "test"}


class Faces:
    """The same drawn faces as fer2013.csv and as the class folders that are made from it."""

    def __init__(self, n: int, seed: int = 0, size: int = 12) -> None:
        images, labels = draw_faces(n, seed=seed, size=max(size, 16))
        self.images = np.ascontiguousarray(images[:, :size, :size, 0])
        self.labels = [EMOTIONS[label] for label in labels]
        self.usages = ["Training" if i % 4 < 2 else ("PublicTest", "PrivateTest")[i % 2] for i in range(n)]

    def rows(self) -> list[str]:
        return [
            f"{EMOTIONS.index(label)},{' '.join(map(str, image.ravel()))},{usage}"
            for image, label, usage in zip(self.images, self.labels, self.usages, strict=True)
        ]

    def write_csv(self, path: Path, header: str = "emotion,pixels,Usage", more: Sequence[str] = ()) -> Path:
        path.write_text("\n".join([header, *self.rows(), *more]) + "\n")
        return path

    def write_folders(self, root: Path, place: Callable[["Faces", int], str] | None = None) -> Path:
        place = place or Faces.official_place
        for number, image in enumerate(self.images):
            path = root / place(self, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
        return root

    def official_place(self, number: int) -> str:
        usage = self.usages[number]
        return f"{FOLDER_OF[usage]}/{self.labels[number]}/{usage}_{number:05d}.png"


@pytest.fixture
def faces() -> Faces:
    return Faces(80)


@pytest.fixture(scope="session")
def make_faces() -> type[Faces]:
    return Faces
