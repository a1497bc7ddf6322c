"""A warm worker: one Ray actor that trains one trial after another, TensorFlow imported once.

Tune's step is one epoch. Training runs in a thread of its own, so that one `fit` goes on over many steps; it
waits after each epoch until Tune asks for the next one or ends the trial.
"""

import gc
import os
import queue
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import ray
from ray import tune

from fer_ray.errors import ConstraintError, FailedTrialError, InfeasibleModelError, SpaceError, StorageError
from fer_ray.objective import Objective
from fer_ray.search.folder import checkpoint_folder, hang_report
from fer_ray.search.latency import latency_ms
from fer_ray.search.remote import hide_unreserved_gpus
from fer_ray.search.time_limit import time_limit
from fer_ray.training.checkpoint import CheckpointFolder
from fer_ray.training.measures import Latency
from fer_ray.training.memory import free_model_memory
from fer_ray.training.space_file import SpaceFile
from fer_ray.training.threads import limit_threads
from fer_ray.training.trial import TrialConfig, TrialData, Verdict, one_line, train


@dataclass(frozen=True, kw_only=True)
class WorkerSetup:
    """What all trials of a sweep share; the trial's own part comes in Tune's config.

    Args:
        space_file, space, objective, further, constraints, max_epochs, precision: As in `TrialConfig`.
        measures_latency: Whether each trial's model is timed before it trains.
        resumable: Whether trials go on from their checkpoints.
        rung_epochs: After which a checkpoint is written.
        threads: Of one worker.
        seed: Of the sweep; a trial's is this plus its number.
        sweep: The sweep's folder, under which each trial has its checkpoints.
        epoch_limit: Seconds after which an epoch counts as hung; None for no limit.
        worker_mb: Megabytes of its own memory above which a worker makes room for a new one.
    """

    space_file: SpaceFile
    space: dict[str, Any]
    objective: Objective
    further: tuple[Objective, ...]
    constraints: dict[str, float]
    measures_latency: bool
    max_epochs: int
    precision: str
    resumable: bool
    rung_epochs: frozenset[int]
    threads: int
    seed: int
    sweep: Path
    epoch_limit: float | None = None
    worker_mb: float | None = None

    def trial_config(self, number: int, values: dict[str, Any]) -> TrialConfig:
        """The configuration of one trial."""
        return TrialConfig(
            space_file=self.space_file,
            space=self.space,
            values=values,
            objective=self.objective,
            further=self.further,
            constraints=self.constraints,
            max_epochs=self.max_epochs,
            seed=(self.seed + number) % 2**31,
            precision=self.precision,
            checkpoint_epochs=self.rung_epochs,
            resumable=self.resumable,
        )

    def checkpoint_folder(self, number: int) -> CheckpointFolder:
        """The checkpoints of one trial."""
        return CheckpointFolder(checkpoint_folder(self.sweep, number))


class WorkerFullError(Exception):
    """Raised by a worker whose memory has grown, before a trial, so that a new one takes its place."""


class TrialWorker(tune.Trainable):
    """Trains the trials that Tune hands it, through `reset_config`, without starting anew."""

    def setup(self, config: dict[str, Any], sweep: WorkerSetup, data: list[Any]) -> None:
        """Runs once per process: fixes the threads, imports Keras, keeps views of the data.

        Args:
            config: The first trial's.
            sweep: What all trials share.
            data: One reference to a `TrialData` in the object store, in a list so that it comes as one.
        """
        limit_threads(sweep.threads)
        hide_unreserved_gpus()
        import keras_tuner  # noqa: F401  (12 s on a cold disk: paid here, not in a trial)

        # TensorFlow's objects live as long as the process: collections after each trial need not visit them.
        gc.collect()
        gc.freeze()

        self.sweep, self.data = sweep, ray.get(data[0])
        self.thread = TrainingThread()
        self.trained = 0
        self.running: RunningTrial | None = None
        self.former: RunningTrial | None = None

    def __repr__(self) -> str:
        """Ray's dashboard shows it; Ray asks once, when the worker starts, so it names its first trial."""
        return f"TrialWorker({self.sweep.sweep.name}, from trial {self.config['trial']})"

    def step(self) -> dict[str, Any]:
        """Trains one epoch.

        Raises:
            WorkerFullError: Before a trial, if the worker's memory has grown too much.
            StorageError: If a checkpoint could not be written, or the node does not see the sweep's folder.
            SpaceError: If the space cannot be imported here.
        """
        self._stop_former()
        number = self.config["trial"]
        with time_limit(self.sweep.epoch_limit, hang_report(self.sweep.sweep, number)):
            if self.running is None:
                self._start(number, self.config["values"])
            assert self.running is not None
            result = self.running.next_epoch()
        if "sweep_error" in result:
            raise result["sweep_error"]
        if "done" in result:
            return result
        worker = f"{socket.gethostname()}-{os.getpid()}"
        return {"row": {**result, "trial": number, "worker": worker}}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Makes room for the next trial; never refuses, since Tune would then lose that trial.

        The former trial is ended in the next step: Tune never hears of a worker that dies in here.
        """
        self.former, self.running = self.running, None
        return True

    def cleanup(self) -> None:
        """Ends the running trial."""
        self._stop_former()
        if self.running is not None:
            self.running.stop()
        self.thread.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a trial's checkpoints lie in the sweep's folder, where every worker finds them."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: see `save_checkpoint`."""

    def _start(self, number: int, values: dict[str, Any]) -> None:
        used, most = own_memory_mb(), self.sweep.worker_mb
        if self.trained and most is not None and used > most:
            raise WorkerFullError(f"{used:.0f} MB of at most {most:.0f} are in use")
        require_shared(self.sweep.sweep)
        self.trained += 1
        self.running = RunningTrial(
            self.sweep.trial_config(number, values),
            self.data,
            self.sweep.checkpoint_folder(number),
            latency_ms if self.sweep.measures_latency else None,
        )
        self.thread.train(self.running)

    def _stop_former(self) -> None:
        if self.former is not None:
            self.former.stop()
        self.former = None


def require_shared(sweep: Path) -> None:
    """Looks for a sweep's folder on this node, which may have joined after those that the driver has asked.

    Raises:
        StorageError: If it is not there; a checkpoint would make one that nobody else sees.
    """
    if not (sweep / "sweep.yaml").exists():
        rule = "must see the sweep's folder, where checkpoints lie"
        remedy = "Resume the sweep without that node"
        raise StorageError(f"node {socket.gethostname()}", rule, str(sweep), remedy)


def own_memory_mb() -> float:
    """Megabytes that this process has for itself: without the data set, which all workers share."""
    memory = psutil.Process().memory_info()
    # Shared memory is told apart on Linux only.
    return float(memory.rss - getattr(memory, "shared", 0)) / 1e6


class TrainingThread:
    """Trains trials one after another in one thread, so that Tune's calls come through meanwhile."""

    def __init__(self) -> None:
        self._trials: queue.SimpleQueue[RunningTrial | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def train(self, trial: "RunningTrial") -> None:
        """Trains a trial once those before it have ended."""
        self._trials.put(trial)

    def close(self) -> None:
        """Waits until all trials have ended."""
        self._trials.put(None)
        self._thread.join()

    def _run(self) -> None:
        for trial in iter(self._trials.get, None):
            trial.run()
            free_model_memory()


class RunningTrial:
    """One trial, which waits after each epoch until it is told to go on or to stop.

    Args:
        config: The trial's.
        data: Of the sweep.
        checkpoints: The trial's.
        latency: As in `train`.
    """

    def __init__(
        self,
        config: TrialConfig,
        data: TrialData,
        checkpoints: CheckpointFolder,
        latency: Latency | None = None,
    ) -> None:
        self.config, self.data, self.checkpoints, self.latency = config, data, checkpoints, latency
        self._results: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
        self._waiting = False

    def next_epoch(self) -> dict[str, Any]:
        """The next epoch's metrics; with `done` once there is none, and `failed` if that has a reason."""
        if self._waiting:
            self._verdicts.put(Verdict.CONTINUE)
        result = self._results.get()
        self._waiting = not self._is_last(result)
        return result

    def stop(self) -> None:
        """Ends the trial after its current epoch, without waiting for that."""
        self._verdicts.put(Verdict.STOP)

    def run(self) -> None:
        """Trains, in the thread that is not Tune's."""
        ended: dict[str, Any] = {"done": True}
        try:
            train(
                self.config,
                self.data,
                report=self._report,
                checkpoints=self.checkpoints,
                latency=self.latency,
            )
        except ConstraintError as error:
            ended |= {"failed": str(error), "infeasible": True, "measures": {error.where: error.value}}
        except InfeasibleModelError as error:
            ended |= {"failed": str(error), "infeasible": True}
        except FailedTrialError as error:
            ended |= {"failed": str(error)}
        except (StorageError, SpaceError) as error:  # no trial's fault: what is imported was found before
            ended |= {"sweep_error": error}
        except BaseException as error:  # whatever a user's code raises, SystemExit too, ends its trial only
            ended |= {"failed": one_line(error)}
        self._results.put(ended)

    def _report(self, metrics: dict[str, Any]) -> Verdict:
        self._results.put(metrics)
        # Nothing can be decided after the last epoch: the trial cleans up while Tune hears of it.
        return Verdict.STOP if self._is_last(metrics) else self._verdicts.get()

    def _is_last(self, result: dict[str, Any]) -> bool:
        return "done" in result or result["epoch"] >= self.config.max_epochs
