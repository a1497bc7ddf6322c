"""Several sweeps side by side as a page."""

from collections.abc import Sequence

from fer_ray.results.report import course as drawn
from fer_ray.results.report.clock import duration
from fer_ray.results.report.figure import figure
from fer_ray.results.report.page import Block, Fact, Grid, Page, Section, Table, Text
from fer_ray.search.report.answer import percent
from fer_ray.search.report.comparison import ComparedSweep, Comparison
from fer_ray.search.report.facts import SweepFacts
from fer_ray.search.report.page import made_by


def comparison_page(comparison: Comparison, all_facts: Sequence[SweepFacts]) -> Page:
    """The page of a comparison.

    Args:
        comparison: Of the sweeps.
        all_facts: What is known of each, in the same order.
    """
    said: list[Block] = [Text(problem, warning=True) for problem in comparison.not_comparable]
    differences: list[Block] = [Text(_how_tested(comparison))]
    differences += [Text(each.sentence) for each in comparison.differences]
    names = [sweep.name for sweep in comparison.sweeps]
    sections = {
        "sweeps": ("Side by side", [*said, _table(comparison)]),
        "winners": ("The winners on test", differences),
        "course": ("Course", _course(comparison, all_facts)),
    }
    return Page(
        title=f"Sweeps {', '.join(names[:-1])} and {names[-1]}",
        lead=_lead(comparison),
        facts=[_fact(sweep, comparison.objective) for sweep in comparison.sweeps],
        sections=[Section(key=key, title=title, blocks=blocks) for key, (title, blocks) in sections.items()],
        made=made_by(", ".join(str(sweep.path) for sweep in comparison.sweeps)),
    )


def interval_text(sweep: ComparedSweep) -> str | None:
    """The test accuracy with what must be said with it."""
    if sweep.accuracy is None or sweep.interval is None:
        return None
    low, high = sweep.interval
    return f"{percent(sweep.accuracy)} ({percent(low)} to {percent(high)}), n = {sweep.n:,}"


def _how_tested(comparison: Comparison) -> str:
    told = f"Each other sweep's winner against that of {comparison.differences[0].first}."
    tests = sum(each.paired is not None for each in comparison.differences)
    if tests < 2:
        return told
    return (
        f"{told} There are {tests} tests, so that p-values are corrected by Holm's method, and a winner is called "
        "better where the corrected one is below 0.05 too. The intervals are each pair's own."
    )


def _lead(comparison: Comparison) -> str:
    if comparison.not_comparable:
        return f"These sweeps are not comparable. {' '.join(comparison.not_comparable)}"
    found = [sweep for sweep in comparison.sweeps if sweep.value is not None]
    if not found:
        return "No sweep has a result."
    pick = max if comparison.mode == "max" else min
    best = pick(found, key=lambda sweep: sweep.value or 0.0)
    return f"{best.name} has the best {comparison.objective} on validation, {best.value:.4f}."


def _fact(sweep: ComparedSweep, objective: str) -> Fact:
    value = "no result" if sweep.value is None else f"{sweep.value:.4f}"
    tested = interval_text(sweep)
    note = f"best {objective}" + (f"; test accuracy {tested}" if tested else "; no test accuracy")
    return Fact(label=sweep.name, value=value, note=note)


def _table(comparison: Comparison) -> Table:
    columns = [
        *(
            "sweep",
            f"best {comparison.objective}",
            "test accuracy, 95% interval",
            "trials",
            "epochs",
            "searching",
        ),
        *("training", "time to target", "epochs to target", "ended by"),
    ]
    rows = [
        [
            *(sweep.name, sweep.value, interval_text(sweep), sweep.trials, sweep.epochs),
            *(duration(sweep.wall_seconds), duration(sweep.training_seconds)),
            None if sweep.seconds_to_target is None else duration(sweep.seconds_to_target),
            *(sweep.epochs_to_target, sweep.state),
        ]
        for sweep in comparison.sweeps
    ]
    told = (
        ""
        if comparison.target is None
        else f"The target is the worst of the best values, {comparison.target:.4f}."
    )
    return Table(key="table", title="What they found and cost", columns=columns, rows=rows, caption=told)


def _course(comparison: Comparison, all_facts: Sequence[SweepFacts]) -> list[Block]:
    if comparison.not_comparable:
        return [Text("Curves of sweeps that are not comparable are not drawn into one figure.")]
    clocks = {sweep.name: facts.clock for sweep, facts in zip(comparison.sweeps, all_facts, strict=True)}
    objective = all_facts[0].result.objective
    return [
        Grid(
            width=440,
            figures=[
                figure(
                    f"best-over-{kind}",
                    f"Best so far over {kind}",
                    lambda kind=kind: drawn.best_of_several(clocks, objective, over_time=kind == "time"),  # type: ignore[misc]
                )
                for kind in ("time", "epochs")
            ],
        )
    ]
