"""The reference of the sweep file, from the sections' fields and docstrings."""

import inspect
import re
from collections.abc import Iterator
from typing import Any, get_args

from fer_ray.search.sections import Section
from fer_ray.search.spec import SweepSpec

DEFAULT_MARK, KEYS_MARK = "<!-- made here: default sweep file -->", "<!-- made here: sweep file keys -->"
_TYPES = {
    "array": "list",
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "object": "mapping",
    "string": "text",
}
_BOUNDS = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "to {}",
    "exclusiveMaximum": "below {}",
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts the default sweep file and the tables of keys where a page asks for them."""
    if DEFAULT_MARK in markdown:
        markdown = markdown.replace(DEFAULT_MARK, f"```yaml\n{_default_file()}```")
    if KEYS_MARK in markdown:
        markdown = markdown.replace(KEYS_MARK, "\n\n".join(_tables()))
    return markdown


def _default_file() -> str:
    given = {"name": "my", "data": "data/faces", "space": {"file": "search_spaces/baseline.py"}}
    return SweepSpec.parse(given).to_yaml()


def _tables() -> Iterator[str]:
    yield f"## Keys\n\n{_table(SweepSpec)}"
    yield from _tables_below(SweepSpec)


def _tables_below(section: type[Section], within: str = "") -> Iterator[str]:
    for key, field in section.model_fields.items():
        for part in _sections_of(field.annotation):
            yield f"## `{within}{key}`\n\n{_summary(part)}\n\n{_table(part, f'{within}{key}.')}"
            yield from _tables_below(part, f"{within}{key}.")


def _table(section: type[Section], within: str = "") -> str:
    meanings, schema = _meanings(section), section.model_json_schema()
    rows = ["| key | value | default | |", "|---|---|---|---|"]
    for key, field in section.model_fields.items():
        if parts := list(_sections_of(field.annotation)):
            default, anchor = "required" if field.is_required() else "", f"{within}{key}".replace(".", "")
            meaning = meanings.get(key, _summary(parts[0]))
            rows.append(f"| [`{key}`](#{anchor}) | section | {default} | {meaning} |")
        else:
            default = "required" if field.is_required() else _default(field.default)
            rows.append(f"| `{key}` | {_kind(schema['properties'][key])} | {default} | {meanings[key]} |")
    return "\n".join(rows)


def _sections_of(annotation: Any) -> Iterator[type[Section]]:
    """Those within a field's type, each once."""
    if inspect.isclass(annotation) and issubclass(annotation, Section):
        yield annotation
        return
    found: dict[type[Section], None] = {}
    for part in get_args(annotation):
        found |= dict.fromkeys(_sections_of(part))
    yield from found


def _summary(section: type[Section]) -> str:
    return (inspect.getdoc(section) or "").partition("\n\n")[0].replace("\n", " ")


def _meanings(section: type[Section]) -> dict[str, str]:
    """Key to text, from the docstring's arguments."""
    arguments = (inspect.getdoc(section) or "").partition("Args:\n")[2]
    entries = re.findall(r"^    (\w[\w, ]*): (.*(?:\n {8}.*)*)", arguments, re.MULTILINE)
    return {
        name: re.sub(r"``?([^`]+)``?", r"`\1`", " ".join(text.split()))
        for names, text in entries
        for name in names.split(", ")
        if text.strip() != "See their sections."
    }


def _kind(schema: dict[str, Any]) -> str:
    """What a key takes, in words."""
    parts = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    return " or ".join(_part(part) for part in parts)


def _part(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    bounds = [text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema]
    return " ".join([_TYPES[schema["type"]], *bounds])


def _default(value: Any) -> str:
    if value is None:
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
