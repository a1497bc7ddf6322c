"""Several objectives and constraints in a sweep's memory and study, without Ray."""

import math

import httpx
import pytest
from optuna.trial import TrialState
from optuna_dashboard import wsgi

from fer_ray.errors import ConfigError, SweepError
from fer_ray.results import pareto_front, trials_table
from fer_ray.results.journal import EpochJournal
from fer_ray.search.folder import journal_path
from fer_ray.search.memory import INFEASIBLE_PER_TRIAL, SweepMemory
from fer_ray.search.rows import epoch_rows, trial_rows
from fer_ray.search.rungs import Decision
from fer_ray.search.simulate import simulate
from fer_ray.search.spec import SweepSpec
from fer_ray.search.storage import open_storage
from fer_ray.search.study import FailureKind
from fer_ray.search.warm_start import earlier_trials
from fer_ray.spaces import Space

CONTINUE, STOP, PAUSE = Decision.CONTINUE, Decision.STOP, Decision.PAUSE


def units_by(step):
    config = {"name": "units", "default": 8, "conditions": [], "sampling": "linear"}
    config |= {"min_value": 8, "max_value": 512, "step": step}
    return Space.from_config({"space": [{"class_name": "Int", "config": config}], "values": {}})


SPACE, FINE = units_by(8), units_by(1)
SEVERAL = [{"metric": "val_accuracy"}, {"metric": "parameters"}]


@pytest.fixture
def make_spec(tmp_path):
    def make(name="sweep", **changes):
        (tmp_path / name).mkdir(exist_ok=True)
        content = {"name": name, "data": "none", "space": {"file": "none.py"}, "folder": str(tmp_path)}
        given = {"searcher": {"kind": "random"}, "max_trials": 9, "objective": SEVERAL}
        return SweepSpec.parse({**content, **given, **changes})

    return make


def open_memory(spec, space=SPACE, **options):
    return SweepMemory(spec, space, open_storage(spec), **options)


def train(memory, number, values, parameters=1000, first=1):
    """Reports a trial's accuracies epoch by epoch, as long as it may go on; the last decision."""
    decision = None
    for epoch, value in enumerate(values, start=first):
        row = {"trial": number, "epoch": epoch, "seconds": 0.5, "worker": "w", "val_accuracy": value}
        decision = memory.record_epoch({**row, "parameters": parameters})
        if decision is not CONTINUE:
            break
    return decision


def stored(memory, number):
    return memory.study.get_trials()[number]


def run_all(memory, costs_of):
    """Trains all that is proposed; `costs_of` gives accuracy and parameters for a number of units."""
    while (proposal := memory.propose()) is not None:
        accuracy, parameters = costs_of(proposal.values["units"])
        most = memory.spec.constraints.limits.get("parameters", math.inf)
        if parameters > most:
            measures = {"parameters": parameters}
            memory.close(proposal.number, "too many", FailureKind.INFEASIBLE, measures)
            continue
        train(memory, proposal.number, [accuracy] * memory.spec.scheduler.max_epochs, parameters)
        memory.close(proposal.number)


def test_a_finished_trial_has_the_values_of_its_best_epoch_in_the_primary_objective(make_spec):
    memory = open_memory(make_spec(objective=[{"metric": "val_accuracy"}, {"metric": "val_loss"}]))
    number = memory.propose().number
    for epoch, (accuracy, loss) in enumerate([(0.5, 1.0), (0.9, 1.5), (0.8, 0.5)], start=1):
        row = {"trial": number, "epoch": epoch, "seconds": 0.5, "worker": "w", "val_accuracy": accuracy}
        memory.record_epoch({**row, "val_loss": loss})
    memory.close(number)
    trial = stored(memory, number)
    assert (trial.state, trial.values) == (TrialState.COMPLETE, [0.9, 1.5])
    assert trial.user_attrs["best_values"] == {"val_accuracy": 0.9, "val_loss": 1.5}
    assert (trial.user_attrs["best_value"], trial.user_attrs["best_epoch"]) == (0.9, 2)


def test_a_stopped_trial_is_pruned_with_its_rungs_and_values_as_user_attributes(make_spec):
    memory = open_memory(make_spec())
    good, bad = memory.propose().number, memory.propose().number
    assert train(memory, good, [0.7, 0.6, 0.9]) is CONTINUE
    assert train(memory, bad, [0.8, 0.4, 0.5], parameters=10) is STOP
    memory.close(bad)
    trial = stored(memory, bad)
    assert (trial.state, trial.values, trial.intermediate_values) == (TrialState.PRUNED, None, {})
    assert trial.user_attrs["rungs"] == {"1": 0.8, "3": 0.8}
    assert trial.user_attrs["reason"] == "stopped at rung 3"
    assert trial.user_attrs["best_values"] == {"val_accuracy": 0.8, "parameters": 10}
    assert trial.user_attrs["parameters"] == 10


def test_the_study_says_what_its_objectives_are(make_spec):
    study = open_memory(make_spec()).study
    assert study.metric_names == ["val_accuracy", "parameters"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]


def test_the_winner_is_the_best_in_the_primary_objective(make_spec):
    memory = open_memory(make_spec(max_trials=3))
    run_all(memory, lambda units: (1 - units / 1024, units))
    winner = memory.winner()
    accuracies = {trial.number: trial.user_attrs["best_value"] for trial in memory.trials()}
    assert accuracies[winner.number] == max(accuracies.values())


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_a_trial_ends_where_any_of_its_objectives_is_not_finite(make_spec, bad):
    memory = open_memory(make_spec(objective=[{"metric": "val_accuracy"}, {"metric": "val_loss"}]))
    later, never = memory.propose().number, memory.propose().number
    for number, losses in ((later, [1.0, bad]), (never, [bad])):
        for epoch, loss in enumerate(losses, start=1):
            row = {"trial": number, "epoch": epoch, "seconds": 0.5, "worker": "w", "val_accuracy": 0.5}
            decision = memory.record_epoch({**row, "val_loss": loss})
        assert decision is Decision.DIVERGED
        memory.close(number)
    assert stored(memory, later).user_attrs["best_values"] == {"val_accuracy": 0.5, "val_loss": 1.0}
    assert stored(memory, never).state is TrialState.FAIL
    assert stored(memory, never).user_attrs["reason"] == "val_accuracy or val_loss was not finite"


@pytest.mark.parametrize("variant", ["stopping", "promotion"])
def test_another_memory_has_the_same_rungs_values_and_paused_trials(make_spec, variant):
    options = {"scheduler": {"variant": variant}}
    first = open_memory(make_spec(**options))
    for place in range(6):
        number = first.propose().number
        if train(first, number, [0.1 + 0.05 * place] * 3, parameters=100 - place) in (STOP, PAUSE):
            first.close(number)
    second = open_memory(make_spec(**options))
    assert second.rungs.brackets == first.rungs.brackets
    assert second.progressed == first.progressed
    assert second.paused == first.paused
    assert [trial.user_attrs for trial in second.trials()] == [trial.user_attrs for trial in first.trials()]
    assert all(seen.values["parameters"] > 90 for seen in second.progressed.values())


def test_a_kill_between_journal_and_study_loses_no_rung_and_no_value(make_spec):
    first = open_memory(make_spec())
    leader, behind = first.propose().number, first.propose().number
    train(first, leader, [0.9])
    row = {"trial": behind, "epoch": 1, "seconds": 0.5, "worker": "w", "val_accuracy": 0.2}
    EpochJournal(journal_path(first.spec.path)).append({**row, "parameters": 7})
    second = open_memory(make_spec())
    trial = stored(second, behind)
    assert (trial.state, trial.user_attrs["rungs"]) == (TrialState.PRUNED, {"1": 0.2})
    assert trial.user_attrs["best_values"] == {"val_accuracy": 0.2, "parameters": 7}


def test_target_and_plateau_go_by_the_primary_objective(make_spec):
    memory = open_memory(make_spec(target=0.8, scheduler={"kind": "none"}))
    number = memory.propose().number
    # The parameters, 1000, are far beyond the target's number.
    assert memory.goes_on(number, train(memory, number, [0.7]))
    assert not memory.goes_on(number, train(memory, number, [0.85], first=2))
    memory.close(number)
    assert (memory.propose(), memory.ended) == (None, "target reached")


@pytest.mark.parametrize("searcher", ["tpe", "random", "qmc", "grid"])
@pytest.mark.parametrize("variant", ["stopping", "promotion"])
def test_samplers_work_with_early_stopping_and_constraints(make_spec, searcher, variant):
    memory = open_memory(
        make_spec(
            max_trials=25,
            searcher={"kind": searcher},
            scheduler={"variant": variant},
            constraints={"max_parameters": 256},
        )
    )
    run_all(memory, lambda units: (units / 512, units))
    states = [trial.state for trial in memory.trials()]
    assert memory.ended in ("max_trials", "space exhausted", "no new configuration")
    assert {TrialState.COMPLETE, TrialState.PRUNED} <= set(states)
    assert all(trial.user_attrs["parameters"] <= 256 for trial in memory.study.best_trials)


def test_tables_and_front_of_a_sweep(make_spec):
    memory = open_memory(
        make_spec(max_trials=20, constraints={"max_parameters": 400}, scheduler={"kind": "none"})
    )
    run_all(memory, lambda units: (0.5 if units > 200 else units / 512, units))
    rows = trial_rows(memory.spec, open_storage(memory.spec), epoch_rows(memory.spec.path))
    trials = trials_table(rows)
    frame = trials.to_pandas().set_index("trial")
    assert (frame["value.val_accuracy"].dropna() == frame["value"].dropna()).all()
    infeasible = frame[frame.state == "FAIL"]
    assert len(infeasible) and (infeasible.parameters > 400).all() and (infeasible.epochs == 0).all()
    front = pareto_front(trials, memory.spec.goals)
    assert [row["trial"] for row in front] == [
        trial.number for trial in sorted(memory.study.best_trials, key=lambda trial: -trial.values[0])
    ]


def test_a_broken_constraint_is_infeasible_and_does_not_count(make_spec):
    memory = open_memory(make_spec(max_trials=1, constraints={"max_parameters": 100, "max_latency_ms": 2}))
    number = memory.propose().number
    memory.close(number, "too slow", FailureKind.INFEASIBLE, {"latency_ms": 3.0})
    trial = stored(memory, number)
    assert (trial.state, trial.user_attrs["failure"]) == (TrialState.FAIL, FailureKind.INFEASIBLE)
    assert (trial.user_attrs["latency_ms"], trial.user_attrs["epochs"]) == (3.0, 0)
    assert trial.constraints == {"latency_ms": 0.5}
    assert memory.counted == 0
    assert memory.propose() is not None


def test_constraints_that_nothing_keeps_end_the_sweep(make_spec):
    memory = open_memory(make_spec(max_trials=1, constraints={"max_parameters": 1}))
    run_all(memory, lambda units: (0.5, units))
    assert memory.ended == f"{INFEASIBLE_PER_TRIAL} infeasible configurations"


@pytest.mark.parametrize("objective", [{"metric": "val_accuracy"}, SEVERAL])
def test_tpe_learns_where_constraints_are_broken(make_spec, objective):
    def infeasible(searcher):
        spec = make_spec(
            searcher,
            max_trials=30,
            searcher={"kind": searcher},
            constraints={"max_parameters": 64},
            objective=objective,
        )
        memory = open_memory(spec, FINE)
        run_all(memory, lambda units: (units / 512, units))
        assert memory.ended == "max_trials"
        trials = memory.trials()
        # The first ten are random in both.
        return sum(trial.state is TrialState.FAIL for trial in trials[10:]) / len(trials[10:])

    # One in nine configurations is feasible.
    assert infeasible("tpe") < 0.75 < infeasible("random")


def test_a_sampler_sees_what_broke_a_constraint_as_pruned_after_a_restart_too(make_spec):
    options = {"constraints": {"max_parameters": 100}}
    first = open_memory(make_spec(**options))
    broke, failed = first.propose().number, first.propose().number
    first.close(broke, "too many", FailureKind.INFEASIBLE, {"parameters": 150})
    first.close(failed, "no pixels left", FailureKind.INFEASIBLE)
    for memory in (first, open_memory(make_spec(**options))):
        seen = memory.sampler._view.get_trials(deepcopy=False)
        assert (seen[broke].state, seen[broke].constraints) == (TrialState.PRUNED, {"parameters": 0.5})
        assert seen[failed].state is TrialState.FAIL


@pytest.mark.parametrize("variant", ["stopping", "promotion"])
def test_a_sampler_sees_the_values_of_stopped_and_paused_trials(make_spec, variant):
    memory = open_memory(make_spec(scheduler={"variant": variant}))
    good, bad = memory.propose().number, memory.propose().number
    train(memory, good, [0.8])
    assert train(memory, bad, [0.2], parameters=10) in (STOP, PAUSE)
    memory.close(bad)
    assert stored(memory, bad).state is (TrialState.PRUNED if variant == "stopping" else TrialState.RUNNING)
    for opened in (memory, open_memory(make_spec(scheduler={"variant": variant}))):
        seen = opened.sampler._view.get_trials(deepcopy=False)[bad]
        assert (seen.state, seen.values) == (TrialState.COMPLETE, [0.2, 10])


def write_sweep(spec):
    (spec.path / "sweep.yaml").write_text(spec.to_yaml())
    (spec.path / "space.json").write_text('{"data": "prints"}')


def test_a_warm_start_keeps_all_values_and_judges_by_the_new_constraints(make_spec):
    earlier = make_spec("earlier", max_trials=20)
    write_sweep(earlier)
    run_all(open_memory(earlier), lambda units: (units / 512, units))
    searcher = {"kind": "tpe", "warm_start": [str(earlier.path)]}
    late = make_spec("late", searcher=searcher, constraints={"max_parameters": 256})
    memory = open_memory(late, earlier=earlier_trials(late, SPACE, "prints"))
    added = memory.study.get_trials(deepcopy=False)[:20]
    assert {trial.state for trial in added} == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in added:
        units = trial.params["units"]
        assert trial.constraints == ({"parameters": units / 256 - 1} if units > 256 else {})
        assert trial.values == ([units / 512, units] if trial.state is TrialState.COMPLETE else None)
    seen = memory.sampler._view.get_trials(deepcopy=False)[:20]
    assert [trial.values for trial in seen] == [[t.params["units"] / 512, t.params["units"]] for t in added]
    assert memory.propose() is not None


@pytest.mark.parametrize(
    "other", [{"metric": "val_accuracy"}, [{"metric": "val_accuracy"}, {"metric": "val_loss"}]]
)
def test_a_warm_start_from_other_objectives_is_refused(make_spec, other):
    earlier = make_spec("earlier", objective=other)
    write_sweep(earlier)
    late = make_spec("late", searcher={"kind": "tpe", "warm_start": [str(earlier.path)]})
    with pytest.raises(
        SweepError, match=r"must have the objectives val_accuracy \(max\), parameters \(min\)"
    ):
        earlier_trials(late, SPACE, "prints")


@pytest.mark.parametrize("changes", [{}, {"objective": {}, "constraints": {"max_parameters": 10}}])
def test_a_simulation_says_that_it_knows_neither(make_spec, changes):
    with pytest.raises(ConfigError, match="simulation: must have one objective and no constraints"):
        simulate(make_spec(**changes), None, 1)


def test_the_dashboard_opens_a_study_of_several_objectives(make_spec):
    memory = open_memory(make_spec(max_trials=6, constraints={"max_parameters": 256}))
    run_all(memory, lambda units: (units / 512, units))
    with httpx.Client(
        transport=httpx.WSGITransport(wsgi(open_storage(memory.spec))), base_url="http://x"
    ) as client:
        found = client.get(f"/api/studies/{memory.study._study_id}").raise_for_status().json()
    assert found["directions"] == ["maximize", "minimize"]
    assert found["objective_names"] == ["val_accuracy", "parameters"]
    assert len(found["trials"]) == len(memory.study.trials)
    assert {trial["number"] for trial in found["best_trials"]} == {t.number for t in memory.study.best_trials}
