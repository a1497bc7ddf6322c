"""What comes before the first trial: room on the cluster, the data there, the space, the memory, the setup."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from optuna.storages import BaseStorage

from fer_ray.data import Dataset
from fer_ray.errors import SweepError
from fer_ray.files import write_atomically
from fer_ray.objective import Objective
from fer_ray.progress import Progress
from fer_ray.search.autoscaling import may_grow
from fer_ray.search.cluster import require_slot, slots
from fer_ray.search.folder import SweepFolder, beside, stage_hang_report
from fer_ray.search.memory import SweepMemory
from fer_ray.search.preflight import check_nodes
from fer_ray.search.remote import run_in_worker
from fer_ray.search.room import Room
from fer_ray.search.spec import SweepSpec
from fer_ray.search.time_limit import StageLimit
from fer_ray.search.trainable import WorkerSetup
from fer_ray.search.unchanged import fixed_part, require_unchanged
from fer_ray.search.warm_start import earlier_trials
from fer_ray.spaces import Space
from fer_ray.spaces.samplers import modelled
from fer_ray.training.space_file import SpaceFile
from fer_ray.training.trial import TrialData


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A sweep that can begin.

    Args:
        space: What was discovered.
        infeasible: Reasons why some configurations of the space cannot be built or trained.
        memory: The sweep's.
        setup: The trials'.
        reference: Ray's, to the trials' data.
        room: For trials at a time.
    """

    space: Space
    infeasible: list[str]
    memory: SweepMemory
    setup: WorkerSetup
    reference: Any
    room: Room

    @property
    def workers(self) -> int:
        """Trials at a time, as things are."""
        return self.room.trials


def prepare(
    folder: SweepFolder, spec: SweepSpec, data: Dataset, storage: BaseStorage, progress: Progress
) -> Prepared:
    """Finds out all that would keep a sweep from training, on the Ray cluster that this process is connected to.

    Args:
        folder: Has the space file; what is discovered of it is kept here.
        spec: The sweep; its `path` is that of the folder.
        data: The data set.
        storage: Of the study.
        progress: Told of the stages.

    Raises:
        FerRayError: If no trial fits the cluster, data or space are broken, a known configuration is none of the
            space, or the searcher or scheduler cannot deal with it.
    """
    import ray

    require_slot(spec.resources)
    room = Room(lambda: slots(spec.resources), spec.concurrency, grows=may_grow())
    check_nodes(folder.path, spec.resources, _space_file(folder, spec).packages_imported())
    train, validation = (data.load(split, progress) for split in ("train", "validation"))
    reference = ray.put(TrialData(train=train, validation=validation, classes=len(data.classes)))
    found = _discover(folder, spec, data, reference, progress)
    _require_resumable(spec, found)
    space = Space.from_config(found["space"])
    memory = SweepMemory(spec, space, storage, earlier=earlier_trials(spec, space, data.fingerprint))
    return Prepared(
        space=space,
        infeasible=found["infeasible"],
        memory=memory,
        setup=_worker_setup(folder, spec, found, memory.rungs.epochs),
        reference=reference,
        room=room,
    )


def _discover(
    folder: SweepFolder, spec: SweepSpec, data: Dataset, reference: Any, progress: Progress
) -> dict[str, Any]:
    """What the space holds; found once per sweep and kept, with what the sweep was made from."""
    found = folder.read_discovery()
    if found is None:
        space_file = _space_file(folder, spec)
        limit = StageLimit(
            key="limits.discovery",
            what="building and fitting one configuration",
            seconds=spec.limits.discovery,
            report=stage_hang_report(folder.path.absolute(), "discovery"),
            space_file=space_file.path,
        )
        found = run_in_worker(
            discover_space,
            limit,
            space_file,
            reference,
            spec.goals,
            spec.resources.cpu,
            cpu=spec.resources.cpu,
            stage="discovering the space",
            progress=progress,
        )
        space = Space.from_config(found["space"])
        found["searcher"] = {"kind": spec.searcher.kind, "treats": modelled(spec.searcher.kind, space)}
        folder.keep_modules(spec.space.file, found.pop("modules"))
        found["data"], found["fixed"] = data.fingerprint, fixed_part(folder, spec, found["imported"])
        write_atomically(folder.discovery_file, json.dumps(found, indent=2))
    fixed = fixed_part(folder, spec, found.get("imported", []))
    # A sweep made before this was kept is taken as it stands.
    before = {"data": found["data"], **found.get("fixed", fixed)}
    require_unchanged(folder, before, {"data": data.fingerprint, **fixed})
    return found


def _require_resumable(spec: SweepSpec, found: dict[str, Any]) -> None:
    if found["not_resumable"] is not None and spec.scheduler.variant == "promotion":
        rule = "promotion needs a `fit` that goes on at `initial_epoch`"
        raise SweepError("scheduler.variant", rule, found["not_resumable"], "Take the variant `stopping`")


def discover_space(
    limit: StageLimit, space_file: SpaceFile, data: TrialData, objectives: tuple[Objective, ...], cpu: float
) -> dict[str, Any]:
    """Runs in a worker: `discover`, each build within the limit; its result as JSON, and the modules it needed."""
    from fer_ray.training.threads import limit_threads

    limit_threads(max(1, int(cpu)))
    with limit.watch() as begin:
        from fer_ray.training.discovery import discover

        found = discover(
            space_file, data, objective=objectives[0], further=objectives[1:], progress=lambda *_: begin()
        )
        imported, modules = space_file.imported_beside(), space_file.needed_beside()
        return {**asdict(found), "imported": imported, "modules": modules}


def _space_file(folder: SweepFolder, spec: SweepSpec) -> SpaceFile:
    return SpaceFile(
        path=folder.space_file.absolute(),
        object=spec.space.object,
        arguments=spec.space.arguments,
        beside=(folder.modules if folder.modules.is_dir() else beside(spec.space.file)).absolute(),
    )


def _worker_setup(
    folder: SweepFolder, spec: SweepSpec, found: dict[str, Any], rung_epochs: frozenset[int]
) -> WorkerSetup:
    return WorkerSetup(
        space_file=_space_file(folder, spec),
        space=found["space"],
        objective=spec.goal,
        further=spec.goals[1:],
        constraints=spec.constraints.limits,
        measures_latency=spec.measures_latency,
        max_epochs=spec.scheduler.max_epochs,
        precision=spec.precision,
        resumable=found["not_resumable"] is None,
        rung_epochs=rung_epochs,
        threads=max(1, int(spec.resources.cpu)),
        seed=spec.seed,
        sweep=folder.path.absolute(),
        epoch_limit=spec.limits.epoch,
        worker_mb=spec.limits.worker_mb,
    )
