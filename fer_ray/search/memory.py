"""A sweep's memory: an Optuna study, the journal of epochs, and the rungs replayed from it.

The searcher and the scheduler are thin adapters over it, so that every proposal and every verdict is on disk
before Tune acts on it. A new process that opens the same folder and study knows all that this one knew.
"""

import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from fer_ray.errors import SpaceError
from fer_ray.results.journal import EpochJournal
from fer_ray.search.folder import checkpoint_folders, journal_path
from fer_ray.search.rungs import Decision, Rungs
from fer_ray.search.spec import SweepSpec
from fer_ray.search.study import (
    FailureKind,
    Progressed,
    best_trial,
    open_study,
    tell_complete,
    tell_failed,
    tell_pruned,
    values_of,
)
from fer_ray.spaces import Space, Values
from fer_ray.spaces.optuna_bridge import VALUES_ATTRIBUTE, params_of, suggest
from fer_ray.spaces.samplers import make_sampler

#: Configurations that cannot be built, per trial that was asked for, before a sweep gives up on its space.
INFEASIBLE_PER_TRIAL = 10
_DUPLICATES_IN_A_ROW = 20
#: Trials that lost their workers before any trial has trained an epoch: the fault is then not the trials'.
_LOST_AT_FIRST = 3


@dataclass(frozen=True)
class Proposal:
    """A trial to train: Optuna's number and the active hyperparameters."""

    number: int
    values: Values


class SweepMemory:
    """Proposes, records and closes trials.

    Args:
        spec: The sweep.
        space: What was discovered.
        storage: Of the study.

    Raises:
        SpaceError: If a known configuration is none of the space.
        UnsupportedSpaceError: If the sampler cannot express the space.
    """

    def __init__(self, spec: SweepSpec, space: Space, storage: BaseStorage) -> None:
        self.spec, self.space, self.objective = spec, space, spec.goal
        self.study = open_study(spec, storage)
        done = len(self.study.get_trials(deepcopy=False))
        # A sampler's random state is not in the storage: a resumed one must not draw what the first has drawn.
        sampler_seed = (spec.seed + 7919 * done) % 2**31
        self.study.sampler = make_sampler(spec.searcher.kind, space, sampler_seed, **spec.searcher.options)
        eta = spec.scheduler.eta if spec.scheduler.kind == "asha" else None
        self.rungs = Rungs(
            max_epochs=spec.scheduler.max_epochs,
            mode=self.objective.mode,
            eta=eta,
            grace=spec.scheduler.grace,
        )
        self.journal = EpochJournal(journal_path(spec.path))
        self.deadline = time.monotonic() + spec.time_budget if spec.time_budget else None
        self.ended: str | None = None
        self.broken: Exception | None = None
        self.progressed: dict[int, Progressed] = {}
        self._open: dict[int, optuna.Trial] = {}
        self._keys = {space.configuration_key(values_of(trial)) for trial in self._proposed()}
        for record in self.journal.read():
            self._decide(record["trial"], record["epoch"], record.get(self.objective.metric))
        self._unfinished = self._reopen()
        self._lost_before = self._failures(FailureKind.WORKER)
        self._enqueue_known()

    def propose(self) -> Proposal | None:
        """The next trial: one that an earlier process left unfinished, or the sampler's choice.

        Returns:
            None once the sweep shall start no more trials; `ended` then says why. Also None, and `ended` None,
            while it depends on running trials: whether their models can be built, whether any worker can train.
        """
        if self.ended is None:
            self.ended = self._end_reason()
        all_proposed = self.counted >= self.spec.max_trials and not self._unfinished
        if self.ended is not None or all_proposed or self._no_worker_trains():
            return None
        if self._unfinished:
            return self._unfinished.pop(0)
        for _ in range(_DUPLICATES_IN_A_ROW):
            trial = self.study.ask()
            values = suggest(self.space, trial)
            trial.set_user_attr(VALUES_ATTRIBUTE, values)
            key = self.space.configuration_key(values)
            if key not in self._keys:
                self._keys.add(key)
                self._open[trial.number] = trial
                return Proposal(trial.number, values)
            reason = "the same configuration was trained before"
            tell_failed(trial, Progressed(), FailureKind.DUPLICATE, reason)
        self.ended = "space exhausted" if self.spec.searcher.kind == "grid" else "no new configuration"
        return None

    def record_epoch(self, result: dict[str, Any]) -> Decision:
        """Writes an epoch to the journal and decides what becomes of the trial.

        Args:
            result: `trial`, `epoch`, `seconds`, `worker` and the epoch's metrics; an epoch that is in the journal
                already, since its trial was taken up again, gets the verdict that it had.
        """
        number, epoch = result["trial"], result["epoch"]
        if epoch <= self.progressed.get(number, Progressed()).epoch:
            return self._decide(number, epoch, result.get(self.objective.metric))
        self.journal.append({**result, "timestamp": datetime.now(UTC).isoformat()})
        decision = self._decide(number, epoch, result.get(self.objective.metric))
        rung = self.rungs.rung_of(number)
        if rung is not None and rung.arrivals[number] == epoch:
            self._open[number].report(rung.values[number], rung.epoch)
        return decision

    def close(self, number: int, failed: str | None = None, kind: FailureKind = FailureKind.TRAINING) -> None:
        """Tells the study how a trial ended: COMPLETE, PRUNED at its last rung, or FAIL with its reason."""
        trial = self._open.pop(number)
        seen = self.progressed.get(number, Progressed())
        if failed is not None:
            tell_failed(trial, seen, kind, failed)
        elif seen.decision is Decision.DIVERGED and seen.best is None:
            tell_failed(trial, seen, FailureKind.DIVERGED, f"{self.objective.metric} was not finite")
        elif seen.best is None:
            tell_failed(trial, seen, FailureKind.TRAINING, "fit reported no epoch")
        elif seen.decision in (Decision.STOP, Decision.DIVERGED) or self._cut_short(seen):
            rung = self.rungs.rung_of(number)
            tell_pruned(trial, seen, rung.epoch if rung else None)
        else:
            tell_complete(trial, seen)
        self._delete_losers()

    def winner(self) -> FrozenTrial | None:
        """The best trial so far of those that have ended."""
        return best_trial(self.study.get_trials(deepcopy=False), self.objective)

    @property
    def running(self) -> int:
        """Trials proposed and not yet closed."""
        return len(self._open) - len(self._unfinished)

    @property
    def closed(self) -> int:
        """Trials that count against `max_trials` and have ended."""
        return self.counted - len(self._open)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Keeps an error that Tune would turn into a traceback, so that the sweep can raise it itself."""
        try:
            yield
        except Exception as error:
            self.broken = self.broken or error
            raise

    def interrupt(self) -> None:
        """Takes note that the search has stopped; with trials open, it was not for a reason of its own."""
        if self._open:
            self.ended = None

    @property
    def counted(self) -> int:
        """Trials that count against `max_trials`, running ones too."""
        return len(self._counted())

    @property
    def seconds_left(self) -> float:
        """Of the time budget; infinite without one."""
        return math.inf if self.deadline is None else max(self.deadline - time.monotonic(), 0.0)

    def out_of_time(self) -> bool:
        """Whether the time budget is used up, which ends running trials too."""
        if self.seconds_left == 0:
            self.ended = self.ended or "time budget"
        return self.seconds_left == 0

    def _decide(self, number: int, epoch: int, value: float | None) -> Decision:
        seen = self.progressed.setdefault(number, Progressed())
        if value is not None and self.objective.better(value, seen.best):
            seen.best, seen.best_epoch = value, epoch
        finite = value is not None and math.isfinite(value)
        seen.epoch = max(epoch, seen.epoch)
        seen.decision = self.rungs.record(number, epoch, seen.best if finite else value)
        return seen.decision

    def _end_reason(self) -> str | None:
        if self.seconds_left == 0:
            return "time budget"
        infeasible = self._failures(FailureKind.INFEASIBLE)
        built = sum(trial.state.is_finished() or trial.number in self.progressed for trial in self._counted())
        if built >= self.spec.max_trials and not self._unfinished:
            return "max_trials"
        if self._no_worker_trains() and not self.running:
            return (
                f"{_LOST_AT_FIRST} trials whose workers failed or died before any epoch; Ray's logs say why"
            )
        if infeasible >= INFEASIBLE_PER_TRIAL * self.spec.max_trials:
            return f"{infeasible} configurations could not be built"
        return None

    def _counted(self) -> list[FrozenTrial]:
        """Trials that count against `max_trials`: all but those that never trained."""
        free = (FailureKind.INFEASIBLE, FailureKind.DUPLICATE)
        return [trial for trial in self._proposed() if trial.user_attrs.get("failure") not in free]

    def _proposed(self) -> list[FrozenTrial]:
        """Trials with a configuration, whatever became of them."""
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if VALUES_ATTRIBUTE in trial.user_attrs]

    def _no_worker_trains(self) -> bool:
        """Whether trials of this process lost their workers again and again, and none has trained an epoch."""
        lost = self._failures(FailureKind.WORKER) - self._lost_before
        return not self.progressed and lost >= _LOST_AT_FIRST

    def _failures(self, kind: FailureKind) -> int:
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        return sum(trial.user_attrs.get("failure") == kind for trial in trials)

    def _enqueue_known(self) -> None:
        """Puts the known configurations before the sampler's, unless an earlier process has."""
        known = self.spec.searcher.known
        for place, given in enumerate([{}] if known is None else known):
            try:
                values = self.space.check({**self.space.complete(given), **given})
            except SpaceError as error:
                if known is None:  # Keras Tuner takes defaults outside their ranges; nobody named this one.
                    return
                raise SpaceError(
                    f"searcher.known[{place}], {error.where}", error.rule, error.received
                ) from error
            self.study.enqueue_trial(params_of(self.space, values)[0], skip_if_exists=True)

    def _reopen(self) -> list[Proposal]:
        """Trials that an earlier process left RUNNING: closed if they had ended, proposed again if not."""
        left = []
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        # All of them first: closing one deletes the checkpoints of trials that are not open.
        self._open = {frozen.number: optuna.Trial(self.study, frozen._trial_id) for frozen in running}
        for frozen in running:
            self._report_rungs(self._open[frozen.number], frozen)
            decision = self.progressed.get(frozen.number, Progressed()).decision
            if VALUES_ATTRIBUTE not in frozen.user_attrs:
                self.close(frozen.number, "its proposal was cut short", FailureKind.WORKER)
                if (known := frozen.system_attrs.get("fixed_params")) is not None:
                    self.study.enqueue_trial(known)
            elif decision is not Decision.CONTINUE:
                self.close(frozen.number)
            else:
                left.append(Proposal(frozen.number, values_of(frozen)))
        return left

    def _report_rungs(self, trial: optuna.Trial, frozen: FrozenTrial) -> None:
        """Tells the study the rungs that only the journal knows, since a kill came between the two."""
        for rung in self.rungs.rungs:
            if frozen.number in rung.values and rung.epoch not in frozen.intermediate_values:
                trial.report(rung.values[frozen.number], rung.epoch)

    def _cut_short(self, seen: Progressed) -> bool:
        return self.seconds_left == 0 and seen.decision is not Decision.FINISHED

    def _delete_losers(self) -> None:
        """Keeps the checkpoints of the best trial and of those that still run."""
        best = self.winner()
        keep = {*self._open, *([best.number] if best else [])}
        for number, folder in checkpoint_folders(self.spec.path):
            if number not in keep:
                shutil.rmtree(folder, ignore_errors=True)
