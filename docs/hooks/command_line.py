"""The reference of the command line, by Typer's own documentation command."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MARK = "<!-- made here: command line -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts it where a page asks for it."""
    return markdown.replace(MARK, _reference()) if MARK in markdown else markdown


def _reference() -> str:
    command = [sys.executable, "-m", "typer", "fer_ray.cli.app", "utils", "docs", "--name", "fer-ray"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    # One level down: the page has a heading of its own.
    return re.sub(r"^#", "##", done.stdout, flags=re.MULTILINE)
