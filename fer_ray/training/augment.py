"""Augmentation of face images, inside the model and active in training only."""

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("fer_ray")
class AugmentFaces(keras.layers.Layer):
    """Mirrors, turns, shifts, scales, relights and erases at random; passes images through outside training.

    One affine transformation per image does all the geometry, so that pixels are interpolated once. Faces are
    never turned upside down. The random state is a variable of the layer and so part of a checkpoint.

    Input and output: float, shape (N, H, W, C), any range; borders are filled by reflection.

    Args:
        rotation: Largest turn to either side, in degrees.
        shift: Largest shift to any side, as a fraction of the image's side.
        zoom: Largest change of scale, as a fraction.
        brightness: Largest factor by which an image is lightened or darkened, as a fraction.
        mirror: Whether half of the images are mirrored left to right.
        erase: Share of images that lose a rectangle to zero, 0 to 1; its sides are 15 to 40% of the image's.
            Source: Zhong et al. 2017, "Random Erasing Data Augmentation", with zero for the random pixels.
        seed: Of the layer's random state; drawn from Keras's global one if None.
    """

    def __init__(
        self,
        rotation: float = 10.0,
        shift: float = 0.1,
        zoom: float = 0.1,
        brightness: float = 0.1,
        mirror: bool = True,
        erase: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.rotation, self.shift, self.zoom = rotation, shift, zoom
        self.brightness, self.mirror, self.erase, self.seed = brightness, mirror, erase, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Augments a batch if `training`."""
        if not training:
            return images
        images = ops.image.affine_transform(
            images, self._transforms(images), interpolation="bilinear", fill_mode="reflect"
        )
        images = images * self._uniform((ops.shape(images)[0], 1, 1, 1), 1.0, self.brightness)
        return images * self._kept(images) if self.erase else images

    def _uniform(self, shape: Any, centre: float, reach: float) -> Any:
        drawn = keras.random.uniform(shape, -1.0, 1.0, dtype=self.compute_dtype, seed=self.seed_generator)
        return centre + reach * drawn

    def _transforms(self, images: Any) -> Any:
        """Eight numbers an image that map output to input pixels about the image's centre, shape (N, 8)."""
        n, height, width = ops.shape(images)[0], images.shape[1], images.shape[2]
        draw = self._uniform((4, n), 0.0, 1.0)
        angle = draw[0] * (self.rotation * math.pi / 180)
        scale = 1.0 + draw[1] * self.zoom
        flip = ops.sign(self._uniform((n,), 1e-6, 1.0)) if self.mirror else ops.ones((n,), self.compute_dtype)
        cos, sin = ops.cos(angle) * scale, ops.sin(angle) * scale
        centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
        a, b = cos * flip, -sin
        c, d = sin * flip, cos
        offset_x = centre_x - a * centre_x - b * centre_y + draw[2] * self.shift * width
        offset_y = centre_y - c * centre_x - d * centre_y + draw[3] * self.shift * height
        zero = ops.zeros_like(a)
        return ops.stack([a, b, offset_x, c, d, offset_y, zero, zero], axis=1)

    def _kept(self, images: Any) -> Any:
        """Zero inside each image's rectangle and one elsewhere, shape (N, H, W, 1)."""
        n, height, width = ops.shape(images)[0], images.shape[1], images.shape[2]
        draw = self._uniform((5, n, 1), 0.5, 0.5)
        half = (0.15 + 0.25 * draw[:2]) / 2
        rows = ops.abs((ops.arange(height, dtype=self.compute_dtype) + 0.5) / height - draw[2]) < half[0]
        columns = ops.abs((ops.arange(width, dtype=self.compute_dtype) + 0.5) / width - draw[3]) < half[1]
        erased = ops.logical_and(rows[:, :, None], columns[:, None, :])
        erased = ops.logical_and(erased, draw[4][:, :, None] < self.erase)
        return 1 - ops.cast(erased, self.compute_dtype)[..., None]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """For saving."""
        own = ("rotation", "shift", "zoom", "brightness", "mirror", "erase", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
