"""The model card: Markdown, rendered from the manifest alone."""

from importlib.resources import files

import jinja2

from fer_ray.registry.manifest import Manifest


def render_card(manifest: Manifest) -> str:
    """The model card of a version.

    Knows nothing of the domain: what the data shows, its licence, its caveats and what the model is not for
    come from `manifest.data.card`. A number without its protocol is not printed.
    """
    template = (files("fer_ray.registry") / "card.md.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["share"] = lambda value: "–" if value is None else f"{100 * value:.2f}%"
    return environment.from_string(template).render(m=manifest) + "\n"
