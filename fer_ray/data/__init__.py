"""Images of faces to Parquet to arrays; drawn faces.

Importers (`fer_ray.data.importer`) and drawing (`fer_ray.data.synthetic`) are imported by path.
"""

from fer_ray.data.dataset import Dataset, open_dataset
from fer_ray.data.schema import SPLITS

__all__ = ["SPLITS", "Dataset", "open_dataset"]
