"""The model card: Markdown, rendered from the manifest alone.

Knows nothing of the domain: what the data shows, its licence, its caveats and what the model is not for are texts
of the data set (`manifest.data.card`). A number without its protocol is not printed.
"""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import jinja2

from fer_ray.registry.manifest import DataReference, Manifest

TEXTS = ("description", "license", "caveats", "not_for")


def render_card(manifest: Manifest) -> str:
    """The model card of a version, as Markdown."""
    template = (files("fer_ray.registry") / "card.md.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(share=_share, cell=_cell, flat=_flat)
    shown = manifest.model_copy(update={"data": _with_all_texts(manifest.data)})
    told = {split: score for split, score in manifest.metrics.items() if score.protocol}
    untold = sorted(set(manifest.metrics) - set(told))
    return environment.from_string(template).render(m=shown, told=told, untold=untold)


def _with_all_texts(data: DataReference) -> DataReference:
    texts = {key: data.card.get(key, "").strip() for key in TEXTS}
    return data.model_copy(update={"card": texts})


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}%"


def _cell(value: Any) -> str:
    """A value as one table cell: nothing in it can end the cell, or be read as HTML."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted keys."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
