"""What happens around each epoch of a trial, whatever the user's `fit` does inside."""

import inspect
import math
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from fer_ray.errors import FailedTrialError
from fer_ray.objective import PARAMETERS, values_in
from fer_ray.training.callback_state import callback_state, restore_callback_state
from fer_ray.training.checkpoint import (
    Arrays,
    Checkpoint,
    CheckpointFolder,
    set_global_random_state,
)
from fer_ray.training.metrics import MacroF1, StepConfusion, score_predictions
from fer_ray.training.trial import Report, TrialConfig, TrialData, TrialStopped, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCORES = ("accuracy", "macro_f1", "balanced_accuracy")


class EpochLoop:
    """Restores, times, scores, checkpoints and reports the epochs of one trial.

    It watches through a callback, and wraps `model.fit` so that this callback comes after the user's own: their
    state is then complete when a checkpoint is taken, and reset when one is restored.

    Args:
        config: The trial's.
        data: The trial's.
        report: Called after each epoch.
        checkpoints: Where checkpoints go; None keeps none.
        resumed: The checkpoint to go on from.
        measures: Of the model; every epoch's row has them.
    """

    def __init__(
        self,
        config: TrialConfig,
        data: TrialData,
        *,
        report: Report,
        checkpoints: CheckpointFolder | None,
        resumed: Checkpoint | None,
        measures: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self.config, self.data, self.report = config, data, report
        self.checkpoints, self.resumed, self.measures = checkpoints, resumed, measures
        self.initial_epoch = resumed.epoch if resumed else 0
        self.best: Arrays = resumed.best if resumed else []
        self.best_epoch = resumed.best_epoch if resumed else 0
        self.best_value = resumed.best_value if resumed else None
        self.epoch = self.initial_epoch
        self.stopped = self.began = False
        self.callback = _Observer(self)
        self._others: Sequence[Any] = ()
        self._confusion: StepConfusion | None = None
        #: Of the running epoch, counted in the model's own steps.
        self.scores: dict[str, float] = {}
        self._epoch_started = self._last_checkpoint = time.monotonic()

    def observe(self, model: Any) -> None:
        """Wraps `model.fit`."""
        keras_fit = model.fit
        signature = inspect.signature(keras_fit)

        def fit(*args: Any, **options: Any) -> Any:
            if self.stopped:
                return keras.callbacks.History()
            bound = signature.bind(*args, **options)
            given = bound.arguments.get("callbacks") or []
            given = given.callbacks if isinstance(given, keras.callbacks.CallbackList) else given
            self._others = [c for c in given if c is not self.callback]
            keeper = [_ScoreKeeper(self, self._confusion)] if self._confusion is not None else []
            bound.arguments["callbacks"] = [*keeper, *self._others, self.callback]
            bound.arguments.setdefault("verbose", 0)
            if self.resumed is not None:
                build_on(model, bound.arguments.get("x"))
            _build_optimizer(model)
            return keras_fit(*bound.args, **bound.kwargs)

        model.fit = fit
        if _classifies(model, self.data.classes) and not _reports_scores(model):
            self._confusion = _count_in_steps(model, self.data.classes)

    def begin(self, model: Any) -> None:
        """Restores the checkpoint once every callback's `on_train_begin` has run."""
        self.began = True
        if self.resumed is None:
            return
        checkpoint, self.resumed = self.resumed, None
        assign(weights_of(model), checkpoint.model, "model")
        # Without optimizer state the checkpoint lies between two calls of `model.fit`.
        if checkpoint.optimizer:
            _build_optimizer(model)
            assign(model.optimizer.variables, checkpoint.optimizer, "optimizer")
            for callback, state in zip(self._others, checkpoint.callbacks, strict=True):
                restore_callback_state(callback, state)
        set_global_random_state(checkpoint.random_state)

    def begin_epoch(self, epoch: int) -> None:
        """Starts the clock; `epoch` counts from 0.

        Raises:
            FailedTrialError: If a resumed `fit` does not begin where it was told to.
        """
        if epoch != self.epoch:
            raise FailedTrialError(
                "fit", f"must begin at initial_epoch {self.epoch}", f"epoch {epoch}", "Pass initial_epoch on"
            )
        self._epoch_started = time.monotonic()

    def end_epoch(self, model: Any, logs: dict[str, Any]) -> None:
        """Scores the epoch, keeps the best weights, writes a checkpoint if one is due, and reports.

        Raises:
            FailedTrialError: If the objective is missing, or a resumed `fit` never called `on_train_begin`.
            TrialStopped: If `fit` goes on after it was stopped.
        """
        if self.stopped:
            raise TrialStopped
        if self.resumed is not None:
            raise FailedTrialError("fit", "must call on_train_begin of its callbacks to be resumed")
        self.epoch += 1
        metrics = {**self.scores, **{name: float(value) for name, value in logs.items()}}
        metrics |= self._missing_scores(model, metrics)
        metrics |= self._measures(model)
        value = self._objective(metrics)
        if self.config.objective.better(value, self.best_value):
            self.best, self.best_epoch, self.best_value = values_of(weights_of(model)), self.epoch, value
        result = {
            **metrics,
            "epoch": self.epoch,
            "seconds": time.monotonic() - self._epoch_started,
        }
        self._checkpoint_if_due(model, result)
        if self.report(result) is Verdict.STOP:
            self.stopped = model.stop_training = True
        self._epoch_started = time.monotonic()

    def close(self, model: Any, outcome: Any) -> None:
        """Reports for a `fit` that called no callback but returned its score, as Keras Tuner allows.

        Raises:
            FailedTrialError: If it neither reported an epoch nor returned a number or a dict.
        """
        if self.epoch > self.initial_epoch:
            return
        if isinstance(outcome, int | float):
            outcome = {self.config.objective.metric: outcome}
        if not isinstance(outcome, dict):
            raise FailedTrialError(
                "fit", "must call the callbacks it is given, or return a number or a dict", repr(outcome)
            )
        metrics = {name: float(value) for name, value in outcome.items()} | self._measures(model)
        self._objective(metrics)
        seconds = time.monotonic() - self._epoch_started
        self.report({**metrics, "epoch": self.config.max_epochs, "seconds": seconds})

    def _objective(self, metrics: dict[str, float]) -> float:
        """The primary objective's value; NaN if another one has none."""
        objectives = (self.config.objective, *self.config.further)
        for objective in objectives:
            if objective.metric not in metrics:
                rule = f"{objective.metric} must be reported each epoch"
                raise FailedTrialError("objective", rule, ", ".join(sorted(metrics)))
        values = values_in(metrics, objectives)
        return math.nan if values is None else values[self.config.objective.metric]

    def _measures(self, model: Any) -> dict[str, float]:
        return {PARAMETERS: int(model.count_params()), **self.measures} if model.built else {**self.measures}

    def _missing_scores(self, model: Any, metrics: dict[str, float]) -> dict[str, float]:
        """Validation scores of a classifier whose own steps bypass Keras's metrics: one pass over the images."""
        missing = [name for name in _SCORES if f"val_{name}" not in metrics]
        if not missing or not _classifies(model, self.data.classes):
            return {}
        images, labels = self.data.validation
        scores = score_predictions(labels, model.predict(images, batch_size=256, verbose=0))
        return {f"val_{name}": scores[name] for name in missing}

    def _checkpoint_if_due(self, model: Any, result: dict[str, Any]) -> None:
        """The best epoch is always due: a trial may end at any other, and its value needs its weights."""
        now = time.monotonic()
        due = (
            self.epoch in self.config.checkpoint_epochs
            or self.epoch == self.best_epoch
            or self.epoch == self.config.max_epochs
            or now - self._last_checkpoint > self.config.checkpoint_seconds
        )
        if self.checkpoints is None or not due:
            return
        # The last epoch of one `model.fit` of several: the next call compiles anew and starts fresh callbacks.
        within_fit = self.epoch < (self.callback.params or {}).get("epochs", math.inf)
        optimizer = getattr(model, "optimizer", None) if within_fit else None
        self.checkpoints.save(
            Checkpoint(
                epoch=self.epoch,
                model=values_of(weights_of(model)),
                optimizer=values_of(optimizer.variables) if optimizer else [],
                callbacks=[callback_state(callback) for callback in self._others] if within_fit else [],
                best=self.best,
                best_epoch=self.best_epoch,
                best_value=self.best_value,
                result=result,
            )
        )
        self._last_checkpoint = now


class _Observer(keras.callbacks.Callback):
    """Hands Keras's events to the loop."""

    def __init__(self, loop: EpochLoop) -> None:
        super().__init__()
        self.loop = loop

    def on_train_begin(self, logs: Any = None) -> None:
        self.loop.begin(self.model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.loop.begin_epoch(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.loop.end_epoch(self.model, logs or {})


class _ScoreKeeper(keras.callbacks.Callback):
    """Takes the scores of training and validation where each has just been counted.

    Only the wrapped `model.fit` gets it, before the user's callbacks, which may evaluate and so count anew. It
    resets the counts itself: a model that overrides `metrics` has Keras reset its own ones alone.
    """

    def __init__(self, loop: EpochLoop, confusion: StepConfusion) -> None:
        super().__init__()
        self.loop, self.confusion = loop, confusion

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.loop.scores = {}
        self.confusion.reset_state()

    def on_test_begin(self, logs: Any = None) -> None:
        self._keep("")

    def on_test_end(self, logs: Any = None) -> None:
        self._keep("val_")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self.loop.scores:
            self._keep("")

    def _keep(self, prefix: str) -> None:
        scores = self.confusion.scores()
        self.loop.scores |= {f"{prefix}{name}": value for name, value in scores.items()}
        self.confusion.reset_state()


def build_on(model: Any, x: Any) -> None:
    """Makes the variables of a model without an `Input`; Keras leaves that to the first batch it trains on.

    Args:
        model: The model; nothing happens if it has its variables.
        x: Inputs as `model.predict` takes them, or a `PyDataset` of batches with labels.
    """
    if not model.built:
        first = x[0][0] if isinstance(x, keras.utils.PyDataset) else x
        model.predict(first, steps=1, verbose=0)


def _build_optimizer(model: Any) -> None:
    """Makes the optimizer's variables before the training step is traced.

    Keras would make them inside the traced function, where TensorFlow wraps each in a conditional graph that it
    never gives back: 10 MB a trial, and time to trace. One that is built stays as it is: the optimizer that scales
    a float16 loss would have its own variables twice.
    """
    optimizer = getattr(model, "optimizer", None)
    if model.built and optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)


def weights_of(model: Any) -> list[Any]:
    """The model's variables but its metrics': weights and the random state of its layers."""
    metrics = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in model.variables if id(variable) not in metrics]


def values_of(variables: list[Any]) -> Arrays:
    """Copies of the variables' values."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: list[Any], values: Arrays, what: str) -> None:
    """Gives the variables their stored values.

    Raises:
        FailedTrialError: If number or shapes differ.
    """
    found = [tuple(variable.shape) for variable in variables]
    stored = [value.shape for value in values]
    if found != stored:
        raise FailedTrialError(
            "checkpoint",
            f"must fit the {what} that build made",
            f"{len(stored)} arrays for {len(found)} variables",
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _count_in_steps(model: Any, classes: int) -> StepConfusion:
    """Counts the predictions that training and validation make anyway, through Keras's `compute_metrics` hook."""
    confusion: StepConfusion = StepConfusion(classes)
    model.fer_ray_confusion = confusion
    keras_compute = model.compute_metrics

    def compute_metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        confusion.update_state(y, y_pred)
        return keras_compute(x, y, y_pred, sample_weight)

    model.compute_metrics = compute_metrics
    return confusion


def _reports_scores(model: Any) -> bool:
    """Whether it was compiled with `classification_metrics`, as the shipped spaces are."""
    compiled = (model.get_compile_config() or {}).get("metrics") or []
    return any(isinstance(item, dict) and item.get("class_name") == MacroF1.__name__ for item in compiled)


def _classifies(model: Any, classes: int) -> bool:
    shape = getattr(model, "output_shape", None)
    return isinstance(shape, tuple) and len(shape) == 2 and shape[-1] == classes
