"""Pages that lie outside docs/ come onto the site, and links lead to where a page is there.

So a link is written as the repository has it, and works both there and on the site.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
#: Pages of the repository outside docs/, and where the site has them.
OUTSIDE = {
    "README.md": "index.md",
    **{
        path: path
        for path in (
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            *(page.relative_to(ROOT).as_posix() for page in sorted((ROOT / "cluster").glob("**/README.md"))),
        )
    },
}
_SOURCES = {place: source for source, place in OUTSIDE.items()}
# The target of a Markdown link or image, without its anchor; nothing with a scheme.
_TARGET = re.compile(r"(?<=\]\()[^)#\s:]+")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fills in what the navigation names by a pattern."""
    config.nav = _expanded(config.nav, Path(config.docs_dir))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages outside docs/."""
    for source, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links between pages of the repository into links between pages of the site."""
    here = page.file.src_uri
    source = posixpath.dirname(_SOURCES.get(here, f"docs/{here}"))

    def on_site(target: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(source, target[0]))
        if not (ROOT / path).exists():
            return target[0]
        return posixpath.relpath(
            OUTSIDE.get(path, path.removeprefix("docs/")), posixpath.dirname(here) or "."
        )

    return _TARGET.sub(on_site, markdown)


def _expanded(nav: Any, docs: Path) -> Any:
    """A navigation in which ``folder/*.md`` is the list of the pages that match, by name."""
    if isinstance(nav, list):
        return [_expanded(item, docs) for item in nav]
    if isinstance(nav, dict):
        return {title: _expanded(item, docs) for title, item in nav.items()}
    if isinstance(nav, str) and "*" in nav:
        return [path.relative_to(docs).as_posix() for path in sorted(docs.glob(nav))]
    return nav
