"""The winner's way from its checkpoint to the registry: rebuilt, evaluated once on test, exported, registered."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from fer_ray.data import Dataset
from fer_ray.errors import SweepError
from fer_ray.progress import Progress
from fer_ray.registry import Registry
from fer_ray.search.folder import SweepFolder, stage_hang_report
from fer_ray.search.memory import SweepMemory
from fer_ray.search.remote import run_in_worker
from fer_ray.search.spec import SweepSpec
from fer_ray.search.study import VALUES_AT_BEST_ATTRIBUTE, values_of
from fer_ray.search.time_limit import StageLimit
from fer_ray.search.trainable import WorkerSetup
from fer_ray.training.trial import Split, TrialData


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The trial that won.

    Args:
        number: Of the trial.
        value: Its primary objective.
        objectives: The value of each objective, by metric; empty if there is one only.
        epoch: Whose weights are taken, from 1.
        values: Its hyperparameters.
    """

    number: int
    value: float
    objectives: dict[str, float]
    epoch: int
    values: dict[str, Any]


def register_winner(
    folder: SweepFolder,
    spec: SweepSpec,
    setup: WorkerSetup,
    memory: SweepMemory,
    best: FrozenTrial,
    data: Dataset,
    reference: Any,
    progress: Progress,
) -> str:
    """Makes a model version of the best trial.

    Args:
        folder: The sweep's.
        spec: The sweep.
        setup: The trials'.
        memory: The sweep's.
        best: The trial that won.
        data: The data set; its test split is used here and nowhere else.
        reference: Ray's, to the trials' data.
        progress: Told of the stages.

    Returns:
        The version's reference.

    Raises:
        FerRayError: If the model cannot be rebuilt, exported or registered.
    """
    winner = Winner(
        number=best.number,
        value=best.user_attrs["best_value"],
        objectives=best.user_attrs.get(VALUES_AT_BEST_ATTRIBUTE, {}),
        epoch=best.user_attrs["best_epoch"],
        values=values_of(best),
    )
    import ray

    limit = StageLimit(
        key="limits.winner",
        what="evaluating and exporting the winner",
        seconds=spec.limits.winner,
        report=stage_hang_report(setup.sweep, "winner"),
        space_file=setup.space_file.path,
    )
    made = run_in_worker(
        make_watched_folder,
        limit,
        setup,
        winner,
        data.classes,
        reference,
        ray.put(data.load("test", progress)),
        folder.winner.absolute(),
        cpu=spec.resources.cpu,
        stage="evaluating and exporting the winner",
        progress=progress,
    )
    fields = made | _provenance(spec, winner, memory, data)
    version = Registry(spec.model.registry).register(spec.model.name or spec.name, folder.winner, fields)
    shutil.rmtree(folder.winner, ignore_errors=True)
    return str(version.reference)


def _provenance(spec: SweepSpec, winner: Winner, memory: SweepMemory, data: Dataset) -> dict[str, Any]:
    """The part of the manifest that the sweep knows."""
    return {
        "labels": data.classes,
        "input_shape": data.image_shape,
        "hyperparameters": winner.values,
        "sweep": {
            "name": spec.name,
            "trial": winner.number,
            "epoch": winner.epoch,
            "objective": spec.goal.metric,
            "value": winner.value,
            **({"values": winner.objectives} if winner.objectives else {}),
            "trials": memory.counted,
            "searcher": spec.searcher.kind,
            "scheduler": spec.scheduler.kind,
            "seed": spec.seed,
        },
        "data": {"name": data.name, "fingerprint": data.fingerprint, "card": data.card},
    }


def make_watched_folder(limit: StageLimit, *arguments: Any) -> dict[str, Any]:
    """Runs in a worker: `make_model_folder` within its time."""
    with limit.watch():
        return make_model_folder(*arguments)


def make_model_folder(
    setup: WorkerSetup, winner: Winner, classes: tuple[str, ...], data: TrialData, test: Split, folder: Path
) -> dict[str, Any]:
    """Fills a model folder and returns what its manifest says of it.

    The model is rebuilt in float32 whatever it was trained in, and what is evaluated is the engine that serves.
    """
    from fer_ray.training.threads import limit_threads

    limit_threads(setup.threads)
    from fer_ray.export.onnx_model import OnnxModel, predict_all
    from fer_ray.export.twin import export_twin
    from fer_ray.results.confusion_plot import save_confusion_plot
    from fer_ray.results.evaluation import PROTOCOLS, evaluate
    from fer_ray.results.predictions import TEST_PREDICTIONS, write_predictions
    from fer_ray.training.rebuild import rebuild_model

    checkpoint = setup.checkpoint_folder(winner.number).load()
    if checkpoint is None or not checkpoint.best:
        raise SweepError(f"trial {winner.number}", "must have a checkpoint", str(setup.sweep))
    model = rebuild_model(setup.trial_config(winner.number, winner.values), data, checkpoint.best)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.save_weights(folder / "model.weights.h5")
    shutil.copyfile(setup.space_file.path, folder / "space.py")
    (folder / "hyperparameters.json").write_text(json.dumps(winner.values, indent=2))
    images, labels = data.validation
    exported = export_twin(
        model,
        folder,
        calibration_images=data.train[0],
        validation_images=images,
        validation_labels=labels,
        threads=setup.threads,
    ).manifest_fields()
    engine = exported["default_engine"]
    served = OnnxModel(folder / exported["engines"][engine], threads=setup.threads)
    splits = {"validation": data.validation, "test": test}
    answers = {split: predict_all(served, images) for split, (images, _) in splits.items()}
    evaluations = {
        split: evaluate(labels, answers[split], classes, protocol=PROTOCOLS[split])
        for split, (_, labels) in splits.items()
    }
    write_predictions(folder / TEST_PREDICTIONS, *test, answers["test"])
    save_confusion_plot(evaluations["test"], folder / "confusion_matrix.png", title="Test split")
    return {
        **exported,
        "engines": {**exported["engines"], "keras": "model.weights.h5"},
        "space": {
            "file": "space.py",
            "object": setup.space_file.object_name(),
            "arguments": setup.space_file.arguments,
        },
        "metrics": {split: found.to_dict() | {"engine": engine} for split, found in evaluations.items()},
    }
