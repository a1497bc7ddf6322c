"""What a model answered to each image of a split, kept so that two models can be compared image by image."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap

from fer_ray.errors import DataError
from fer_ray.pixels import Pixels
from fer_ray.results.evaluation import predicted_classes

#: The file of a model's folder with its answers to the test split.
TEST_PREDICTIONS = "test_predictions.parquet"
_SCHEMA = pa.schema(
    [
        pa.field("image", pa.string(), nullable=False, metadata={"description": "digest of the pixels"}),
        pa.field("label", pa.int64(), nullable=False, metadata={"description": "the true class, from 0"}),
        pa.field("predicted", pa.int64(), nullable=False, metadata={"description": "from 0; -1: no answer"}),
    ]
)
_RESAMPLES = 9999


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """How much more accurate one model is than another on the same images.

    Args:
        n: Images.
        difference: The second's accuracy less the first's.
        interval: Low and high end of its 95% interval: percentiles of a bootstrap over the images.
        only_first, only_second: Images that only this one has right.
        p_value: Of McNemar's exact test, two-sided: how likely as unequal counts are where both are equally good.
    """

    n: int
    difference: float
    interval: tuple[float, float]
    only_first: int
    only_second: int
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {**asdict(self), "interval": list(self.interval)}


def write_predictions(
    path: Path, images: Pixels, labels: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> None:
    """Writes one row per image: a digest of its pixels, never the pixels, the true class and the predicted one.

    Args:
        path: The Parquet file.
        images: uint8, shape (N, H, W, C).
        labels: Shape (N,).
        probabilities: Shape (N, K).
    """
    digests = [hashlib.blake2b(image.tobytes(), digest_size=12).hexdigest() for image in images]
    pq.write_table(pa.table([digests, labels, predicted_classes(probabilities)], schema=_SCHEMA), path)


def read_predictions(path: Path) -> pd.DataFrame:
    """What `write_predictions` wrote.

    Raises:
        DataError: If the file is missing, damaged, or not of this kind.
    """
    try:
        frame: pd.DataFrame = pq.ParquetFile(path).read(_SCHEMA.names).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise DataError(str(path), "must be a Parquet file of predictions", str(error)) from error
    return frame


def paired_difference(first: pd.DataFrame, second: pd.DataFrame) -> PairedDifference:
    """Compares two models image by image.

    Args:
        first, second: Of `read_predictions`, in any order.

    Raises:
        DataError: If they are not of the same images with the same labels.
    """
    # Images that occur twice have the same answer twice, so that their order does not matter.
    one, other = (frame.sort_values(["image", "label"], ignore_index=True) for frame in (first, second))
    keys = ["image", "label"]
    if not len(one) or not one[keys].equals(other[keys]):
        raise DataError("predictions", "must be of the same images with the same labels, at least one")
    differences = _right(other) - _right(one)
    only_first, only_second = int((differences < 0).sum()), int((differences > 0).sum())
    return PairedDifference(
        n=len(differences),
        difference=float(differences.mean()),
        interval=_interval(differences),
        only_first=only_first,
        only_second=only_second,
        p_value=_mcnemar(only_first, only_second),
    )


def corrected_for_several(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: p-values, 0 to 1, that hold for all tests together.

    If those below 5% are called differences, the chance that even one of them is false is at most 5% (S. Holm,
    "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979).

    Args:
        p_values: One for each test.
    """
    ordered = np.argsort(p_values)
    scaled = np.asarray(p_values)[ordered] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[ordered] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in corrected]


def _right(frame: pd.DataFrame) -> NDArray[np.float64]:
    """1 where the prediction is the label, 0 where not."""
    return np.asarray(frame["predicted"] == frame["label"], np.float64)


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    if len(differences) < 2:
        return -1.0, 1.0
    found = bootstrap(
        (differences,),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=100,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def _mcnemar(only_first: int, only_second: int) -> float:
    differing = only_first + only_second
    return float(binomtest(only_first, differing).pvalue) if differing else 1.0
