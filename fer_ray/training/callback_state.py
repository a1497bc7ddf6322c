"""The state of a user's callbacks: what EarlyStopping or ReduceLROnPlateau remember between epochs."""

import sys
from types import FunctionType
from typing import Any

import numpy as np

_OF_KERAS = {"_model", "params", "validation_data"}


def callback_state(callback: Any) -> dict[str, Any]:
    """The attributes of a callback that are plain data: numbers, text, arrays, and containers of them.

    Keras's own functions count as plain too: on the first epoch EarlyStopping chooses `keras.ops.less` and flips
    the sign of `min_delta` with it, so that one must not come back without the other. What is not plain data
    (other functions, files, models) is made anew by the callback's `on_train_begin`.
    """
    return {
        name: _plain(value)
        for name, value in vars(callback).items()
        if name not in _OF_KERAS and _is_plain(value)
    }


def restore_callback_state(callback: Any, state: dict[str, Any]) -> None:
    """Puts the attributes back; call it after `on_train_begin`, which resets them."""
    vars(callback).update(state)


def _is_plain(value: Any) -> bool:
    # Exact types: a named tuple or a defaultdict could not be made again from its items.
    if type(value) is dict:
        return all(_is_plain(item) for pair in value.items() for item in pair)
    if type(value) in (list, tuple):
        return all(_is_plain(item) for item in value)
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind != "O"
    if isinstance(value, FunctionType):
        return _is_of_keras(value)
    return value is None or isinstance(value, bool | int | float | str)


def _is_of_keras(function: FunctionType) -> bool:
    """Whether a checkpoint can name the function."""
    module = function.__module__
    found = getattr(sys.modules.get(module), function.__qualname__, None)
    return module.partition(".")[0] == "keras" and found is function


def _plain(value: Any) -> Any:
    """A copy, so that later epochs do not change what was saved."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    return value.copy() if isinstance(value, np.ndarray) else value
