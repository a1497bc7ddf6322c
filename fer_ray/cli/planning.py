"""`fer-ray sweep simulate`: what a sweep would do, without training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fer_ray.progress import Progress
    from fer_ray.search import SweepSpec
    from fer_ray.search.curves import RecordedCurves
    from fer_ray.search.simulate import Costs, Simulation


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
