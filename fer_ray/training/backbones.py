"""Pretrained feature extractors for transfer learning, with the preprocessing that each was trained with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from fer_ray.errors import FailedTrialError


@dataclass(frozen=True)
class Backbone:
    """A feature extractor without its classifier.

    Args:
        make: Builds it, with random weights, for an input of shape (H, W, 3).
        preprocess: Maps float RGB pixels, 0 to 255, to what it expects.
        blocks: Prefixes of its layers' names, from the output backwards: what `trainable_blocks` counts.
        imagenet: Builds it with ImageNet weights, downloading them; None where Keras offers none.
    """

    make: Callable[[tuple[int, int, int]], Any]
    preprocess: Callable[[Any], Any]
    blocks: tuple[str, ...]
    imagenet: Callable[[tuple[int, int, int]], Any] | None


def load_backbone(name: str, input_shape: tuple[int, int, int], weights: str) -> Any:
    """Builds a backbone with its weights.

    Args:
        name: A key of `BACKBONES`.
        input_shape: (height, width, 3).
        weights: ``imagenet`` (downloaded at first use), ``none``, or the path of a Keras weight file.

    Raises:
        FailedTrialError: If the weights cannot be had or do not fit.
    """
    backbone = BACKBONES[name]
    where = f"weights of {name}"
    if weights == "none":
        return backbone.make(input_shape)
    if weights == "imagenet":
        if backbone.imagenet is None:
            raise FailedTrialError(
                where, "are not offered by Keras", "imagenet", "Give the path of a weight file"
            )
        try:
            return backbone.imagenet(input_shape)
        except Exception as error:
            raise FailedTrialError(
                where, "must be downloadable", str(error), "Give the path of a weight file, or `none`"
            ) from error
    model = backbone.make(input_shape)
    if not Path(weights).is_file():
        raise FailedTrialError(where, "must be a file that every worker can read", weights)
    try:
        model.load_weights(weights)
    except Exception as error:
        raise FailedTrialError(where, f"must fit {name} without its top", f"{weights}: {error}") from error
    return model


def unfreeze(model: Any, name: str, trainable_blocks: str) -> None:
    """Lets the last blocks of a backbone train; batch normalisation keeps its ImageNet statistics.

    Args:
        model: The backbone.
        name: A key of `BACKBONES`.
        trainable_blocks: A number counted from the output, or ``all``.
    """
    prefixes = BACKBONES[name].blocks
    chosen = prefixes if trainable_blocks == "all" else prefixes[: int(trainable_blocks)]
    for layer in model.layers:
        named = trainable_blocks == "all" or layer.name.startswith(tuple(chosen) or ("\0",))
        layer.trainable = named and not isinstance(layer, layers.BatchNormalization)


def squeezenet(input_shape: tuple[int, int, int]) -> Any:
    """SqueezeNet 1.1 without its top; `keras.applications` has none.

    Source: Iandola et al. 2016, "SqueezeNet", and the 1.1 revision of its authors. Its layers are in the order of
    the public keras-squeezenet weight files.

    Args:
        input_shape: (height, width, 3), at least 48 pixels a side.
    """
    images = keras.Input(input_shape)
    x = layers.Conv2D(64, 3, strides=2, activation="relu", name="conv1")(images)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for number, (squeeze, expand) in enumerate(_FIRES, start=2):
        x = _fire(x, number, squeeze, expand)
        if number in (3, 5):
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{number}")(x)
    return keras.Model(images, x, name="squeezenet")


_FIRES = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]


def _fire(x: Any, number: int, squeeze: int, expand: int) -> Any:
    x = layers.Conv2D(squeeze, 1, activation="relu", name=f"fire{number}_squeeze1x1")(x)
    narrow = layers.Conv2D(expand, 1, activation="relu", name=f"fire{number}_expand1x1")(x)
    wide = layers.Conv2D(expand, 3, padding="same", activation="relu", name=f"fire{number}_expand3x3")(x)
    return layers.Concatenate(name=f"fire{number}_concat")([narrow, wide])


def _application(function: Callable[..., Any], weights: str | None, **options: Any) -> Callable[..., Any]:
    def make(input_shape: tuple[int, int, int]) -> Any:
        return function(input_shape=input_shape, include_top=False, weights=weights, **options)

    return make


@keras.saving.register_keras_serializable("fer_ray")
class CaffePreprocessing(layers.Layer):
    """RGB pixels, 0 to 255, to BGR less ImageNet's means, as models converted from Caffe expect."""

    def call(self, images: Any) -> Any:
        """Float images of shape (N, H, W, 3)."""
        means = ops.convert_to_tensor([103.939, 116.779, 123.68], images.dtype)
        return ops.flip(images, axis=-1) - means

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape


def _to_unit_range(x: Any) -> Any:
    return layers.Rescaling(1 / 127.5, offset=-1.0)(x)


_MOBILENET_V2 = keras.applications.MobileNetV2
_MOBILENET_V3 = keras.applications.MobileNetV3Small

BACKBONES = {
    "mobilenet_v2": Backbone(
        make=_application(_MOBILENET_V2, None),
        preprocess=_to_unit_range,
        blocks=("Conv_1", *(f"block_{number}_" for number in range(16, 0, -1))),
        imagenet=_application(_MOBILENET_V2, "imagenet"),
    ),
    "mobilenet_v3_small": Backbone(
        # It scales its input itself.
        make=_application(_MOBILENET_V3, None),
        preprocess=lambda x: x,
        blocks=("conv_1", *(f"expanded_conv_{number}_" for number in range(10, 0, -1))),
        imagenet=_application(_MOBILENET_V3, "imagenet"),
    ),
    "squeezenet": Backbone(
        make=squeezenet,
        preprocess=lambda x: CaffePreprocessing()(x),
        blocks=tuple(f"fire{number}_" for number in range(9, 1, -1)),
        imagenet=None,
    ),
}
