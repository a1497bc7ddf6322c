"""A sweep's memory over its study and journal, without Ray."""

import math

import optuna
import pytest
from optuna.trial import TrialState

from fer_ray.errors import SpaceError, UnsupportedSpaceError
from fer_ray.results.journal import EpochJournal
from fer_ray.search.folder import SweepFolder, journal_path, study_path
from fer_ray.search.memory import INFEASIBLE_PER_TRIAL, SweepMemory
from fer_ray.search.rungs import Decision
from fer_ray.search.spec import SweepSpec
from fer_ray.search.storage import open_storage
from fer_ray.search.study import FailureKind, best_trial, values_of
from fer_ray.spaces import Space

CONTINUE, STOP, DIVERGED, FINISHED = (
    Decision.CONTINUE,
    Decision.STOP,
    Decision.DIVERGED,
    Decision.FINISHED,
)


def entry(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, "default": None, "conditions": [], **config}}


RATE = entry("Float", "rate", min_value=1e-4, max_value=1e-1, step=None, sampling="log")
WIDE = {"space": [RATE, entry("Int", "units", min_value=8, max_value=64, step=8, sampling="linear")]}
TINY = {"space": [entry("Choice", "units", values=[1, 2, 3], ordered=True), entry("Boolean", "flag")]}


@pytest.fixture
def spec(tmp_path):
    """Sweeps named `sweep` in a folder of the test's."""

    def make(**changes):
        (tmp_path / "sweep").mkdir(exist_ok=True)
        content = {"name": "sweep", "data": "none", "space": {"file": "none.py"}, "folder": str(tmp_path)}
        kinds = {"searcher": {"kind": "random"}, "max_trials": 4}
        return SweepSpec.parse({**content, **kinds, **changes})

    return make


def open_memory(spec, space=WIDE, **options):
    return SweepMemory(spec, Space.from_config(space), open_storage(spec), **options)


def train(memory, number, values, first=1):
    """Reports a trial's values epoch by epoch, as long as it may go on; the last decision."""
    decision = None
    for epoch, value in enumerate(values, start=first):
        row = {"trial": number, "epoch": epoch, "seconds": 0.5, "worker": "w", "val_accuracy": value}
        decision = memory.record_epoch(row)
        if decision is not CONTINUE:
            break
    return decision


def stored(memory, number):
    return memory.study.get_trials()[number]


def test_a_trial_that_trains_to_its_end_is_complete_with_its_best_epoch(spec):
    memory = open_memory(spec())
    proposal = memory.propose()
    assert train(memory, proposal.number, [0.1, 0.3, 0.2, 0.8, 0.4, 0.4, 0.4, 0.4, 0.4]) is FINISHED
    memory.close(proposal.number)
    trial = stored(memory, proposal.number)
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.8)
    assert trial.intermediate_values == {1: 0.1, 3: 0.3}
    expected = {"best_value": 0.8, "best_epoch": 4, "epochs": 9, "hyperparameters": proposal.values}
    assert trial.user_attrs == expected
    assert values_of(trial) == proposal.values
    assert memory.running == 0


def test_a_trial_whose_fit_ends_early_of_itself_is_complete(spec):
    memory = open_memory(spec())
    proposal = memory.propose()
    assert train(memory, proposal.number, [0.1, 0.3]) is CONTINUE
    memory.close(proposal.number)
    trial = stored(memory, proposal.number)
    assert (trial.state, trial.value, trial.user_attrs["epochs"]) == (TrialState.COMPLETE, 0.3, 2)


def test_a_trial_stopped_at_a_rung_is_pruned_there_with_its_value(spec):
    memory = open_memory(spec())
    good, bad = memory.propose().number, memory.propose().number
    assert train(memory, good, [0.7, 0.6, 0.9]) is CONTINUE
    assert train(memory, bad, [0.8, 0.4, 0.5, 0.6]) is STOP
    memory.close(bad)
    trial = stored(memory, bad)
    # At the rung it is judged by its best up to there, 0.8 against 0.9.
    assert trial.state is TrialState.PRUNED
    assert trial.intermediate_values == {1: 0.8, 3: 0.8}
    assert (trial.value, trial.last_step) == (0.8, 3)
    assert trial.user_attrs["reason"] == "stopped at rung 3"
    assert (trial.user_attrs["best_epoch"], trial.user_attrs["epochs"]) == (1, 3)


def test_a_trial_whose_first_report_is_late_is_pruned_at_the_rung_it_was_judged_at(spec):
    memory = open_memory(spec())
    good, late = memory.propose().number, memory.propose().number
    train(memory, good, [0.7, 0.7, 0.7])
    assert train(memory, late, [0.4], first=5) is STOP
    memory.close(late)
    trial = stored(memory, late)
    assert (trial.state, trial.value, trial.last_step) == (TrialState.PRUNED, 0.4, 3)


def test_a_trial_that_reports_its_end_alone_is_complete(spec):
    memory = open_memory(spec())
    good, only = memory.propose().number, memory.propose().number
    train(memory, good, [0.7, 0.7, 0.7])
    assert train(memory, only, [0.4], first=9) is FINISHED
    memory.close(only)
    assert (stored(memory, only).state, stored(memory, only).value) == (TrialState.COMPLETE, 0.4)


def test_small_values_win_where_the_objective_says_so(spec):
    memory = open_memory(spec(objective={"metric": "val_accuracy", "mode": "min"}))
    first, second = memory.propose().number, memory.propose().number
    assert train(memory, first, [0.5, 0.2]) is CONTINUE
    assert train(memory, second, [0.6]) is STOP
    memory.close(first)
    memory.close(second)
    assert memory.study.best_trial.number == first
    assert stored(memory, first).value == 0.2


@pytest.mark.parametrize(
    ("kind", "counted"),
    [(FailureKind.TRAINING, 1), (FailureKind.WORKER, 1), (FailureKind.INFEASIBLE, 0)],
)
def test_a_failure_is_kept_with_its_kind_and_reason(spec, kind, counted):
    memory = open_memory(spec())
    number = memory.propose().number
    memory.close(number, "out of memory", kind)
    trial = stored(memory, number)
    assert trial.state is TrialState.FAIL
    kept = {"failure": kind.value, "reason": "out of memory", "epochs": 0}
    assert kept.items() <= trial.user_attrs.items()
    assert (memory.counted, memory.running) == (counted, 0)


def test_a_failure_after_some_epochs_keeps_their_number(spec):
    memory = open_memory(spec())
    number = memory.propose().number
    train(memory, number, [0.1, 0.2])
    memory.close(number, "broke")
    assert stored(memory, number).state is TrialState.FAIL
    assert stored(memory, number).user_attrs["epochs"] == 2


def test_a_failed_trial_is_not_the_best_so_far_in_this_run_and_the_next(spec):
    memory = open_memory(spec())
    assert memory.best_so_far() == (None, None)
    good, broken = memory.propose().number, memory.propose().number
    train(memory, good, [0.1])
    train(memory, broken, [0.9])
    assert memory.best_so_far() == (broken, 0.9)
    memory.close(broken, "broke")
    assert memory.best_so_far() == open_memory(spec()).best_so_far() == (good, 0.1)


def test_a_trial_without_an_epoch_has_failed(spec):
    memory = open_memory(spec())
    number = memory.propose().number
    memory.close(number)
    assert stored(memory, number).state is TrialState.FAIL
    assert stored(memory, number).user_attrs["reason"] == "fit reported no epoch"


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_trial_that_never_had_a_finite_objective_has_failed(spec, value):
    memory = open_memory(spec())
    number = memory.propose().number
    assert train(memory, number, [value]) is DIVERGED
    memory.close(number)
    trial = stored(memory, number)
    assert (trial.state, trial.user_attrs["failure"]) == (TrialState.FAIL, FailureKind.DIVERGED)
    assert trial.user_attrs["reason"] == "val_accuracy was not finite"
    assert memory.counted == 1


@pytest.mark.parametrize("values", [[0.4, math.nan], [0.4, 0.3, math.nan], [0.4, 0.3, 0.2, None]])
def test_a_trial_that_diverges_later_is_pruned_with_its_best(spec, values):
    memory = open_memory(spec())
    number = memory.propose().number
    assert train(memory, number, values) is DIVERGED
    memory.close(number)
    trial = stored(memory, number)
    assert (trial.state, trial.value, trial.last_step) == (TrialState.PRUNED, 0.4, len(values))
    assert trial.user_attrs["reason"] == "diverged"
    assert trial.user_attrs["best_epoch"] == 1


def test_infeasible_trials_are_not_among_max_trials(spec):
    memory = open_memory(spec(max_trials=2))
    for place in range(4):
        number = memory.propose().number
        if place % 3:
            memory.close(number, "no pixels left", FailureKind.INFEASIBLE)
        else:
            train(memory, number, [0.5])
            memory.close(number)
    assert memory.propose() is None
    assert memory.ended == "max_trials"
    assert (memory.counted, memory.running) == (2, 0)


def test_the_last_trial_is_replaced_if_it_turns_out_infeasible(spec):
    memory = open_memory(spec(max_trials=2))
    first, last = (memory.propose().number for _ in range(2))
    train(memory, first, [0.5])
    assert memory.propose() is None
    assert memory.ended is None
    memory.close(last, "no pixels left", FailureKind.INFEASIBLE)
    replacement = memory.propose().number
    assert memory.propose() is None
    assert memory.ended is None
    for number, value in ((first, 0.5), (replacement, 0.4)):
        train(memory, number, [value])
        memory.close(number)
    assert (memory.propose(), memory.ended) == (None, "max_trials")


@pytest.mark.parametrize("kind", [FailureKind.TRAINING, FailureKind.WORKER])
def test_the_last_trial_is_not_replaced_if_it_fails_otherwise(spec, kind):
    memory = open_memory(spec(max_trials=1))
    memory.close(memory.propose().number, "broke", kind)
    assert memory.propose() is None
    assert memory.ended == "max_trials"


def test_a_space_in_which_nothing_can_be_built_is_given_up(spec):
    memory = open_memory(spec(max_trials=1))
    for _ in range(INFEASIBLE_PER_TRIAL):
        memory.close(memory.propose().number, "no pixels left", FailureKind.INFEASIBLE)
    assert memory.propose() is None
    assert memory.ended == "10 infeasible configurations"


@pytest.mark.parametrize("kind", [FailureKind.WORKER, FailureKind.MEMORY, FailureKind.HUNG])
def test_workers_that_die_before_any_epoch_end_the_sweep(spec, kind):
    memory = open_memory(spec(max_trials=10))
    for _ in range(3):
        memory.close(memory.propose().number, "died", kind)
    assert memory.propose() is None
    assert memory.ended.startswith("3 trials whose workers failed")
    assert open_memory(spec(max_trials=10)).propose() is not None


def test_lost_workers_end_nothing_while_a_trial_is_in_its_first_epoch(spec):
    memory = open_memory(spec(max_trials=10))
    first = memory.propose().number
    for _ in range(3):
        memory.close(memory.propose().number, "died", FailureKind.WORKER)
    assert (memory.propose(), memory.ended) == (None, None)
    train(memory, first, [0.5])
    assert memory.propose() is not None


def test_workers_that_die_once_something_trained_do_not(spec):
    memory = open_memory(spec(max_trials=10))
    train(memory, memory.propose().number, [0.5])
    for _ in range(5):
        memory.close(memory.propose().number, "died", FailureKind.WORKER)
    assert memory.propose() is not None


@pytest.mark.parametrize("searcher", ["grid", "random", "tpe"])
def test_no_configuration_is_proposed_twice(spec, searcher):
    memory = open_memory(spec(max_trials=50, searcher={"kind": searcher}), TINY)
    proposed = []
    while (proposal := memory.propose()) is not None:
        proposed.append(tuple(proposal.values.items()))
        train(memory, proposal.number, [0.5] * 9)
        memory.close(proposal.number)
    # Only enumeration knows that nothing is left.
    assert memory.ended == ("space exhausted" if searcher == "grid" else "no new configuration")
    assert len(proposed) == len(set(proposed)) <= 6
    if searcher == "grid":
        assert len(proposed) == 6
    assert memory.counted == len(proposed)
    duplicates = [t for t in memory.study.get_trials() if t.user_attrs.get("failure") == "duplicate"]
    assert duplicates
    assert all(trial.state is TrialState.FAIL for trial in duplicates)


def test_nothing_is_proposed_again_after_a_restart_either(spec):
    first = open_memory(spec(max_trials=50), TINY)
    tried = []
    for place in range(4):
        proposal = first.propose()
        tried.append(proposal.values)
        kind = FailureKind.INFEASIBLE if place % 2 else FailureKind.TRAINING
        first.close(proposal.number, "broke", kind)
    second = open_memory(spec(max_trials=50), TINY)
    while (proposal := second.propose()) is not None:
        assert proposal.values not in tried
        tried.append(proposal.values)


def test_the_default_configuration_is_the_first(spec):
    assert open_memory(spec(), TINY).propose().values == {"units": 1, "flag": False}


def test_known_configurations_come_first_once_and_get_defaults(spec):
    known = {
        "searcher": {"kind": "random", "known": [{"units": 2}, {"units": 3, "flag": True}, {"units": 2}]}
    }
    memory = open_memory(spec(**known), TINY)
    assert len(memory.study.trials) == 2
    assert memory.propose().values == {"units": 2, "flag": False}
    again = open_memory(spec(**known), TINY)
    assert len(again.study.trials) == 2
    assert [again.propose().values for _ in range(2)] == [
        {"units": 2, "flag": False},
        {"units": 3, "flag": True},
    ]
    third = again.propose().values
    assert third not in ({"units": 2, "flag": False}, {"units": 3, "flag": True})


def test_defaults_outside_their_ranges_are_no_first_trial_unless_named(spec):
    space = {
        "space": [entry("Int", "units", min_value=8, max_value=64, step=8, sampling="linear", default=9)]
    }
    assert open_memory(spec(), space).study.trials == []
    with pytest.raises(SpaceError, match=r"searcher.known\[0\], Int 'units'"):
        open_memory(spec(searcher={"kind": "random", "known": [{}]}), space)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"units": 4}, r"searcher.known\[1\], Choice 'units'"),
        ({"unit": 1}, r"searcher.known\[1\], hyperparameter 'unit': the space has no such name"),
    ],
)
def test_a_known_configuration_that_is_none_is_refused(spec, given, told):
    with pytest.raises(SpaceError, match=told):
        open_memory(spec(searcher={"kind": "random", "known": [{}, given]}), TINY)


def test_another_memory_of_the_same_folder_has_the_same_rungs(spec):
    first = open_memory(spec(max_trials=9))
    for place in range(6):
        proposal = first.propose()
        train(first, proposal.number, [0.1 * place, 0.2, 0.05 * place, 0.5])
    second = open_memory(spec(max_trials=9))
    assert second.rungs.brackets == first.rungs.brackets
    assert second.progressed == first.progressed


def test_another_memory_goes_on_with_what_was_left_running(spec):
    first = open_memory(spec(max_trials=3))
    running, untouched, done = (first.propose() for _ in range(3))
    train(first, running.number, [0.5, 0.6])
    train(first, done.number, [0.9])
    first.close(done.number)

    second = open_memory(spec(max_trials=3))
    assert second.running == 0
    assert [second.propose(), second.propose()] == [running, untouched]
    assert second.running == 2
    assert second.propose() is None
    # The last epochs again, from the checkpoint at rung 1, and then on.
    assert train(second, running.number, [0.6, 0.7, 0.8], first=2) is CONTINUE
    second.close(running.number)
    trial = stored(second, running.number)
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.8)
    assert trial.intermediate_values == {1: 0.5, 3: 0.7}


@pytest.mark.parametrize(
    ("values", "state", "value"),
    [
        ([0.3] * 9, TrialState.COMPLETE, 0.3),
        ([0.1], TrialState.PRUNED, 0.1),
        ([math.nan], TrialState.FAIL, None),
    ],
)
def test_another_memory_closes_what_its_last_epoch_had_decided(spec, values, state, value):
    first = open_memory(spec())
    leader, ended = first.propose().number, first.propose().number
    train(first, leader, [0.2])
    train(first, ended, values)
    second = open_memory(spec())
    assert (stored(second, ended).state, stored(second, ended).value) == (state, value)
    assert second.propose().number == leader


def test_a_kill_between_journal_and_study_loses_no_rung(spec):
    first = open_memory(spec())
    leader, behind = first.propose().number, first.propose().number
    train(first, leader, [0.9])
    row = {"trial": behind, "epoch": 1, "seconds": 0.5, "worker": "w", "val_accuracy": 0.2}
    EpochJournal(journal_path(first.spec.path)).append(row)
    second = open_memory(spec())
    trial = stored(second, behind)
    assert (trial.state, trial.value, trial.intermediate_values) == (TrialState.PRUNED, 0.2, {1: 0.2})


def test_a_proposal_that_was_cut_short_is_closed(spec):
    first = open_memory(spec())
    asked = first.study.ask()
    second = open_memory(spec())
    trial = stored(second, asked.number)
    assert (trial.state, trial.user_attrs["failure"]) == (TrialState.FAIL, FailureKind.WORKER)
    assert second.counted == 0
    assert second.propose().values == {"rate": 0.0001, "units": 8}  # The default, which was asked for first.


def test_a_resumed_sampler_does_not_draw_the_same_again(spec):
    first = open_memory(spec())
    drawn = [first.propose().values for _ in range(2)]
    for number in range(2):
        first.close(number, "broke")
    second = open_memory(spec())
    assert second.propose().values not in drawn


def test_the_same_seed_proposes_the_same(spec, tmp_path):
    def proposals(folder, seed):
        memory = open_memory(spec(folder=str(folder), seed=seed))
        return [memory.propose().values for _ in range(4)]

    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        (folder / "sweep").mkdir(parents=True)
    same, again, other = (proposals(folder, seed) for folder, seed in zip(folders, (1, 1, 2), strict=True))
    assert same == again != other


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_used_up_time_budget_starts_nothing_and_ends_what_runs(spec):
    clock = Clock()
    memory = open_memory(spec(time_budget="1m"), clock=clock)
    early, late, done = (memory.propose().number for _ in range(3))
    train(memory, early, [0.9, 0.8])
    train(memory, done, [0.95] * 9)
    clock.now += 59
    assert memory.budget.seconds_left == 1
    assert memory.goes_on(early, CONTINUE)
    clock.now += 2
    assert not memory.goes_on(early, CONTINUE)
    assert (memory.propose(), memory.ended) == (None, None)
    for number in (early, late, done):
        memory.close(number)
    assert (memory.propose(), memory.ended) == (None, "time budget")
    cut = stored(memory, early)
    assert (cut.state, cut.value, cut.last_step) == (TrialState.PRUNED, 0.9, 2)
    assert cut.user_attrs["reason"] == "time budget"
    assert stored(memory, done).state is TrialState.COMPLETE


def test_without_a_time_budget_there_is_no_end(spec):
    memory = open_memory(spec())
    assert memory.budget.seconds_left == math.inf
    assert memory.budget.spent is None


def test_a_budget_that_runs_out_does_not_stop_a_later_run(spec):
    clock = Clock()
    first = open_memory(spec(time_budget=5), clock=clock)
    left = first.propose()
    clock.now += 6
    assert first.propose() is None
    second = open_memory(spec(time_budget=5), clock=clock)
    assert second.propose() == left


def test_a_grid_over_a_range_without_a_step_is_refused(spec):
    with pytest.raises(UnsupportedSpaceError):
        open_memory(spec(searcher={"kind": "grid"}))


def test_the_best_trial_may_be_one_that_was_stopped(spec):
    memory = open_memory(spec(max_trials=9))
    numbers = [memory.propose().number for _ in range(4)]
    train(memory, numbers[0], [0.3] * 9)
    train(memory, numbers[1], [0.5, math.nan])
    train(memory, numbers[2], [0.5, 0.1, math.nan])
    memory.close(numbers[3], "broke")
    for number in numbers[:3]:
        memory.close(number)
    # Trial 2 tied with trial 1, was stopped for it at the first rung, and so took fewer epochs.
    assert best_trial(memory.study.get_trials(), memory.objective).number == numbers[2]
    assert best_trial([], memory.objective) is None


def test_the_study_opens_without_us(spec):
    memory = open_memory(spec())
    train(memory, memory.propose().number, [0.5] * 9)
    memory.close(0)
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(memory.spec.path / "study.journal"))
    )
    study = optuna.load_study(study_name="sweep", storage=storage)
    assert study.best_value == 0.5
    assert set(study.best_params) == {"rate", "units"}


def test_an_epoch_reported_again_is_in_the_journal_once_and_gets_its_verdict(spec):
    memory = open_memory(spec())
    numbers = [memory.propose().number for _ in range(2)]
    train(memory, numbers[0], [0.9])
    assert train(memory, numbers[1], [0.1]) is STOP
    assert train(memory, numbers[1], [0.1]) is STOP
    assert train(memory, numbers[0], [0.9]) is CONTINUE
    assert len(memory.history.journal.read()) == 2


def test_taking_up_again_keeps_the_checkpoints_of_all_that_still_run(spec):
    memory = open_memory(spec(max_trials=4))
    numbers = [memory.propose().number for _ in range(3)]
    train(memory, numbers[0], [0.9])
    train(memory, numbers[1], [0.1])  # stopped, and killed before it was closed
    for number in numbers:
        folder = spec().path / "checkpoints" / f"trial-{number:05d}"
        folder.mkdir(parents=True)
    resumed = open_memory(spec(max_trials=4))
    left = {path.name for path in (spec().path / "checkpoints").iterdir()}
    assert {f"trial-{numbers[0]:05d}", f"trial-{numbers[2]:05d}"} <= left
    assert resumed.propose().number == numbers[0]


def test_an_interrupted_search_has_no_end_of_its_own(spec):
    memory = open_memory(spec(max_trials=1))
    number = memory.propose().number
    train(memory, number, [0.5])
    assert (memory.propose(), memory.ended) == (None, None)
    memory.close(number)
    assert (memory.propose(), memory.ended) == (None, "max_trials")


def test_a_torn_study_is_repaired(spec):
    memory = open_memory(spec())
    number = memory.propose().number
    folder = SweepFolder(spec().path)
    with study_path(folder.path).open("ab") as file:
        file.write(b'{"op_code": 4, "worker')
    folder.repair()
    resumed = open_memory(spec())
    assert resumed.propose().number == number


def test_two_sweeps_of_one_name_in_a_database_are_two_studies(spec, tmp_path):
    storage = f"sqlite:///{tmp_path}/studies.db"
    first, second = (spec(storage=storage).with_study() for _ in range(2))
    assert first.study_name != second.study_name
    open_memory(first).propose()
    assert {trial.state for trial in open_memory(second).study.trials} == {TrialState.WAITING}
    # Kept in the sweep file, so that a resumed sweep finds its own.
    assert SweepSpec.parse(first.model_dump(mode="json")).study_name == first.study_name


PROMOTION = {"variant": "promotion", "eta": 3, "max_epochs": 9}


def run_to_the_end(memory, value_of, workers=1, most=1000):
    """Trains whatever is proposed, a few at a time; the order in which trials were handed out."""
    handed, running = [], []
    for _ in range(most):
        while len(running) < workers and (proposal := memory.propose()) is not None:
            handed.append(proposal.number)
            running.append(proposal.number)
        if not running:
            return handed
        number = running.pop(0)
        epoch = memory.progressed[number].epoch if number in memory.progressed else 0
        while memory.goes_on(number, train(memory, number, [value_of(number, epoch + 1)], first=epoch + 1)):
            epoch += 1
        memory.close(number)
    raise AssertionError("it does not end")


@pytest.mark.parametrize("workers", [1, 3])
def test_paused_trials_advance_and_one_is_trained_to_its_end(spec, workers):
    memory = open_memory(spec(max_trials=12, scheduler=PROMOTION))
    handed = run_to_the_end(memory, lambda number, epoch: number / 100, workers)
    assert memory.ended == "max_trials"
    states = {trial.number: trial.state for trial in memory.study.get_trials(deepcopy=False)}
    # Of 12 four come to rung 3 and one of these to the end; the best one advances as soon as it is known to be.
    assert states[11] is TrialState.COMPLETE
    assert memory.rungs.brackets[0][0].values.keys() == set(range(12))
    assert len(memory.rungs.brackets[0][1].values) >= 4
    assert set(states.values()) == {TrialState.COMPLETE, TrialState.PRUNED}
    assert (memory.running, memory.paused) == (0, 0)
    assert sorted(set(handed)) == list(range(12))


def test_few_paused_trials_are_not_left_without_a_winner_at_full_length(spec):
    memory = open_memory(spec(max_trials=2, scheduler=PROMOTION))
    handed = run_to_the_end(memory, lambda number, epoch: 0.5 - number / 10)
    assert handed == [0, 1, 0, 0]
    assert [trial.state for trial in memory.study.trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    assert stored(memory, 1).user_attrs["reason"] == "stopped at rung 1"


def test_the_sampler_sees_paused_trials_as_pruned_and_nobody_else_does(spec):
    memory = open_memory(spec(max_trials=9, scheduler=PROMOTION))
    number = memory.propose().number
    train(memory, number, [0.3])
    memory.close(number)
    assert memory.paused == 1
    assert stored(memory, number).state is TrialState.RUNNING
    seen = memory.sampler._view.get_trials(deepcopy=False)[number]
    assert (seen.state, seen.intermediate_values) == (TrialState.PRUNED, {1: 0.3})
    running = memory.propose().number
    assert memory.sampler._view.get_trials(deepcopy=False)[running].state is TrialState.RUNNING


def test_paused_and_advanced_trials_are_as_they_were_after_a_restart(spec):
    options = {"max_trials": 9, "scheduler": PROMOTION}
    first = open_memory(spec(**options))
    numbers = [first.propose().number for _ in range(4)]
    for number, value in zip(numbers, [0.1, 0.2, 0.3, 0.15], strict=True):
        if train(first, number, [value]) is Decision.PAUSE:
            first.close(number)
    # The third of three was the best and went on at once; the fourth pauses.
    assert [first.rungs.rung_of(number).decisions[number] for number in numbers] == [
        Decision.PAUSE,
        Decision.PAUSE,
        CONTINUE,
        Decision.PAUSE,
    ]
    second = open_memory(spec(**options))
    assert second.rungs.brackets == first.rungs.brackets
    assert second.progressed == first.progressed
    assert second.paused == 3
    assert second.propose().number == numbers[2]


def test_a_trial_that_advanced_just_before_a_kill_goes_on(spec):
    options = {"max_trials": 9, "scheduler": PROMOTION}
    first = open_memory(spec(**options))
    for value in (0.3, 0.1, 0.2):
        number = first.propose().number
        train(first, number, [value])
        first.close(number)
    assert first.propose().number == 0  # advanced; killed before its next epoch
    second = open_memory(spec(**options))
    assert second.rungs.brackets == first.rungs.brackets
    assert second.paused == 2
    assert second.propose().number == 0


def test_a_trial_whose_worker_is_lost_goes_on_as_often_as_retries_allow(spec):
    memory = open_memory(spec(max_trials=1, retries=2))
    number = memory.propose().number
    train(memory, number, [0.5])
    for _ in range(2):
        memory.lost(number, "killed")
        assert memory.running == 0
        assert memory.propose().number == number
    memory.go_on_later(number)  # For no fault of its own: that is not counted.
    assert memory.propose().number == number
    memory.lost(number, "killed", FailureKind.HUNG)
    trial = stored(memory, number)
    assert (trial.state, trial.user_attrs["failure"]) == (TrialState.FAIL, "hung")
    assert trial.user_attrs["reason"].startswith("3 times, which is more often than `retries` allows: killed")
    assert (memory.propose(), memory.ended) == (None, "max_trials")


def test_lost_workers_are_counted_over_restarts(spec):
    first = open_memory(spec(retries=1))
    number = first.propose().number
    first.lost(number, "killed")
    second = open_memory(spec(retries=1))
    assert second.propose().number == number
    second.lost(number, "killed")
    assert stored(second, number).state is TrialState.FAIL


def test_lost_nodes_use_up_no_retry_as_long_as_the_trial_gets_further(spec):
    memory = open_memory(spec(max_trials=1, retries=0))
    number = memory.propose().number
    for epoch in range(2):
        for _ in range(3):
            memory.lost_node(number, "node gone")
            assert memory.propose().number == number
        train(memory, number, [0.5], first=epoch + 1)
    memory.lost_node(number, "node gone")
    # A new process knows how far the trial had come.
    again = open_memory(spec(max_trials=1, retries=0))
    for _ in range(2):
        assert again.propose().number == number
        again.lost_node(number, "node gone")
    assert again.propose().number == number
    again.lost_node(number, "node gone")
    trial = stored(again, number)
    assert (trial.state, trial.user_attrs["failure"]) == (TrialState.FAIL, "worker")
    assert trial.user_attrs["reason"] == "node gone"


@pytest.mark.parametrize(
    ("budget", "values", "ended"),
    [
        ({"epoch_budget": 4}, [0.1] * 9, "epoch budget"),
        ({"target": 0.45}, [0.1, 0.2, 0.3, 0.45, 0.5], "target reached"),
        ({"plateau": {"top": 3, "std": 0.01}}, [0.1, 0.3, 0.305, 0.31], "plateau"),
    ],
)
def test_a_used_up_budget_ends_the_sweep_and_is_named(spec, budget, values, ended):
    memory = open_memory(spec(scheduler={"kind": "none"}, **budget))
    number = memory.propose().number
    trained = 0
    for epoch, value in enumerate(values, start=1):
        trained += 1
        if not memory.goes_on(number, train(memory, number, [value], first=epoch)):
            break
    assert trained == 4
    memory.close(number)
    assert (memory.propose(), memory.ended) == (None, ended)
    assert stored(memory, number).user_attrs["reason"] == ended
    # Epochs count over all runs of a sweep.
    assert open_memory(spec(scheduler={"kind": "none"}, **budget)).propose() is None


def test_a_target_of_a_loss_is_reached_from_above(spec):
    memory = open_memory(spec(target=0.5, objective={"metric": "val_accuracy", "mode": "min"}))
    number = memory.propose().number
    assert memory.goes_on(number, train(memory, number, [0.6]))
    assert not memory.goes_on(number, train(memory, number, [0.4], first=2))


def test_a_trial_that_takes_too_long_ends_with_its_result(spec):
    memory = open_memory(spec(limits={"trial": 1.5}, scheduler={"kind": "none"}))
    number = memory.propose().number
    decisions = [memory.goes_on(number, train(memory, number, [0.1 * n], first=n)) for n in (1, 2, 3)]
    assert decisions == [True, True, False]
    memory.close(number)
    trial = stored(memory, number)
    assert (trial.state, trial.user_attrs["reason"]) == (TrialState.PRUNED, "limit of 1.5 s a trial")


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_stated_share_of_proposals_is_random(spec, share):
    memory = open_memory(spec(max_trials=60, searcher={"kind": "tpe", "random_share": share, "known": []}))
    sampler = memory.sampler
    drawn = []
    for _ in range(60):
        number = memory.propose().number
        drawn.append(sampler._view.sampler is sampler._random)
        memory.close(number, "broke")
    assert share * 60 - 10 <= sum(drawn) <= share * 60 + 10
    assert (share == 0) == (not any(drawn))


def test_an_end_before_the_first_epoch_is_told_as_such_and_not_counted(spec):
    memory = open_memory(spec(max_trials=2, epoch_budget=1))
    first, second = (memory.propose().number for _ in range(2))
    train(memory, first, [0.5])
    memory.close(first)
    memory.lost(second, "killed")
    assert (memory.propose(), memory.ended) == (None, "epoch budget")
    assert stored(memory, second).user_attrs["failure"] == FailureKind.CUT_SHORT
    assert memory.counted == 1
