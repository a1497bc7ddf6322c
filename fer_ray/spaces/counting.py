"""How many distinct configurations a space has, without listing them."""

from collections import defaultdict
from collections.abc import Sequence

from fer_ray.spaces.hyperparameter import Hyperparameter, Value
from fer_ray.spaces.number import Number

# What later entries need to know of a configuration so far: of each name, a value that stands for all
# the values that the conditions cannot tell apart.
_State = tuple[tuple[str, Value], ...]


def count_configurations(hyperparameters: Sequence[Hyperparameter]) -> int | None:
    """The number of distinct configurations, counting what is active only; None where it is infinite.

    Walks the space once with the number of configurations per state, and forgets a name as soon as no later
    entry depends on it, so that independent branches add instead of multiplying states.
    """
    states: dict[_State, int] = {(): 1}
    for position, hyperparameter in enumerate(hyperparameters):
        later = hyperparameters[position + 1 :]
        needed = {item.name for item in later} | {c.name for item in later for c in item.conditions}
        following: dict[_State, int] = defaultdict(int)
        for state, ways in states.items():
            known = dict(state)
            branches: dict[Value | None, int] = {None: 1}
            if hyperparameter.name not in known and hyperparameter.is_active(known):
                if hyperparameter.size is None:
                    return None
                branches = _branches(hyperparameter, later)
            for value, count in branches.items():
                after = known if value is None else {**known, hyperparameter.name: value}
                kept = tuple(item for item in after.items() if item[0] in needed)
                following[kept] += ways * count
        states = dict(following)
    return sum(states.values())


def _branches(hyperparameter: Hyperparameter, later: Sequence[Hyperparameter]) -> dict[Value | None, int]:
    """One value per group that later conditions tell apart -> how many values the group has."""
    size = hyperparameter.size
    assert size is not None
    tested = {
        value
        for item in later
        for condition in item.conditions
        if condition.name == hyperparameter.name
        for value in condition.values
    }
    groups: dict[Value | None, int] = {}
    for value in tested:
        # In a condition True means 1 too.
        plain = int(value) if isinstance(hyperparameter, Number) and isinstance(value, bool) else value
        try:
            groups[hyperparameter.canonical(plain)] = 1
        except ValueError:
            continue  # A condition may name a value that this hyperparameter never takes.
    rest = size - len(groups)
    if rest:
        groups[_OTHER] = rest
    return groups


#: Stands for every value that no condition names.
_OTHER = "\0other"
