"""The section `tracking` of a sweep file."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fer_ray.search.sections import Section


class MLflowSection(Section):
    """Runs in MLflow; needs `fer-ray[mlflow]`.

    Args:
        uri: Of an MLflow server (``http://host:5000``), a database (``postgresql://...``) or ``databricks``;
            the SQLite file `mlflow.db` in the sweep's folder if None.
        experiment: That holds the runs; named after the sweep if None.
    """

    uri: Annotated[str, Field(pattern=r"^(databricks|[a-z][a-z0-9+-]*://.+)$")] | None = None
    experiment: Annotated[str, Field(min_length=1)] | None = None


class WandbSection(Section):
    """Runs in Weights & Biases, grouped by sweep; needs `fer-ray[wandb]`.

    Args:
        project: That holds the runs.
        entity: The user or team that they belong to; the one who is logged in if None.
        mode: ``offline`` keeps them in `wandb` in the sweep's folder, for `wandb sync`; ``online`` sends them too.
    """

    project: Annotated[str, Field(min_length=1)] = "fer_ray"
    entity: str | None = None
    mode: Literal["offline", "online"] = "offline"


class TrackingSection(Section):
    """Who is told of each epoch while the sweep runs, besides its own tables.

    Args:
        tensorboard: Whether TensorBoard's event files are written, into `tensorboard` in the sweep's folder.
        mlflow: `true`, or a mapping, for runs in MLflow.
        wandb: `true`, or a mapping, for runs in Weights & Biases.
    """

    tensorboard: bool = False
    mlflow: MLflowSection | None = None
    wandb: WandbSection | None = None

    @model_validator(mode="before")
    @classmethod
    def _switches(cls, content: Any) -> Any:
        """`true` stands for a mapping of defaults, `false` for none."""
        if not isinstance(content, dict):
            return content
        switched: dict[str, Any] = {
            key: {} if content[key] else None
            for key in ("mlflow", "wandb")
            if isinstance(content.get(key), bool)
        }
        return {**content, **switched}
