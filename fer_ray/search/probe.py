"""The paces of a sweep's first trials, measured on the workers that it would have."""

import time
from dataclasses import dataclass

from fer_ray.errors import FailedTrialError
from fer_ray.progress import Progress
from fer_ray.search.folder import stage_hang_report
from fer_ray.search.preparation import Prepared
from fer_ray.search.proposals import Proposal
from fer_ray.search.remote import run_in_workers
from fer_ray.search.spec import SweepSpec
from fer_ray.search.time_limit import StageLimit
from fer_ray.search.trainable import WorkerSetup
from fer_ray.spaces import Values
from fer_ray.training.pace import Pace, measure_pace
from fer_ray.training.threads import limit_threads
from fer_ray.training.trial import TrialData

#: Of the searcher's own proposals, after the known configurations.
_PROPOSED = 6
#: After this no further configuration is begun.
_SECONDS = 40.0


@dataclass(frozen=True, kw_only=True)
class Probed:
    """One configuration that was tried.

    Args:
        trial: Its number in the sweep.
        values: Its active hyperparameters.
        pace: What it costs; None if it failed.
        failed: Why it has no pace; None if it has.
    """

    trial: int
    values: Values
    pace: Pace | None = None
    failed: str | None = None


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What was measured.

    Args:
        configurations: In the order of their trials; those for which time was left.
        starting: Seconds until a worker could train: its process was there, TensorFlow was not yet imported.
        seconds: That the probe took.
    """

    configurations: tuple[Probed, ...]
    starting: float
    seconds: float

    @property
    def paces(self) -> list[Pace]:
        """Of those that could be trained."""
        return [probed.pace for probed in self.configurations if probed.pace is not None]


def probe(spec: SweepSpec, ready: Prepared, progress: Progress) -> Probe:
    """Measures the known configurations and the first that the searcher proposes, on all workers at a time.

    Args:
        spec: The sweep.
        ready: To begin; its memory is asked for trials.
        progress: Told of the stage.

    Raises:
        SweepError: If a worker dies, or a configuration hangs for longer than `limits.discovery`.
    """
    started = time.monotonic()
    proposals = _first_proposals(spec, ready)
    workers = min(ready.workers, len(proposals))
    found = run_in_workers(
        measure_paces,
        [
            (_limit(spec, ready.setup, worker), ready.setup, proposals[worker::workers], ready.reference)
            for worker in range(workers)
        ],
        cpu=spec.resources.cpu,
        gpu=spec.resources.gpu,
        stage="probing configurations",
        progress=progress,
    )
    return Probe(
        configurations=tuple(
            sorted((one for _, probed in found for one in probed), key=lambda one: one.trial)
        ),
        starting=max(starting for starting, _ in found),
        seconds=time.monotonic() - started,
    )


def measure_paces(
    limit: StageLimit, setup: WorkerSetup, proposals: list[Proposal], data: TrialData
) -> tuple[float, list[Probed]]:
    """Runs in a worker: how long it took to be ready, in seconds, and the configurations tried in the time."""
    started = time.monotonic()
    with limit.watch() as begin:
        limit_threads(setup.threads)
        import keras_tuner  # noqa: F401

        starting, found = time.monotonic() - started, []
        for proposal in proposals:
            begin()
            config = setup.trial_config(proposal.number, proposal.values)
            folder = setup.checkpoint_folder(proposal.number).path
            try:
                pace, failed = measure_pace(config, data, folder), None
            except FailedTrialError as error:
                pace, failed = None, str(error)
            found.append(Probed(trial=proposal.number, values=proposal.values, pace=pace, failed=failed))
            if time.monotonic() - started - starting > _SECONDS:
                break
    return starting, found


def _first_proposals(spec: SweepSpec, ready: Prepared) -> list[Proposal]:
    known = 1 if spec.searcher.known is None else len(spec.searcher.known)
    asked = (ready.memory.propose() for _ in range(min(known + _PROPOSED, spec.max_trials)))
    return [proposal for proposal in asked if proposal is not None]


def _limit(spec: SweepSpec, setup: WorkerSetup, worker: int) -> StageLimit:
    return StageLimit(
        key="limits.discovery",
        what="trying one configuration",
        seconds=spec.limits.discovery,
        report=stage_hang_report(setup.sweep, f"probe-{worker}"),
        space_file=setup.space_file.path,
    )
