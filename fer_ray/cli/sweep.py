"""`fer-ray sweep`: run, resume and read hyperparameter sweeps."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fer_ray.cli import jobs, planning, reporting, watch
from fer_ray.errors import SweepError

if TYPE_CHECKING:
    from fer_ray.search import SweepResult

app = typer.Typer(no_args_is_help=True)
app.command()(planning.plan)
app.command()(planning.simulate)
app.command()(jobs.submit)
app.command()(jobs.status)
app.command()(jobs.logs)
app.command()(jobs.attach)
app.command()(jobs.stop)
app.command()(watch.watch)
app.command()(reporting.report)
app.command()(reporting.compare)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Trials = Annotated[int | None, typer.Option(min=1, help="Trials to train.")]
_Budget = Annotated[str | None, typer.Option(help="Such as 90m or 2h; no trial starts after it.")]
_Concurrency = Annotated[int | None, typer.Option(min=1, help="Trials at a time.")]
_Address = Annotated[str | None, typer.Option(help=planning.ADDRESS_HELP)]


@app.command()
def init(
    out: Annotated[Path, typer.Argument(help="The sweep file to write.")],
    data: Annotated[str, typer.Option(help="A data set made by `fer-ray data`.")],
    space: Annotated[
        Path | None, typer.Option(help="A Keras Tuner file; the baseline.py that ships if absent.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the sweep; the file's name if absent.")] = None,
) -> None:
    """Write a sweep file with every key and its default, to be edited."""
    from fer_ray.cli.console import stdout
    from fer_ray.errors import ConfigError
    from fer_ray.files import write_atomically
    from fer_ray.search.spec import SweepSpec
    from fer_ray.shipped import shipped_file

    if out.exists():
        raise ConfigError(str(out), "must not exist yet", remedy="Name another file")
    file = space or shipped_file("baseline.py")
    content = {"name": name or out.stem, "data": data, "space": {"file": str(file)}}
    write_atomically(out, SweepSpec.parse(content).to_yaml())
    stdout.print(f"Wrote {out}. Run it with: fer-ray sweep run {out}", highlight=False)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A sweep file.")],
    name: Annotated[str | None, typer.Option(help="Of the sweep, and of its folder.")] = None,
    data: Annotated[str | None, typer.Option(help="The data set.")] = None,
    max_trials: _Trials = None,
    time_budget: _Budget = None,
    concurrency: _Concurrency = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    address: _Address = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Any key, such as scheduler.eta=4; may be repeated.")
    ] = None,
    or_resume: Annotated[
        bool, typer.Option("--or-resume", help="Go on with the sweep if it was begun before.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Run a sweep; Ctrl-C stops it cleanly and `sweep resume` goes on."""
    from fer_ray.cli.watching import watched
    from fer_ray.search import SweepSpec, run_or_resume
    from fer_ray.search import run as run_sweep

    flags = {
        "name": name,
        "data": data,
        "max_trials": max_trials,
        "time_budget": time_budget,
        "concurrency": concurrency,
        "seed": seed,
        "address": address,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    spec = SweepSpec.from_yaml(file, {**given, **parse_overrides(override or [])})
    with watched(spec.name) as (watch, progress):
        result = (run_or_resume if or_resume else run_sweep)(spec, watch=watch, progress=progress)
    _show(result, as_json)
    _check_any_result(result)


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(help="The sweep's folder.")],
    max_trials: _Trials = None,
    time_budget: _Budget = None,
    concurrency: _Concurrency = None,
    address: _Address = None,
    as_json: _Json = False,
) -> None:
    """Go on with a sweep that was stopped, killed, or shall train more trials."""
    from fer_ray.cli.watching import watched
    from fer_ray.search import resume as resume_sweep

    with watched(folder.name) as (watch, progress):
        result = resume_sweep(
            folder,
            max_trials=max_trials,
            time_budget=time_budget,
            concurrency=concurrency,
            address=address,
            watch=watch,
            progress=progress,
        )
    _show(result, as_json)
    _check_any_result(result)


@app.command("list")
def list_(
    folder: Annotated[Path, typer.Option(help="Where sweeps lie.")] = Path("sweeps"), as_json: _Json = False
) -> None:
    """List the sweeps of a folder."""
    from fer_ray.cli.console import print_json, print_table
    from fer_ray.search import list_sweeps

    rows = list_sweeps(folder)
    if as_json:
        print_json(rows)
    else:
        print_table("Sweeps", rows, ["name", "state", "trials", "objective", "best", "model"])


@app.command()
def results(
    folder: Annotated[Path, typer.Argument(help="The sweep's folder.")],
    top: Annotated[int, typer.Option(min=1, help="Rows of the leaderboard.")] = 10,
    parquet: Annotated[
        Path | None, typer.Option(help="Copy the trial and epoch tables to this folder.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Show the leaderboard of a sweep, finished or not; of several objectives the Pareto front too."""
    from fer_ray.cli.console import stderr
    from fer_ray.results.tables import write_tables
    from fer_ray.search import load_result

    result = load_result(folder)
    if parquet is not None:
        write_tables(parquet, result.trials, result.epochs)
        stderr.print(f"Wrote {parquet}/trials.parquet and {parquet}/epochs.parquet", highlight=False)
    _show(result, as_json, top)


@app.command()
def delete(
    folder: Annotated[Path, typer.Argument(help="The sweep's folder.")],
    published: Annotated[bool, typer.Option("--published", help="Also what it has published.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a sweep with its checkpoints, tables and study; registered models stay."""
    from fer_ray.cli.console import stderr
    from fer_ray.search import delete as delete_sweep
    from fer_ray.search.folder import SweepFolder

    found = SweepFolder.open(folder)
    place = found.spec().masked().publish
    if not yes:
        too = f", and its results at {place}" if published and place else ""
        typer.confirm(f"Delete {found.path} and its study{too}?", abort=True, err=True)
    delete_sweep(found.path, published=published)
    stderr.print(f"Deleted {found.path}", highlight=False)
    if place and not published:
        stderr.print(f"What it has published stays at {place}", highlight=False)


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """`key=value` with the value in YAML."""
    import yaml

    from fer_ray.errors import ConfigError

    found = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator:
            raise ConfigError("--set", "must read key=value", pair)
        try:
            found[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {key}", "must be YAML", text) from error
    return found


def _check_any_result(result: "SweepResult") -> None:
    """A sweep that came to its end without a single result did not do what it was asked to."""
    ended = result.outcome.ended if result.outcome else "interrupted"
    if ended != "interrupted" and not result.leaderboard(1):
        raise SweepError(
            f"sweep {result.spec.name}", "at least one trial must give a result", f"ended by {ended}"
        )


def _show(result: "SweepResult", as_json: bool, top: int = 10) -> None:
    from fer_ray.cli.console import print_json, stdout
    from fer_ray.cli.leaderboard import print_front, print_leaderboard
    from fer_ray.search.study import UNCOUNTED

    several = len(result.objectives) > 1
    if as_json:
        outcome = vars(result.outcome) if result.outcome else None
        shown = {"name": result.spec.name, "outcome": outcome, "leaderboard": result.leaderboard(top)}
        print_json({**shown, "front": result.front} if several else shown)
        return
    print_leaderboard(result, top)
    if several:
        print_front(result)
    failed = [row for row in result.trials.to_pylist() if row["state"] == "FAIL"]
    for row in failed:
        how = row["failure"] if row["failure"] in UNCOUNTED else "failed"
        stdout.print(f"trial {row['trial']} {how}: {row['reason']}", highlight=False, markup=False)
    if result.outcome:
        ended = result.outcome
        stdout.print(
            f"Ended by {ended.ended} after {ended.seconds:.0f} s of searching; workers were inside training "
            f"{ended.utilisation:.0%} of the time.",
            highlight=False,
        )
        if ended.model:
            stdout.print(
                f"Winner registered as {ended.model} in {result.spec.model.registry}", highlight=False
            )
        if ended.ended == "interrupted":
            stdout.print(f"Go on with: fer-ray sweep resume {result.path}", highlight=False)
    stdout.print(f"Tables: {result.path}/trials.parquet, {result.path}/epochs.parquet", highlight=False)
    if result.spec.storage:
        stdout.print(f"Study:  {result.spec.study_name} in the sweep file's storage", highlight=False)
    else:
        stdout.print(f"Study:  optuna-dashboard {result.path / 'study.journal'}", highlight=False)
