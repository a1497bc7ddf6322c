"""Keeps a training process to the threads that it was given."""

import os

from fer_ray.errors import ConfigError


def limit_threads(threads: int) -> None:
    """Fixes the thread pools of TensorFlow, OpenMP and BLAS; call it before Keras is imported.

    TensorFlow takes every core in every process unless told otherwise, so that two workers on two cores would
    fight over them. The pools cannot be changed once TensorFlow has run an operation.

    Args:
        threads: For one operation; at least 1. Operations of one model run one after the other.

    Raises:
        ConfigError: If `threads` is below 1.
    """
    if threads < 1:
        raise ConfigError("threads", "must be at least 1", str(threads))
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Several trials may share a GPU; without growth the first would take all of its memory.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
