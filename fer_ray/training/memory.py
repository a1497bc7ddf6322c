"""Gives back what TensorFlow and Python keep of a model that is not trained any more."""

import gc


def free_model_memory() -> None:
    """To be called between trials, once nothing refers to the former one's model.

    Two things would otherwise stay:

    - Each traced training step. Keras's TensorFlow backend sums gradients over replicas, also over the only one,
      through `tf.custom_gradient`, which enters a function for every use in a table that is never emptied; it holds
      the step's whole graph, 6 MB and more. The entries are of use only to whoever differentiates that graph again.
    - Models, which are cycles of references: Python's own collections come late, and a GPU's memory waits for them.
    """
    for name in [name for name in _gradients() if name.startswith("CustomGradient-")]:
        del _gradients()[name]
    gc.collect()


def _gradients() -> dict[str, object]:
    """TensorFlow's table of gradient functions by name; it has no public way to take one out."""
    from tensorflow.python.framework import ops

    found: dict[str, object] = ops.gradient_registry._registry
    return found
