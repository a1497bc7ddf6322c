"""A sweep's memory: an Optuna study, the journal of epochs, and the rungs replayed from it.

The searcher and the scheduler are thin adapters over it, so that every proposal and every verdict is on disk
before Tune acts on it. A new process that opens the same folder and study knows all that this one knew.

A trial is open from its proposal until it is closed in the study. Meanwhile it runs, is paused at a rung, or
waits to go on because its worker was lost or an earlier process ended: `propose` hands it out again.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from fer_ray.errors import SweepError
from fer_ray.results.journal import EpochJournal
from fer_ray.search.best_checkpoints import BestCheckpoints
from fer_ray.search.budget import Clock
from fer_ray.search.folder import journal_path
from fer_ray.search.history import History
from fer_ray.search.proposals import Proposal, Proposals, is_proposal
from fer_ray.search.rungs import Decision, Rung
from fer_ray.search.spec import SweepSpec
from fer_ray.search.study import (
    UNCOUNTED,
    FailureKind,
    Progressed,
    best_trial,
    open_study,
    tell_complete,
    tell_failed,
    tell_pruned,
    tell_rungs,
    values_of,
    violations_of,
)
from fer_ray.search.warm_start import add_earlier
from fer_ray.spaces import Space

#: Infeasible configurations, per trial that was asked for, before a sweep gives up on its space.
INFEASIBLE_PER_TRIAL = 10
#: Trials that lost their workers before any trial has trained an epoch: the fault is then not the trials'.
_LOST_AT_FIRST = 3
#: The user attribute of an Optuna trial that counts the workers it has lost.
_LOST_ATTRIBUTE = "lost_workers"
#: The one that keeps how many nodes a trial has lost since it last got further, and how far it had come.
_NODES_ATTRIBUTE = "lost_nodes"
#: Nodes that a trial may lose in a row, without getting further, before that uses up its retries.
_NODES_IN_A_ROW = 3


class SweepMemory:
    """Proposes, records and closes trials.

    Args:
        spec: The sweep.
        space: What was discovered.
        storage: Of the study.
        earlier: Trials of earlier sweeps, for the sampler to learn from.
        journal: Of epochs; the one in the sweep's folder if None.
        clock: Tells the time.

    Attributes:
        failures: How many trials failed, by kind.
        ends: How many were told to the study with a result, COMPLETE or PRUNED.

    Raises:
        SpaceError: If a known configuration is none of the space.
        UnsupportedSpaceError: If the sampler cannot express the space.
        SweepError: If the study lacks trials that the journal has.
    """

    def __init__(
        self,
        spec: SweepSpec,
        space: Space,
        storage: BaseStorage,
        *,
        earlier: Iterable[FrozenTrial] = (),
        journal: EpochJournal | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.spec, self.objective = spec, spec.goal
        self.study = open_study(spec, storage)
        self.history = History(spec, journal or EpochJournal(journal_path(spec.path)), clock)
        self.rungs, self.budget = self.history.rungs, self.history.budget
        self.progressed = self.history.progressed
        self._require_all_trials()
        add_earlier(self.study, earlier)
        self.ended: str | None = None
        self.broken: Exception | None = None
        self._open: dict[int, optuna.Trial] = {}
        self._running: set[int] = set()
        self._waiting: list[Proposal] = []
        self._proposals: dict[int, Proposal] = {}
        self.failures: Counter[FailureKind] = Counter()
        self._failed: set[int] = set()
        self.ends: Counter[TrialState] = Counter()
        self._checkpoints = BestCheckpoints(spec, self.history)
        self.sampler = Proposals(spec, space, self.study, storage, self._paused)
        self._reopen()
        self._lost_before = self._lost()

    def propose(self) -> Proposal | None:
        """The next trial: one that waits to go on, one that advances past its rung, or a new one.

        Returns:
            None once the sweep shall start no more trials; `ended` then says why, and every trial is closed. Also
            None, and `ended` None, while it depends on running trials: whether their models can be built, whether
            any worker can train, who advances.
        """
        if self.ended is None and (reason := self._end_reason()) is not None:
            if self._running:
                return None
            self._end(reason)
        if self.ended is not None:
            return None
        proposal = self._to_go_on() or self._new()
        if proposal is None and not self._running:
            self._end(self._no_more())
        elif proposal is not None:
            self._running.add(proposal.number)
        return proposal

    def record_epoch(self, result: dict[str, Any]) -> Decision:
        """Writes an epoch to the journal and decides what becomes of the trial.

        Args:
            result: `trial`, `epoch`, `seconds`, `worker` and the epoch's metrics; an epoch that is in the journal
                already, since its trial was taken up again, gets the verdict that now holds for it.
        """
        number, epoch = result["trial"], result["epoch"]
        again = epoch <= self.history.of(number).epoch
        decision = self.history.record(result)
        rung = self.rungs.rung_of(number)
        if not again and rung is not None and rung.arrivals[number] == epoch:
            tell_rungs(
                self._open[number], self.history.of(number), self.rungs.values_of(number), {rung.epoch}
            )
        return decision

    def goes_on(self, number: int, decision: Decision) -> bool:
        """Whether a trial trains another epoch now."""
        limit = self.spec.limits.trial
        too_long = limit is not None and self.progressed[number].seconds >= limit
        return decision is Decision.CONTINUE and not too_long and self.budget.spent is None

    def close(
        self,
        number: int,
        failed: str | None = None,
        kind: FailureKind = FailureKind.TRAINING,
        measures: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Takes back a trial that runs no more: paused at its rung, or closed in the study.

        Args:
            number: The trial's.
            failed: Why it has no result; None if it ended by itself, was stopped or paused.
            kind: Of the failure.
            measures: Of its model, where that broke a constraint.
        """
        self._running.discard(number)
        seen = self.history.of(number)
        if failed is not None:
            self._fail(number, kind, failed, measures)
        elif seen.best is None and seen.epoch:
            metrics = " or ".join(goal.metric for goal in self.spec.goals)
            self._fail(number, FailureKind.DIVERGED, f"{metrics} was not finite")
        elif seen.best is None:
            self._fail(number, FailureKind.TRAINING, "fit reported no epoch")
        elif seen.decision is not Decision.PAUSE:
            self._close_with_result(number, seen)

    def lost(self, number: int, reason: str, kind: FailureKind = FailureKind.WORKER) -> None:
        """Takes back a trial whose worker was lost: it goes on elsewhere, as often as `retries` allows.

        Args:
            number: The trial's.
            reason: What is known of the worker's end.
            kind: Of the failure, should it be one too many.
        """
        trial = self._open[number]
        lost = trial.user_attrs.get(_LOST_ATTRIBUTE, 0) + 1
        trial.set_user_attr(_LOST_ATTRIBUTE, lost)
        if lost > self.spec.retries:
            times = f"{lost} times, which is more often than `retries` allows: " if self.spec.retries else ""
            self.close(number, f"{times}{reason}", kind)
        else:
            self.go_on_later(number)

    def lost_node(self, number: int, reason: str) -> None:
        """Takes back a trial whose whole node was lost, which uses up no retry.

        Unless it has lost several in a row without getting further: it may be the one that brings them down.

        Args:
            number: The trial's.
            reason: What is known of the node's end.
        """
        trial, epoch = self._open[number], self.history.of(number).epoch
        before = trial.user_attrs.get(_NODES_ATTRIBUTE, {})
        lost = before["lost"] + 1 if before.get("epoch") == epoch else 1
        trial.set_user_attr(_NODES_ATTRIBUTE, {"epoch": epoch, "lost": lost})
        if lost > _NODES_IN_A_ROW:
            self.lost(number, reason)
        else:
            self.go_on_later(number)

    def go_on_later(self, number: int) -> None:
        """Takes back a running trial that shall go on from its checkpoint, for no fault of its own."""
        self._running.discard(number)
        self._waiting.append(self._proposals[number])

    def winner(self) -> FrozenTrial | None:
        """The best trial so far of those that have ended."""
        return best_trial(self.trials(), self.objective)

    @property
    def running(self) -> int:
        """Trials that were handed out and not taken back."""
        return len(self._running)

    @property
    def paused(self) -> int:
        """Trials that are paused at a rung."""
        return len(self._paused())

    @property
    def counted(self) -> int:
        """Trials that count against `max_trials`: all but those that never trained; running ones too."""
        return len(self._proposals) - sum(self.failures[kind] for kind in UNCOUNTED)

    def trials(self) -> list[FrozenTrial]:
        """The sweep's own trials as the study has them."""
        return [trial for trial in self.study.get_trials(deepcopy=False) if is_proposal(trial)]

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

    def _to_go_on(self) -> Proposal | None:
        if self._waiting:
            return self._waiting.pop(0)
        last = not self._running and not self.ends[TrialState.COMPLETE] and self._all_proposed()
        due = self.rungs.due(last=last)
        if due is None:
            return None
        self.history.advance(due)
        return self._proposals[due]

    def _new(self) -> Proposal | None:
        if self._all_proposed():
            return None
        asked = self.sampler.ask()
        if asked is None:
            return None
        trial, values = asked
        self._open[trial.number] = trial
        self._proposals[trial.number] = Proposal(trial.number, values)
        return self._proposals[trial.number]

    def _all_proposed(self) -> bool:
        return self.counted >= self.spec.max_trials

    def _end_reason(self) -> str | None:
        """What ends the sweep although there is more to train."""
        if (spent := self.budget.spent) is not None:
            return spent
        lost = self._lost() - self._lost_before
        if not self.progressed and lost >= _LOST_AT_FIRST:
            return f"{lost} trials whose workers failed or died before any epoch; Ray's logs say why"
        infeasible = self.failures[FailureKind.INFEASIBLE]
        if infeasible >= INFEASIBLE_PER_TRIAL * self.spec.max_trials:
            return f"{infeasible} infeasible configurations"
        return None

    def _lost(self) -> int:
        """Trials that failed since their workers were lost too often, whatever those died of."""
        return sum(self.failures[kind] for kind in (FailureKind.WORKER, FailureKind.MEMORY, FailureKind.HUNG))

    def _no_more(self) -> str:
        """Why there is nothing left to train."""
        if self._all_proposed():
            return "max_trials"
        return "space exhausted" if self.spec.searcher.kind == "grid" else "no new configuration"

    def _end(self, reason: str) -> None:
        """Closes the trials that will not go on."""
        self.ended = reason
        self._waiting.clear()
        for number in sorted(self._open):
            seen = self.history.of(number)
            if seen.best is None:
                self._fail(number, FailureKind.CUT_SHORT, f"the sweep ended: {reason}")
            else:
                self._close_with_result(number, seen)

    def _close_with_result(self, number: int, seen: Progressed) -> None:
        trial, rung = self._open.pop(number), self.rungs.rung_of(number)
        reason = self._why_early(seen, rung)
        if reason is None:
            tell_complete(trial, seen)
        else:
            tell_pruned(trial, seen, reason, at_rung=rung is not None and rung.arrivals[number] == seen.epoch)
        self.ends[TrialState.PRUNED if reason else TrialState.COMPLETE] += 1
        self._checkpoints.ended(number)

    def _why_early(self, seen: Progressed, rung: Rung | None) -> str | None:
        """Why a trial ended before its last epoch; None if it was trained to its end, or ended of itself."""
        limit = self.spec.limits.trial
        match seen.decision:
            case Decision.STOP | Decision.PAUSE:
                return f"stopped at rung {rung.epoch}" if rung else f"below the median at epoch {seen.epoch}"
            case Decision.DIVERGED:
                return "diverged"
            case Decision.FINISHED:
                return None
        if limit is not None and seen.seconds >= limit:
            return f"limit of {limit:g} s a trial"
        return self.ended or self.budget.spent

    def _fail(
        self,
        number: int,
        kind: FailureKind,
        reason: str,
        measures: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        seen = self.history.of(number)
        seen.measures |= measures
        violations = violations_of(seen.measures, self.spec.constraints.limits)
        tell_failed(self._open.pop(number), seen, kind, reason, violations)
        if number in self._proposals:
            self.failures[kind] += 1
        self.rungs.pass_over(number)
        self._failed.add(number)
        self._checkpoints.delete(number)

    def best_so_far(self) -> tuple[int | None, float | None]:
        """Number and value of the best trial, running ones included and failed ones not; None before any epoch."""
        number, value = None, None
        for candidate, seen in sorted(self.progressed.items()):
            if (
                candidate not in self._failed
                and seen.best is not None
                and self.objective.better(seen.best, value)
            ):
                number, value = candidate, seen.best
        return number, value

    def _paused(self) -> set[int]:
        waiting = {proposal.number for proposal in self._waiting}
        return self._open.keys() - self._running - waiting

    def _require_all_trials(self) -> None:
        numbers = {trial.number for trial in self.study.get_trials(deepcopy=False)}
        if missing := self.progressed.keys() - numbers:
            rule, remedy = "must have all trials of the sweep's journal", "Give the storage that has them"
            raise SweepError(f"study {self.study.study_name}", rule, f"no trial {min(missing)}", remedy)

    def _reopen(self) -> None:
        """Takes up what an earlier process left RUNNING: closed if it had ended, to go on if not."""
        trials = self.study.get_trials(deepcopy=False)
        running = [trial for trial in trials if trial.state is TrialState.RUNNING]
        self._open = {trial.number: optuna.Trial(self.study, trial._trial_id) for trial in running}
        for trial in trials:
            if is_proposal(trial):
                self._proposals[trial.number] = Proposal(trial.number, values_of(trial))
                if trial.state.is_finished():
                    self._know(trial)
        for trial in running:
            self._take_up(trial)
        self._checkpoints.delete_others(self._open)

    def _know(self, trial: FrozenTrial) -> None:
        """Takes note of a trial that an earlier process has closed."""
        self.rungs.pass_over(trial.number)
        if (failure := trial.user_attrs.get("failure")) == FailureKind.DUPLICATE:
            del self._proposals[trial.number]
        elif failure is not None:
            self.failures[FailureKind(failure)] += 1
            self._failed.add(trial.number)
        elif "best_value" in trial.user_attrs:
            self.ends[trial.state] += 1
            self._checkpoints.ended(trial.number)

    def _take_up(self, trial: FrozenTrial) -> None:
        """Takes up a trial that an earlier process left RUNNING."""
        # A kill may have come between the journal and the study.
        seen, rungs = self.history.of(trial.number), self.rungs.values_of(trial.number)
        tell_rungs(self._open[trial.number], seen, rungs, rungs.keys() - trial.intermediate_values.keys())
        if not is_proposal(trial):
            self._fail(trial.number, FailureKind.WORKER, "its proposal was cut short")
            if (known := trial.system_attrs.get("fixed_params")) is not None:
                self.study.enqueue_trial(known)
        elif self.history.of(trial.number).decision is Decision.CONTINUE:
            self._waiting.append(self._proposals[trial.number])
        else:
            self.close(trial.number)
