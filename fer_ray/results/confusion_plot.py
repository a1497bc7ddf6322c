"""Draws a confusion matrix: colour is the share of the true class, the figure in a cell is the count."""

import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fer_ray.files import write_atomically
from fer_ray.results.evaluation import Evaluation


def save_confusion_plot(evaluation: Evaluation, path: str | Path, title: str = "") -> Path:
    """Writes the confusion matrix of an evaluation as PNG; needs no display and leaves no global state.

    Args:
        evaluation: What to draw; a class without labels is an empty row.
        path: The `.png` file.
        title: Over the plot; accuracy, interval and n stand below it in any case.
    """
    buffer = io.BytesIO()
    _figure(evaluation, title).savefig(buffer, format="png")
    write_atomically(Path(path), buffer.getvalue())
    return Path(path)


def _figure(evaluation: Evaluation, title: str) -> Figure:
    counts, classes = evaluation.confusion, evaluation.classes
    supports = np.array([row.support for row in evaluation.per_class])
    shares = counts / np.maximum(supports, 1)[:, None]
    side = max(4.5, 1.2 + 0.75 * len(classes))
    figure = Figure(figsize=(side + 1.2, side), dpi=120, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    places = range(len(classes))
    axes.set_xticks(places, classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, [f"{name} ({n:,})" for name, n in zip(classes, supports, strict=True)])
    axes.set_xlabel("predicted")
    axes.set_ylabel("true (images)")
    low, high = evaluation.interval
    line = f"accuracy {evaluation.accuracy:.2%}, 95% interval {low:.2%} to {high:.2%}, n = {evaluation.n:,}"
    axes.set_title(f"{title}\n{line}" if title else line, fontsize=10)
    for row, column in np.ndindex(counts.shape):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=9)
    return figure
