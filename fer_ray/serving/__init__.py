"""A registered model behind an endpoint on Ray Serve.

`fer_ray.serving.deploy` puts one there; it is imported by path. What is listed here does not import Ray.
"""

from fer_ray.serving.client import FilePrediction, predict_files
from fer_ray.serving.limits import Limits

__all__ = ["FilePrediction", "Limits", "predict_files"]
