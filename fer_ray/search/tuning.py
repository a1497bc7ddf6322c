"""The one place that runs Ray Tune: its settings, its quiet, its signals."""

import logging
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fer_ray.errors import FerRayError, SweepError
from fer_ray.search.folder import SweepFolder
from fer_ray.search.memory import SweepMemory
from fer_ray.search.spec import SweepSpec
from fer_ray.search.status import StatusWatcher
from fer_ray.search.trainable import TrialWorker, WorkerSetup


def search_with_tune(
    folder: SweepFolder,
    spec: SweepSpec,
    memory: SweepMemory,
    watcher: StatusWatcher,
    setup: WorkerSetup,
    reference: Any,
) -> None:
    """Trains the memory's proposals on Ray Tune until it proposes no more, or Ctrl-C.

    Args:
        folder: The sweep's.
        spec: The sweep.
        memory: Asked and told of everything.
        watcher: Its callback.
        setup: The trials'.
        reference: Ray's, to the trials' data.

    Raises:
        SweepError: If the memory could not write, as on a full disk.
    """
    # Tune replaces these two and leaves them so: the next Ctrl-C would be swallowed.
    own_signals = _handlers_kept(signal.SIGINT, signal.SIGUSR1)
    with own_signals, tune_environment(spec.max_trials), _quiet_tune(), _lost_for_lack_of_memory():
        shutil.rmtree(folder.tune, ignore_errors=True)
        tuner = _tuner(folder, spec, memory, watcher, setup, reference)
        try:
            tuner.fit()
        except Exception as error:  # Tune wraps some of what its parts raise, and hands on the rest
            if memory.broken is None:
                raise
            if isinstance(memory.broken, FerRayError):
                raise memory.broken from error
            reason = f"{type(memory.broken).__name__}: {memory.broken}"
            raise SweepError(f"sweep {folder.path}", "must be able to keep its results", reason) from error
        finally:
            # Study, journal and checkpoints hold all that a resumed sweep needs.
            shutil.rmtree(folder.tune, ignore_errors=True)


def _tuner(
    folder: SweepFolder,
    spec: SweepSpec,
    memory: SweepMemory,
    watcher: StatusWatcher,
    setup: WorkerSetup,
    reference: Any,
) -> Any:
    from ray import tune

    from fer_ray.search.scheduler import RungScheduler
    from fer_ray.search.searcher import StudySearcher
    from fer_ray.search.trackers import Tracking, open_trackers

    trainable = tune.with_resources(
        tune.with_parameters(TrialWorker, sweep=setup, data=[reference]),
        tune.PlacementGroupFactory([spec.resources.bundle]),
    )
    # Tune's wrappers have names of their own, and the dashboard and `ps` would show those.
    trainable.__name__ = trainable.__qualname__ = TrialWorker.__name__
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=StudySearcher(memory, watcher.room),
            scheduler=RungScheduler(memory),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_folder,
        ),
        run_config=tune.RunConfig(
            name=folder.tune.name,
            storage_path=str(folder.path.absolute()),
            callbacks=[watcher, Tracking(memory, open_trackers(spec))],
            verbose=0,
            # Silent too. The one that Tune takes in a notebook clears what the cell has shown.
            progress_reporter=tune.CLIReporter(),
            # The memory decides who is tried again.
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )


def _trial_name(trial: Any) -> str:
    """Optuna's number: Tune's own ids stay inside Tune."""
    return f"trial-{trial.config['trial']:05d}"


def _trial_folder(trial: Any) -> str:
    """Of its own for each time that a trial was handed out."""
    return f"{_trial_name(trial)}-{trial.trial_id}"


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Lets SIGTERM and SIGUSR1 do what Ctrl-C does: schedulers of machines send them before they take one away.

    Within `search_with_tune` that is a clean end. Ray's own handler of SIGTERM ends the process at once.
    """
    numbers = (signal.SIGTERM, signal.SIGUSR1)
    with _handlers_kept(*numbers):
        if threading.current_thread() is threading.main_thread():
            for number in numbers:
                signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
        yield


@contextmanager
def _handlers_kept(*numbers: int) -> Iterator[None]:
    """Puts signal handlers back in the end; only the main thread may set any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _quiet_tune() -> Iterator[None]:
    """Keeps Tune from warning of the per-trial files that it was told not to write."""
    logger = logging.getLogger("ray.tune")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _lost_for_lack_of_memory() -> Iterator[None]:
    """Lets Tune take a worker that Ray's memory monitor ended for a lost one.

    Ray then raises an error of another kind than for any other death of an actor, at which Tune gives up the whole
    run, the other workers too. There is no setting for it.
    """
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.exceptions import OutOfMemoryError, RayActorError

    tunes_own = RayActorManager._actor_task_failed

    def failed(self: Any, tracked_actor_task: Any, exception: Exception) -> None:
        lost = isinstance(exception, OutOfMemoryError)
        tunes_own(self, tracked_actor_task, RayActorError(None, str(exception)) if lost else exception)

    RayActorManager._actor_task_failed = failed
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = tunes_own


@contextmanager
def tune_environment(pending: int) -> Iterator[None]:
    """Tune's settings that have no argument.

    Args:
        pending: Trials that may wait for a worker; the searcher proposes fewer.
    """
    wanted = {
        # A searcher of one's own otherwise gets one pending trial at a time.
        "TUNE_MAX_PENDING_TRIALS_PG": str(pending),
        # Five files a trial, copied again and again; the journal has it all.
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "3600",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
        # A trial whose node the cloud takes away is Tune's to try again otherwise, and so would be trained twice.
        "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
        # Tune shows the cluster's resources and asks for them now and then, for ever where the head is gone.
        "TUNE_STATE_REFRESH_PERIOD": "1e9",
        # The memory keeps the reasons.
        "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
        # The output that `verbose=0` silences.
        "RAY_AIR_NEW_OUTPUT": "0",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
