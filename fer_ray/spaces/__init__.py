"""Search spaces on the driver: Keras Tuner's JSON, parsed and described, and walked by Optuna's samplers.

`optuna_bridge` and `samplers` import Optuna and are imported by their path.
"""

from fer_ray.spaces.hyperparameter import Condition, Hyperparameter, Options, Value
from fer_ray.spaces.number import Number
from fer_ray.spaces.space import Space, Values

__all__ = ["Condition", "Hyperparameter", "Number", "Options", "Space", "Value", "Values"]
