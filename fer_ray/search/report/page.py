"""A sweep's page: its first screen, and the sections in their order."""

from datetime import UTC, datetime
from pathlib import Path

from fer_ray import __version__
from fer_ray.results.evaluation import Evaluation
from fer_ray.results.report.clock import duration
from fer_ray.results.report.page import Fact, Page, Section
from fer_ray.results.report.searched import Searched
from fer_ray.search.report import answer, details
from fer_ray.search.report.facts import UNFINISHED, SweepFacts
from fer_ray.search.report.trials import searched_trials
from fer_ray.search.spec import SweepSpec
from fer_ray.search.study import UNCOUNTED
from fer_ray.spaces import Space

_STATES = {"COMPLETE": "to the end", "PRUNED": "stopped early", "FAIL": "failed", "RUNNING": "open"}


def sweep_page(facts: SweepFacts, again: SweepSpec | None, again_file: Path) -> Page:
    """The page of a sweep.

    Args:
        facts: What is known of it.
        again: The sweep that trains its best trial again; None if no trial has a result.
        again_file: Where that is written.
    """
    rows = facts.result.trials.to_pylist() if facts.space else []
    study = searched_trials(rows, facts.space or Space(()), facts.result.objectives)
    searched = Searched(study, [objective.metric for objective in facts.result.objectives])
    sections = {
        "best": ("Best configuration", answer.best(facts, again, again_file)),
        "test": ("Test", answer.test(facts)),
        "course": ("Course", answer.course(facts, searched)),
        "curves": ("Learning curves", answer.curves(facts)),
        "hyperparameters": ("Hyperparameters", details.hyperparameters(facts, searched)),
        "trials": ("Trials", details.trials(facts)),
        "workers": ("Workers", details.workers(facts)),
        "failures": ("Failures", details.failures(facts)),
        "environment": ("Environment", details.environment(facts)),
    }
    return Page(
        title=f"Sweep {facts.result.spec.name}",
        lead=_lead(facts),
        facts=_facts(facts),
        sections=[Section(key=key, title=title, blocks=blocks) for key, (title, blocks) in sections.items()],
        made=made_by(f"{facts.result.path}"),
    )


def made_by(source: str) -> str:
    """The last line of a page."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"Made {now} by fer-ray {__version__} from {source}. This page loads nothing from anywhere."


def _lead(facts: SweepFacts) -> str:
    result, best = facts.result, facts.result.best
    standing = ""
    if facts.state in UNFINISHED:
        goes_on = "this is what there is so far"
        if facts.state != "running":
            goes_on = f"`fer-ray sweep resume {result.path}` goes on"
        standing = f"The sweep {'is' if facts.state == 'running' else 'was'} {facts.state}; {goes_on}. "
    if best is None:
        return f"{standing}No trial has a result."
    won = "is the best so far" if standing else "won"
    value = f"{result.objective.metric} {best['value']:.4f} on validation"
    return f"{standing}Trial {best['trial']} {won}: {value}.{_model(facts, best['trial'])}"


def _model(facts: SweepFacts, best: int) -> str:
    if facts.manifest is None or facts.evaluation is None:
        return ""
    trial = facts.manifest.sweep.get("trial")
    which = "Its model" if trial == best else f"The model registered before, of trial {trial},"
    share, note = answer.percent(facts.evaluation.accuracy), answer.accuracy_note(facts.evaluation)
    return f" {which} has {share} of the test images right ({note})."


def _facts(facts: SweepFacts) -> list[Fact]:
    result = facts.result
    fates = facts.trials["state"].map(_STATES).mask(facts.uncounted, facts.trials["failure"])
    counts = fates.value_counts()
    told = ", ".join(
        f"{counts[word]} {word}" for word in (*_STATES.values(), *sorted(UNCOUNTED)) if word in counts
    )
    trained = float(facts.epochs["seconds"].sum())
    spec = result.spec
    how = f"{spec.searcher.kind}, {spec.scheduler.kind}, at most {spec.scheduler.max_epochs} epochs a trial"
    return [
        *_scores(facts, facts.evaluation),
        Fact(label="Trials", value=f"{(~facts.uncounted).sum():,}", note=told),
        Fact(label="Epochs", value=f"{len(facts.epochs):,}", note=f"{duration(trained)} of training"),
        Fact(label="Searching", value=duration(facts.searching), note=answer.utilisation(facts)),
        Fact(label="State" if facts.state in UNFINISHED else "Ended by", value=facts.state, note=how),
    ]


def _scores(facts: SweepFacts, evaluation: Evaluation | None) -> list[Fact]:
    best, scores = facts.result.best, []
    if evaluation:
        note = answer.accuracy_note(evaluation)
        scores.append(Fact(label="Test accuracy", value=answer.percent(evaluation.accuracy), note=note))
    if best:
        note = f"trial {best['trial']}, epoch {best['best_epoch']}; it chose the winner, so it flatters"
        label = f"Best {facts.result.objective.metric}"
        scores.append(Fact(label=label, value=f"{best['value']:.4f}", note=note))
    return scores
