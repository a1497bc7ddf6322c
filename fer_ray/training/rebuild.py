"""A trained model again, from its hyperparameters and the values of its variables."""

from typing import Any

import keras

from fer_ray.training.checkpoint import Arrays
from fer_ray.training.epochs import assign, build_on, weights_of
from fer_ray.training.trial import TrialConfig, TrialData, build_model, hyperparameters_of


def rebuild_model(config: TrialConfig, data: TrialData, weights: Arrays) -> Any:
    """Builds a configuration's model in float32 and gives it the weights of a checkpoint.

    Args:
        config: The trial's; its precision is not used.
        data: For the number of classes, the image shape and one image.
        weights: As `Checkpoint.best` has them.

    Raises:
        InfeasibleModelError: If the model cannot be built.
        FailedTrialError: If the weights are those of another model.
    """
    keras.config.set_dtype_policy("float32")
    hypermodel = config.space_file.load(data.classes, data.input_shape)
    model = build_model(hypermodel, hyperparameters_of(config))
    build_on(model, data.validation[0][:1])
    assign(weights_of(model), weights, "model")
    return model
