"""A space in words, for people: one row per hyperparameter, and its size."""

from typing import TypedDict

from fer_ray.spaces.hyperparameter import Condition, Hyperparameter, Options
from fer_ray.spaces.number import Number
from fer_ray.spaces.space import Space


class SpaceRow(TypedDict):
    """One hyperparameter in words; the keys are the columns of `fer-ray spaces show`."""

    name: str
    kind: str
    values: str
    sampling: str
    count: str
    conditions: str
    default: str


def describe(space: Space) -> list[SpaceRow]:
    """The hyperparameters of a space in order.

    Returns:
        Rows of texts: name, kind (``Int``, ``Float``, ``Choice``, ``Boolean`` or ``Fixed``), range or values,
        sampling (``linear``, ``log``, ``reverse_log``, ``ordered``, or empty), the number of values (``any`` where
        continuous), conditions, default.
    """
    return [_row(item) for item in space.hyperparameters]


def describe_size(space: Space) -> str:
    """The number of distinct configurations, such as ``1,152``, or ``infinite``."""
    return "infinite" if space.size is None else f"{space.size:,}"


def _row(item: Hyperparameter) -> SpaceRow:
    if isinstance(item, Number):
        values, sampling = item.range_text, str(item.sampling)
    else:
        assert isinstance(item, Options)
        values = ", ".join(str(value) for value in item.values)
        sampling = "ordered" if item.ordered else ""
    return SpaceRow(
        name=item.name,
        kind=item.class_name,
        values=values,
        sampling=sampling,
        count="any" if item.size is None else f"{item.size:,}",
        conditions=" and ".join(_condition(condition) for condition in item.conditions),
        default=str(item.first_value),
    )


def _condition(condition: Condition) -> str:
    values = [str(value) for value in condition.values]
    return (
        f"{condition.name} = {values[0]}" if len(values) == 1 else f"{condition.name} in {', '.join(values)}"
    )
