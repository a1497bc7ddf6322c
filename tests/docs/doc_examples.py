"""Finds the examples in the pages, and parses command lines as the real command line does."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer.main
from markdown_it import MarkdownIt

from fer_ray.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        *(page for page in (ROOT / "docs").rglob("*.md") if page.name != "LOG.md"),
        *(ROOT / "cluster").rglob("README.md"),
    ]
)
#: How a block that cannot run says why.
PARSED_ONLY = re.compile(r"<!-- parsed only: (.+?) -->")
SHELL, PYTHON, YAML, TEXT = "", "python", "yaml", "text"


@dataclass(frozen=True)
class Block:
    """An example.

    Args:
        page: Where it stands.
        line: Of its first line, from 1.
        language: As the fence says; none is the shell's.
        code: What stands in it.
        reason: Why it is parsed only; None if it runs.
    """

    page: Path
    line: int
    language: str
    code: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def _tokens(page: Path) -> list[Any]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page in these languages, of all if none is named."""
    found, comment = [], ""
    for token in _tokens(page):
        if token.type == "fence" and (not languages or token.info in languages):
            told = PARSED_ONLY.search(comment)
            found.append(Block(page, token.map[0] + 2, token.info, token.content, told and told[1]))
        if token.type in ("fence", "html_block", "inline"):
            comment = token.content if token.type == "html_block" else ""
    return found


def inline_codes(page: Path) -> list[str]:
    """The code within the text of a page."""
    return [
        child.content
        for token in _tokens(page)
        for child in token.children or ()
        if child.type == "code_inline"
    ]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each `fer-ray` command line in a piece of shell, also in one that is quoted in it."""
    # Without comments, of which shlex would take the end of the line along, and with long lines joined.
    text = re.sub(r"(^|\s)#.*", r"\1", text).replace("\\\n", " ")
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    words: list[str] = []
    for token in [*lexer, "\n"]:
        if set(token) <= set("();<>|&\n"):
            if "fer-ray" in words:
                yield words[words.index("fer-ray") + 1 :]
            words = []
        elif "fer-ray " in token:
            yield from commands(token)
        else:
            words.append(Path(token).name if token.endswith("/fer-ray") else token)


def parse(words: list[str]) -> None:
    """Parses a command line with the real commands, none of which runs.

    Raises:
        TyperException: If a command, an option or an argument is unknown, missing or wrong.
    """
    root = typer.main.get_command(app)
    groups = [root]
    while groups:
        for command in groups.pop().commands.values():
            if hasattr(command, "commands"):
                groups.append(command)
            else:
                command.callback = lambda **_: None
    root.main(words, prog_name="fer-ray", standalone_mode=False)


def parse_mention(words: list[str]) -> None:
    """As `parse`, of a command that is only named: what it needs may be left out."""
    try:
        parse(words)
    except Exception as error:
        if type(error).__name__ not in ("MissingParameter", "NoArgsIsHelpError", "BadOptionUsage"):
            raise
