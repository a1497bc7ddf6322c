"""`fer-ray sweep plan` and `simulate`: what a sweep would do and cost, before it trains."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fer_ray.progress import Progress
    from fer_ray.search import SweepPlan, SweepSpec
    from fer_ray.search.curves import RecordedCurves
    from fer_ray.search.forecast import Bounds
    from fer_ray.search.probe import Probe
    from fer_ray.search.simulate import Costs, Simulation

ADDRESS_HELP = (
    "Of a Ray cluster, HOST:6379, auto or local; if absent, of the sweep file, RAY_ADDRESS or a local one."
)


def plan(
    file: Annotated[Path, typer.Argument(help="A sweep file.")],
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Any key, such as scheduler.eta=4; may be repeated.")
    ] = None,
    no_probe: Annotated[bool, typer.Option("--no-probe", help="Train nothing, tell no times.")] = False,
    address: Annotated[str | None, typer.Option(help=ADDRESS_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what a sweep will cost: trials, rungs, epochs, and time from a short probe."""
    from fer_ray.cli.console import print_json
    from fer_ray.cli.sweep import parse_overrides
    from fer_ray.cli.watching import watched
    from fer_ray.search import SweepSpec
    from fer_ray.search import plan as make_plan

    given = {"address": address} if address else {}
    spec = SweepSpec.from_yaml(file, {**given, **parse_overrides(override or [])})
    with watched(spec.name) as (_, progress):
        found = make_plan(spec, with_probe=not no_probe, progress=progress)
    if as_json:
        print_json(found.to_dict())
    else:
        _print_plan(found)


def simulate(
    curves: Annotated[Path, typer.Argument(help="A Parquet table of learning curves.")],
    workers: Annotated[str, typer.Option(help="How many; several after commas.")] = "1,4,16",
    sweep: Annotated[Path | None, typer.Option(help="A sweep file: searcher, scheduler, budgets.")] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Any key, such as scheduler.eta=4; may be repeated.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions; medians are shown.")] = 3,
    neighbours: Annotated[int, typer.Option(min=1, help="Recorded curves that make a new one.")] = 3,
    startup: Annotated[float, typer.Option(min=0, help="Seconds of a worker's start.")] = 10.0,
    trial: Annotated[float, typer.Option(min=0, help="Seconds of building a model.")] = 1.0,
    checkpoint: Annotated[float, typer.Option(min=0, help="Seconds of writing a checkpoint.")] = 0.1,
    straggling: Annotated[float, typer.Option(min=0, help="How uneven the workers are; 0 for not.")] = 0.0,
    preemptions: Annotated[float, typer.Option(min=0, help="Per worker and hour.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate a sweep over recorded curves, on any number of workers, in virtual time."""
    from fer_ray.cli.console import print_json, print_table, progress_bar
    from fer_ray.search.curves import read_curves
    from fer_ray.search.simulate import Costs

    spec = _spec(sweep, override or [])
    table = read_curves(curves, spec.goal.metric, neighbours)
    costs = Costs(
        startup=startup, trial=trial, checkpoint=checkpoint, straggling=straggling, preemptions=preemptions
    )
    with progress_bar() as progress:
        rows = [_summary(_repeated(spec, table, count, costs, seeds, progress)) for count in _counts(workers)]
    if as_json:
        print_json(rows)
    else:
        shown = [{key: _rounded(value) for key, value in row.items()} for row in rows]
        print_table(f"Simulated: medians of {seeds}, times in virtual seconds", shown)


def _print_plan(plan: "SweepPlan") -> None:
    from fer_ray.cli.console import print_table, stdout

    levels = [
        {
            "bracket": level.bracket,
            "epoch": level.epoch or "begin",
            "trials expected": _rounded(level.trials.expected),
            "at most": _rounded(level.trials.at_most),
        }
        for level in plan.levels
    ]
    print_table("Trials that come to each rung", levels)
    figures = {"trials": plan.trials, "epochs": plan.epochs, "seconds of searching": plan.seconds}
    costs = [_cost(name, bounds) for name, bounds in figures.items() if bounds is not None]
    costs.append({"": "ended by", "expected": plan.ended[0], "at most": plan.ended[1]})
    print_table(f"What {plan.name} costs", costs)
    lines = [
        _space_line(plan),
        *(_probe_lines(plan.probe) if plan.probe else []),
        *plan.notes,
        _sentence(plan),
    ]
    for line in lines:
        stdout.print(line, highlight=False, markup=False)


def _cost(name: str, bounds: "Bounds") -> dict[str, str]:
    return {"": name, "expected": _rounded(bounds.expected), "at most": _rounded(bounds.at_most)}


def _space_line(plan: "SweepPlan") -> str:
    size = "infinitely many" if plan.configurations is None else f"{plan.configurations:,}"
    return f"Space: {plan.hyperparameters} hyperparameters, {size} configurations."


def _probe_lines(probe: "Probe") -> list[str]:
    from statistics import median

    paces = probe.paces
    if not paces:
        return ["No configuration could be trained: no times are known."]
    lines = [f"Probe: {len(paces)} configurations in {probe.seconds:.0f} s."]
    columns = {
        "an epoch on all images at first": [pace.first_epoch for pace in paces],
        "an epoch at the end": [pace.last_epoch for pace in paces],
        "building and tracing a model": [pace.start for pace in paces],
        "starting a worker": [probe.starting],
    }
    for name, values in columns.items():
        spread = f" ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else ""
        lines.append(f"  {name}: {median(values):.3g} s{spread}")
    return lines


def _sentence(plan: "SweepPlan") -> str:
    workers = f"{plan.workers} worker{'s' if plan.workers > 1 else ''}"
    epochs, trials = plan.epochs, plan.trials
    counts = f"{epochs.expected:.0f} epochs of {trials.expected:.0f} trials, {epochs.at_most:.0f} at most"
    if plan.seconds is None:
        return f"Expected on {workers}: {counts}."
    times = f"{_time(plan.seconds.expected)}, {_time(plan.seconds.at_most)} at most"
    size = "" if plan.checkpoints_mb is None else f", {plan.checkpoints_mb:.0f} MB of checkpoints at most"
    around = f"{_time(plan.preparing)} of preparation before, the winner's evaluation and export after it"
    return f"Expected on {workers}: {counts}, in {times}{size}; {around}."


def _time(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 2:
        return f"{hours:.1f} hours"
    return f"{minutes:.0f} minutes" if minutes >= 2 else f"{seconds:.0f} s"


def _spec(file: Path | None, override: list[str]) -> "SweepSpec":
    from fer_ray.cli.sweep import parse_overrides
    from fer_ray.search import SweepSpec

    given = parse_overrides(override)
    if file is not None:
        return SweepSpec.from_yaml(file, given)
    nothing = {"name": "simulated", "data": "none", "space": {"file": "none.py"}}
    return SweepSpec.parse(nothing, "sweep", given)


def _counts(text: str) -> list[int]:
    from fer_ray.errors import ConfigError

    counts = [int(part) if part.strip().isdigit() else 0 for part in text.split(",")]
    if min(counts) < 1:
        raise ConfigError("--workers", "must be whole numbers from 1, separated by commas", text)
    return counts


def _repeated(
    spec: "SweepSpec",
    curves: "RecordedCurves",
    workers: int,
    costs: "Costs",
    seeds: int,
    progress: "Progress",
) -> "list[Simulation]":
    from fer_ray.search.simulate import simulate as run

    found = []
    for place in range(seeds):
        progress(f"{workers} workers", place, seeds)
        found.append(run(spec.model_copy(update={"seed": spec.seed + place}), curves, workers, costs))
    progress(f"{workers} workers", seeds, seeds)
    return found


def _summary(simulations: "list[Simulation]") -> dict[str, Any]:
    from statistics import median

    reached = [simulation.improvements[-1][0] for simulation in simulations if simulation.improvements]
    return {
        "workers": simulations[0].workers,
        "seconds": median(simulation.seconds for simulation in simulations),
        "to best": median(reached) if reached else None,
        "best": median(simulation.best for simulation in simulations),
        "trials": median(simulation.trials for simulation in simulations),
        "epochs": median(simulation.epochs for simulation in simulations),
        "repeated": median(simulation.repeated for simulation in simulations),
        "utilisation": median(simulation.utilisation for simulation in simulations),
        "ended": simulations[0].ended,
    }


def _rounded(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return str(round(value)) if value >= 100 else f"{value:.3g}"
