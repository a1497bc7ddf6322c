"""Every error that fer_ray raises on purpose.

    FerRayError
    ├── ConfigError            (ValueError)   a sweep file, a flag or an argument
    ├── DataError              (ValueError)   a source or a data set
    ├── SpaceError             (ValueError)   a space file or a hyperparameter
    │   └── UnsupportedSpaceError             valid, but this searcher cannot express it
    ├── SweepError                            a sweep's folder, storage or cluster
    ├── FailedTrialError                      this trial failed; the sweep goes on
    │   └── InfeasibleModelError              no model can be built from these hyperparameters
    │       └── ConstraintError               it can, but breaks a constraint of the sweep
    ├── StorageError                          no room or no way to keep results; the sweep ends, to be resumed
    ├── RegistryError                         a model folder or a registry
    │   └── ModelNotFoundError (LookupError)
    ├── ClusterError                          a Ray cluster cannot be started or reached
    ├── ExportError                           no faithful ONNX twin
    └── ServingError                          an endpoint or a client

Errors cross processes in Ray, so each is rebuilt by pickle from its arguments.
"""


class FerRayError(Exception):
    """One clear sentence: where, the rule, what was received, what to do.

    Args:
        where: The file, key, command or object at fault, such as ``sweep.yaml: scheduler.eta``.
        rule: The rule that must hold, without a final full stop.
        received: The offending value, as text; empty where there is none.
        remedy: What to do about it, without a final full stop; empty where the rule says it.
    """

    def __init__(self, where: str, rule: str, received: str = "", remedy: str = "") -> None:
        super().__init__(where, rule, received, remedy)
        self.where, self.rule, self.received, self.remedy = where, rule, received, remedy

    def __str__(self) -> str:
        """Joins the four parts to one line."""
        parts = [f"{self.where}: {self.rule}."]
        if self.received:
            parts.append(f"Received: {self.received}.")
        if self.remedy:
            parts.append(f"{self.remedy}.")
        return " ".join(parts)


class ConfigError(FerRayError, ValueError):
    """A sweep file, a flag or an argument breaks a rule."""


class DataError(FerRayError, ValueError):
    """A source or a data set cannot be used."""


class SpaceError(FerRayError, ValueError):
    """A space file or a hyperparameter breaks a rule."""


class UnsupportedSpaceError(SpaceError):
    """The space is valid, but the chosen searcher cannot express it."""


class SweepError(FerRayError):
    """A sweep's folder, storage or cluster does not allow what was asked."""


class FailedTrialError(FerRayError):
    """This trial failed; it is recorded with its reason and the sweep goes on."""


class InfeasibleModelError(FailedTrialError):
    """No model can be built from these hyperparameters."""


class ConstraintError(InfeasibleModelError):
    """A model breaks a constraint of the sweep.

    Args:
        where: The measure, such as ``parameters``.
        rule, received, remedy: As in `FerRayError`.
        value: What was measured.
    """

    def __init__(
        self, where: str, rule: str, received: str = "", remedy: str = "", value: float | None = None
    ) -> None:
        super().__init__(where, rule, received, remedy)
        self.args, self.value = (*self.args, value), value


class StorageError(FerRayError):
    """Results cannot be kept, as on a full disk: the sweep ends, and no trial is to blame."""


class RegistryError(FerRayError):
    """A model folder or a registry is broken or refuses what was asked."""


class ModelNotFoundError(RegistryError, LookupError):
    """No such model, version or alias."""


class ClusterError(FerRayError):
    """A Ray cluster cannot be started or reached."""


class ExportError(FerRayError):
    """The ONNX twin does not answer as the Keras model does."""


class ServingError(FerRayError):
    """An endpoint cannot be started, reached or stopped."""
