"""Keras Tuner's JSON of one hyperparameter -> `Hyperparameter`, with every rule checked once, here."""

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from fer_ray.errors import SpaceError
from fer_ray.spaces.hyperparameter import Condition, Hyperparameter, Options, Value
from fer_ray.spaces.number import Number, Sampling

_SAMPLINGS = ("linear", "log", "reverse_log")


def parse_hyperparameter(entry: Any, place: str) -> Hyperparameter:
    """Reads one element of the ``space`` list of ``HyperParameters.get_config()``.

    Args:
        entry: ``{"class_name": ..., "config": {...}}``.
        place: Where it stands, for messages, such as ``space[3]``.

    Raises:
        SpaceError: If a key is missing, a type is wrong or a range is impossible.
    """
    class_name = _key(entry, "class_name", place)
    if class_name not in _READERS:
        raise SpaceError(place, f"class_name must be one of {sorted(_READERS)}", repr(class_name))
    config = _key(entry, "config", place)
    name = _key(config, "name", place)
    if not isinstance(name, str) or not name:
        raise SpaceError(place, "name must be a text with at least one character", repr(name))
    where = f"{class_name} '{name}'"
    conditions = tuple(_condition(item, where) for item in config.get("conditions") or ())
    if any(condition.name == name for condition in conditions):
        raise SpaceError(where, "a hyperparameter cannot have the same name as its parent")
    return _READERS[class_name](config, where, {"name": name, "conditions": conditions})


def _key(mapping: Any, key: str, where: str) -> Any:
    if not isinstance(mapping, Mapping):
        raise SpaceError(where, "must be a JSON object", repr(mapping))
    if key not in mapping:
        raise SpaceError(where, f"the key '{key}' is missing", repr(dict(mapping)))
    return mapping[key]


def _condition(entry: Any, where: str) -> Condition:
    if _key(entry, "class_name", where) != "Parent":
        raise SpaceError(where, "a condition must be of class Parent", repr(entry["class_name"]))
    config = _key(entry, "config", where)
    name, values = _key(config, "name", where), _key(config, "values", where)
    values = tuple(values) if isinstance(values, (list, tuple)) else (values,)
    if not isinstance(name, str) or not values or not all(_plain(value) for value in values):
        raise SpaceError(where, "a condition must have a parent's name and its values", repr(dict(config)))
    return Condition(name, values)


def _plain(value: Any) -> bool:
    """Whether Keras Tuner can hold it: text, bool or a finite number."""
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def _number(config: Mapping[str, Any], key: str, where: str, integral: bool) -> Any:
    value = _key(config, key, where)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise SpaceError(where, f"{key} must be a finite number", repr(value))
    if integral and value != int(value):
        raise SpaceError(where, f"{key} must be an integer", repr(value))
    return int(value) if integral else float(value)


def _read_number(config: Mapping[str, Any], where: str, common: dict[str, Any]) -> Hyperparameter:
    integral = where.startswith("Int")
    sampling = str(config.get("sampling") or "linear").lower()
    if sampling not in _SAMPLINGS:
        raise SpaceError(where, f"sampling must be one of {list(_SAMPLINGS)}", repr(config["sampling"]))
    stepless = config.get("step") is None
    step = None if stepless else _number(config, "step", where, integral)
    if integral and stepless and sampling == "linear":
        step = 1
    default = None if config.get("default") is None else _number(config, "default", where, integral)
    found = Number(
        class_name="Int" if integral else "Float",
        min_value=_number(config, "min_value", where, integral),
        max_value=_number(config, "max_value", where, integral),
        step=step,
        sampling=cast(Sampling, sampling),
        default=default,
        **common,
    )
    _check_range(found, where)
    return found


def _check_range(number: Number, where: str) -> None:
    ends = f"min_value={number.min_value}, max_value={number.max_value}"
    if number.min_value > number.max_value:
        raise SpaceError(where, "min_value must be <= max_value", ends)
    logarithmic = number.sampling != "linear"
    if logarithmic and number.min_value <= 0:
        raise SpaceError(where, f"min_value must be > 0 with sampling '{number.sampling}'", ends)
    if number.step is not None and number.step <= logarithmic:
        rule = f"step must be > {int(logarithmic)} with sampling '{number.sampling}'"
        raise SpaceError(where, rule, f"step={number.step}")


def _read_choice(config: Mapping[str, Any], where: str, common: dict[str, Any]) -> Hyperparameter:
    given = _key(config, "values", where)
    if not isinstance(given, (list, tuple)) or not given or not all(_plain(value) for value in given):
        raise SpaceError(where, "values must be a list of texts, bools or finite numbers", repr(given))
    if len({type(value) for value in given}) > 1:
        raise SpaceError(where, "values must all have one type", repr(given))
    values: tuple[Value, ...] = tuple(dict.fromkeys(map(_without_bool, given)))
    numeric = not isinstance(values[0], str)
    ordered = numeric if config.get("ordered") is None else bool(config["ordered"])
    if ordered and not numeric:
        raise SpaceError(where, "ordered must be false for texts", repr(given))
    default = _without_bool(config.get("default"))
    if default is not None and default not in values:
        raise SpaceError(where, f"default must be one of {list(values)}", repr(default))
    return Options(class_name="Choice", values=values, ordered=ordered, default=default, **common)


def _without_bool(value: Any) -> Any:
    # Keras Tuner's Choice([True, False]) returns 1 and 0.
    return int(value) if isinstance(value, bool) else value


def _read_boolean(config: Mapping[str, Any], where: str, common: dict[str, Any]) -> Hyperparameter:
    default = config.get("default") or False
    if default not in (False, True):
        raise SpaceError(where, "default must be true or false", repr(default))
    return Options(class_name="Boolean", values=(False, True), default=bool(default), **common)


def _read_fixed(config: Mapping[str, Any], where: str, common: dict[str, Any]) -> Hyperparameter:
    value = _key(config, "value", where)
    if not _plain(value):
        raise SpaceError(where, "value must be a text, a bool or a finite number", repr(value))
    return Options(class_name="Fixed", values=(value,), default=value, **common)


_Reader = Callable[[Mapping[str, Any], str, dict[str, Any]], Hyperparameter]
_READERS: dict[str, _Reader] = {
    "Int": _read_number,
    "Float": _read_number,
    "Choice": _read_choice,
    "Boolean": _read_boolean,
    "Fixed": _read_fixed,
}
