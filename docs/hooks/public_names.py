"""The page of the package itself: what each of its names does, and where it is described."""

import inspect
from typing import Any

MARK = "<!-- made here: names -->"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Puts the names where the mark is."""
    return markdown.replace(MARK, names_table()) if MARK in markdown else markdown


def names_table() -> str:
    """A row for each public name of `fer_ray`."""
    import fer_ray

    rows = [
        f"| [`{name}`][{home}.{name}] | {_first_line(getattr(fer_ray, name))} |"
        for room, names in fer_ray._NAMES.items()
        for name in names
        for home in [f"fer_ray.{room}"]
    ]
    return "\n".join(["| name | what it is |", "|---|---|", *rows])


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").splitlines()[0]
