"""Several sweeps side by side: what each found, what it cost, and whether the winners really differ."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fer_ray.errors import ConfigError, FerRayError
from fer_ray.registry import Registry
from fer_ray.results.predictions import (
    TEST_PREDICTIONS,
    PairedDifference,
    corrected_for_several,
    paired_difference,
    read_predictions,
)
from fer_ray.results.report.clock import best_so_far
from fer_ray.search.folder import SweepFolder
from fer_ray.search.report.facts import SweepFacts, read_facts

#: Below it a p-value, corrected where there are several, makes a winner the better one.
_SIGNIFICANT = 0.05


@dataclass(frozen=True, kw_only=True)
class ComparedSweep:
    """A sweep among others.

    Args:
        path: Its folder.
        name: Told apart from the others': the path where two have the same name.
        state: As in `SweepFacts`.
        value: The best value of the objective; None if no trial has a result.
        accuracy, interval, n: Of its registered winner on the test split, with the 95% Wilson interval and the
            images; None where there is none.
        trials, epochs: Trained.
        wall_seconds: Of searching.
        training_seconds: Inside epochs, summed over workers.
        seconds_to_target, epochs_to_target: From its first epoch's beginning until it had a value as good as the
            worst of the sweeps' best ones, and epochs of all trials until then; None if they are not comparable.
    """

    path: Path
    name: str
    state: str
    value: float | None
    accuracy: float | None
    interval: tuple[float, float] | None
    n: int | None
    trials: int
    epochs: int
    wall_seconds: float
    training_seconds: float
    seconds_to_target: float | None = None
    epochs_to_target: int | None = None


@dataclass(frozen=True, kw_only=True)
class WinnerDifference:
    """How two sweeps' winners differ on the test split.

    Args:
        first, second: The sweeps' names.
        paired: Over the same images; None where not both models' answers are kept.
        p_corrected: Its p-value, corrected for as many tests as the comparison has; None without one.
        sentence: What that says, in plain words.
    """

    first: str
    second: str
    paired: PairedDifference | None
    p_corrected: float | None
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Sweeps side by side.

    Args:
        objective: The metric that all have; the first sweep's if they differ.
        mode: ``max`` or ``min``.
        not_comparable: Why their values cannot be compared, in sentences; empty if they can.
        target: The worst of the sweeps' best values; None if they are not comparable or one has none.
        sweeps: In the order in which they were named.
        differences: Of each other sweep's winner from that of the first sweep with a test accuracy.
    """

    objective: str
    mode: str
    not_comparable: tuple[str, ...]
    target: float | None
    sweeps: tuple[ComparedSweep, ...]
    differences: tuple[WinnerDifference, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {**asdict(self), "sweeps": [{**asdict(each), "path": str(each.path)} for each in self.sweeps]}


def read_all(paths: Sequence[str | Path]) -> list[SweepFacts]:
    """What is known of each sweep.

    Raises:
        ConfigError: If there are fewer than two, or one is named twice.
        SweepError: If one is no sweep, or its study cannot be reached.
    """
    folders = [Path(path) for path in paths]
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise ConfigError(
            "sweep compare", "needs at least two sweeps, each named once", ", ".join(map(str, folders))
        )
    return [read_facts(SweepFolder.open(folder)) for folder in folders]


def compare_facts(all_facts: Sequence[SweepFacts]) -> Comparison:
    """Compares sweeps that were read."""
    objective = all_facts[0].result.objective
    problems = _not_comparable(all_facts)
    names = _names(all_facts)
    bests = [facts.result.best for facts in all_facts]
    values = [best["value"] for best in bests if best is not None]
    target = None
    if not problems and len(values) == len(all_facts):
        target = min(values) if objective.mode == "max" else max(values)
    sweeps = tuple(_compared(facts, name, target) for facts, name in zip(all_facts, names, strict=True))
    return Comparison(
        objective=objective.metric,
        mode=objective.mode,
        not_comparable=problems,
        target=target,
        sweeps=sweeps,
        differences=_differences(all_facts, sweeps),
    )


def _names(all_facts: Sequence[SweepFacts]) -> list[str]:
    names = [facts.result.spec.name for facts in all_facts]
    if len(set(names)) == len(names):
        return names
    return [str(facts.result.path) for facts in all_facts]


def _not_comparable(all_facts: Sequence[SweepFacts]) -> tuple[str, ...]:
    problems = []
    objectives = list(dict.fromkeys(facts.result.objective for facts in all_facts))
    if len(objectives) > 1:
        listed = " and ".join(f"{each.metric} ({each.mode})" for each in objectives)
        problems.append(f"Their objectives differ: {listed}.")
    prints = list(dict.fromkeys(facts.fingerprint for facts in all_facts))
    if None in prints:
        problems.append("Of one the data set is not known, since its space was not discovered.")
    elif len(prints) > 1:
        listed = " and ".join(f"{facts.data_name} ({(facts.fingerprint or '')[:12]})" for facts in all_facts)
        problems.append(f"Their data sets differ: {listed}.")
    return tuple(problems)


def _compared(facts: SweepFacts, name: str, target: float | None) -> ComparedSweep:
    best, evaluation = facts.result.best, facts.evaluation
    seconds, epochs = _until(facts, target)
    untouched = (facts.trials["state"] == "RUNNING") & (facts.trials["epochs"] == 0)
    return ComparedSweep(
        path=facts.result.path,
        name=name,
        state=facts.state,
        value=best["value"] if best else None,
        accuracy=evaluation.accuracy if evaluation else None,
        interval=evaluation.interval if evaluation else None,
        n=evaluation.n if evaluation else None,
        trials=int((~facts.uncounted & ~untouched).sum()),
        epochs=len(facts.epochs),
        wall_seconds=facts.searching,
        training_seconds=float(facts.epochs["seconds"].sum()),
        seconds_to_target=seconds,
        epochs_to_target=epochs,
    )


def _until(facts: SweepFacts, target: float | None) -> tuple[float | None, int | None]:
    """Seconds and epochs until the target was reached."""
    objective, epochs = facts.result.objective, facts.clock.epochs
    if target is None or not len(epochs):
        return None, None
    best = best_so_far(epochs, objective.metric, objective.mode)
    there = best >= target if objective.mode == "max" else best <= target
    if not there.any():
        return None, None
    place = int(there.to_numpy().argmax())
    return float(epochs["ended"].iloc[place]), place + 1


def _differences(
    all_facts: Sequence[SweepFacts], sweeps: Sequence[ComparedSweep]
) -> tuple[WinnerDifference, ...]:
    both = list(zip(all_facts, sweeps, strict=True))
    reference = next((each for each in both if each[1].accuracy is not None), both[0])
    others = [each for each in both if each is not reference]
    found = [_paired(reference, other) for other in others]
    p_values = corrected_for_several([paired.p_value for paired, _ in found if paired])
    corrected, tests = iter(p_values), len(p_values)
    differences = []
    for (_, other), (paired, sentence) in zip(others, found, strict=True):
        p_value = None
        if paired:
            p_value = next(corrected)
            sentence = _paired_sentence((reference[1].name, other.name), paired, p_value, tests)
        differences.append(
            WinnerDifference(
                first=reference[1].name,
                second=other.name,
                paired=paired,
                p_corrected=p_value,
                sentence=sentence,
            )
        )
    return tuple(differences)


def _paired(
    first: tuple[SweepFacts, ComparedSweep], second: tuple[SweepFacts, ComparedSweep]
) -> tuple[PairedDifference | None, str]:
    """The difference, or why there is none."""
    if reason := _no_test(first, second):
        return None, reason
    try:
        return paired_difference(_answers(first[0]), _answers(second[0])), ""
    except FerRayError as error:
        return None, f"{_overlap(first[1], second[1])} Image by image they cannot be compared. {error}"


def _no_test(first: tuple[SweepFacts, ComparedSweep], second: tuple[SweepFacts, ComparedSweep]) -> str:
    """Why the winners' accuracies say nothing of each other; empty if they do."""
    for facts, sweep in (first, second):
        if sweep.accuracy is None:
            return f"{sweep.name} has no test accuracy. {facts.no_model}".strip()
    if first[0].fingerprint != second[0].fingerprint:
        names = f"{first[1].name} and {second[1].name}"
        return f"{names} were tested on different images: nothing follows from the two accuracies."
    return ""


def _answers(facts: SweepFacts) -> pd.DataFrame:
    assert facts.manifest is not None
    registry = Registry(facts.result.spec.model.registry)
    folder = registry.fetch(f"{facts.manifest.name}:{facts.manifest.version}")
    return read_predictions(folder / TEST_PREDICTIONS)


def _overlap(first: ComparedSweep, second: ComparedSweep) -> str:
    assert first.interval and second.interval
    apart = first.interval[1] < second.interval[0] or second.interval[1] < first.interval[0]
    if apart:
        return f"The intervals of {first.name} and {second.name} do not overlap: their winners differ."
    return f"The intervals of {first.name} and {second.name} overlap: whether their winners differ is open."


def _paired_sentence(names: tuple[str, str], found: PairedDifference, p_value: float, tests: int) -> str:
    low, high = found.interval
    one, other = names
    corrected = f", by Holm for {tests} tests {p_value:.3g}" if tests > 1 else ""
    measured = (
        f"On the same {found.n:,} test images the accuracy of {other}'s winner less that of {one}'s is "
        f"{_points(found.difference)} points, 95% interval {_points(low)} to {_points(high)}. {found.only_second} "
        f"images only {other}'s has right, {found.only_first} only {one}'s (McNemar's exact test: "
        f"p = {found.p_value:.3g}{corrected})."
    )
    if low <= 0 <= high:
        return f"{measured} Zero lies inside: which is better is open."
    if p_value >= _SIGNIFICANT:
        return f"{measured} p is not below {_SIGNIFICANT}: which is better is open."
    return f"{measured} That of {other if low > 0 else one} is better."


def _points(share: float) -> str:
    return f"{100 * share:+.2f}"
