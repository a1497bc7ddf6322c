"""Samples of the augmentation that the shipped spaces search: at its defaults, and at its strongest."""

from collections.abc import Mapping
from typing import Any

from fer_ray.data.shown import Augmented
from fer_ray.errors import ConfigError
from fer_ray.pixels import Pixels


def augment_samples(images: Pixels, copies: int, seed: int) -> list[Augmented]:
    """Augments images as `fer_ray.training.parts.augment` does in training.

    Args:
        images: uint8, shape (N, H, W, C).
        copies: Versions of each image.
        seed: Of what is drawn.

    Returns:
        The space's default, and every strength at the top of its range.

    Raises:
        ConfigError: If Keras has no backend.
    """
    try:
        import keras_tuner
    except ModuleNotFoundError as error:
        rule, remedy = "needs TensorFlow", "Install fer-ray[cpu], or add --no-augmented"
        raise ConfigError("augmented samples", rule, str(error), remedy) from error

    default = keras_tuner.HyperParameters()
    weak = _config(default, images.shape[1:])
    strongest = keras_tuner.HyperParameters()
    strongest.values = {
        hp.name: hp.max_value
        for hp in default.space
        if isinstance(hp, keras_tuner.engine.hyperparameters.Float)
    }
    strong = _config(strongest, images.shape[1:])
    return [
        Augmented(name=name, strength=_words(config), images=_augment(config, images, copies, seed))
        for name, config in (("default", weak), ("strongest", strong))
    ]


def _config(hp: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """The configuration of the layer that a space would build."""
    import keras

    from fer_ray.training import parts

    x = keras.Input(shape, dtype="float32")
    config: dict[str, Any] = keras.Model(x, parts.augment(hp, x)).layers[-1].get_config()
    return config


def _augment(config: Mapping[str, Any], images: Pixels, copies: int, seed: int) -> Pixels:
    from keras import ops

    from fer_ray.training.augment import AugmentFaces

    layer = AugmentFaces.from_config({**config, "seed": seed})
    # Centred on zero, as the spaces do it: brightness and erasing are about the middle grey.
    centred = images.repeat(copies, axis=0) / 127.5 - 1
    drawn = ops.clip((layer(centred.astype("float32"), training=True) + 1) * 127.5, 0, 255)
    pixels: Pixels = ops.convert_to_numpy(ops.round(drawn)).astype("uint8")
    return pixels.reshape(len(images), copies, *images.shape[1:])


def _words(config: Mapping[str, Any]) -> dict[str, str]:
    return {
        "turned": f"by up to {config['rotation']:g}° to either side",
        "shifted": f"by up to {config['shift']:.0%} of the side",
        "scaled": f"by up to {config['zoom']:.0%}",
        "lit": f"up to {config['brightness']:.0%} brighter or darker about the middle grey",
        "mirrored": "half of the images" if config["mirror"] else "never",
        "partly erased": f"{config['erase']:.0%} of the images" if config["erase"] else "never",
    }
