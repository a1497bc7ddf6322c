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

import ray
from ray import tune

from fer_ray.errors import FailedTrialError, InfeasibleModelError
from fer_ray.objective import Objective
from fer_ray.search.folder import checkpoint_folder
from fer_ray.training.checkpoint import CheckpointFolder
from fer_ray.training.space_file import SpaceFile
from fer_ray.training.threads import limit_threads
from fer_ray.training.trial import TrialConfig, TrialData, Verdict, one_line, train


@dataclass(frozen=True, kw_only=True)
class WorkerSetup:
    """What all trials of a sweep share; the trial's own part comes in Tune's config.

    Args:
        space_file, space, objective, max_epochs, precision: As in `TrialConfig`.
        resumable: Whether trials go on from their checkpoints.
        rung_epochs: After which a checkpoint is written.
        threads: Of one worker.
        seed: Of the sweep; a trial's is this plus its number.
        sweep: The sweep's folder, under which each trial has its checkpoints.
    """

    space_file: SpaceFile
    space: dict[str, Any]
    objective: Objective
    max_epochs: int
    precision: str
    resumable: bool
    rung_epochs: frozenset[int]
    threads: int
    seed: int
    sweep: Path

    def trial_config(self, number: int, values: dict[str, Any]) -> TrialConfig:
        """The configuration of one trial."""
        return TrialConfig(
            space_file=self.space_file,
            space=self.space,
            values=values,
            objective=self.objective,
            max_epochs=self.max_epochs,
            seed=(self.seed + number) % 2**31,
            precision=self.precision,
            checkpoint_epochs=self.rung_epochs,
            resumable=self.resumable,
        )

    def checkpoint_folder(self, number: int) -> CheckpointFolder:
        """The checkpoints of one trial."""
        return CheckpointFolder(checkpoint_folder(self.sweep, number))


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
        import keras_tuner  # noqa: F401  (12 s on a cold disk: paid here, not in a trial)

        # TensorFlow's objects live as long as the process: collections after each trial need not visit them.
        gc.collect()
        gc.freeze()

        self.sweep, self.data = sweep, ray.get(data[0])
        self.running: TrialThread | None = None
        self.former: TrialThread | None = None

    def step(self) -> dict[str, Any]:
        """Trains one epoch."""
        self._end(self.former)
        self.former = None
        if self.running is None:
            number, values = self.config["trial"], self.config["values"]
            self.running = TrialThread(
                self.sweep.trial_config(number, values), self.data, self.sweep.checkpoint_folder(number)
            )
        result = self.running.next_epoch()
        if "done" in result:
            return result
        worker = f"{socket.gethostname()}-{os.getpid()}"
        return {"row": {**result, "trial": self.config["trial"], "worker": worker}}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Makes room for the next trial; never refuses, since Tune would then lose that trial.

        The former trial's thread is ended in the next step: Tune never hears of a worker that dies in here.
        """
        self.former, self.running = self.running, None
        return True

    def cleanup(self) -> None:
        """Ends the running trial."""
        self._end(self.running)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a trial's checkpoints lie in the sweep's folder, where every worker finds them."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: see `save_checkpoint`."""

    @staticmethod
    def _end(trial: "TrialThread | None") -> None:
        if trial is not None:
            trial.close()


class TrialThread:
    """Trains one trial in a thread that waits between epochs.

    Keras keeps its session in thread-local state, so that the thread gives each trial a clean one.
    """

    def __init__(self, config: TrialConfig, data: TrialData, checkpoints: CheckpointFolder) -> None:
        self._results: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
        self._waiting = False
        self._thread = threading.Thread(target=self._train, args=(config, data, checkpoints), daemon=True)
        self._thread.start()

    def next_epoch(self) -> dict[str, Any]:
        """The next epoch's metrics; with `done` once there is none, and `failed` if that has a reason."""
        if self._waiting:
            self._verdicts.put(Verdict.CONTINUE)
        result = self._results.get()
        self._waiting = "done" not in result
        return result

    def close(self) -> None:
        """Ends the trial after its current epoch."""
        self._verdicts.put(Verdict.STOP)
        self._thread.join()

    def _train(self, config: TrialConfig, data: TrialData, checkpoints: CheckpointFolder) -> None:
        ended: dict[str, Any] = {"done": True}
        try:
            train(config, data, report=self._report, checkpoints=checkpoints)
        except InfeasibleModelError as error:
            ended |= {"failed": str(error), "infeasible": True}
        except FailedTrialError as error:
            ended |= {"failed": str(error)}
        except BaseException as error:  # whatever a user's code raises, SystemExit too, ends its trial only
            ended |= {"failed": one_line(error)}
        self._results.put(ended)

    def _report(self, metrics: dict[str, Any]) -> Verdict:
        self._results.put(metrics)
        return self._verdicts.get()
