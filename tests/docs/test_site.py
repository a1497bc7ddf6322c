"""The site builds without a warning, loads nothing from elsewhere, and has what is made from code and results."""

import html
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer.main
from doc_examples import ROOT

import fer_ray
from fer_ray.cli.app import app
from fer_ray.search.sections import Section
from fer_ray.search.spec import SweepSpec

ROOMS = ["data", "export", "nodes", "registry", "results", "search", "search.report", "serving", "spaces"]
# Attributes by which a page loads something, as opposed to a link that a reader follows.
LOADING = {
    ("link", "href"),
    ("use", "href"),
    *((tag, "src") for tag in ("iframe", "img", "script", "source")),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the site, and what MkDocs printed."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    # As `make docs`: the theme tells of its successor at every build.
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(built):
    return built[0]


def text_of(page: Path) -> str:
    """What a reader sees of a page, without its tags."""
    body = page.read_text().partition('<article class="md-content__inner')[2].partition("</article>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", body)).split())


def test_it_builds_without_a_warning(built):
    _, printed = built
    assert "WARNING" not in printed.upper(), printed
    assert "Documentation built in" in printed


class _Loaded(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if values.get("rel") in ("canonical", "next", "prev"):
            return
        self.found += [value or "" for name, value in attributes if (tag, name) in LOADING]


def test_it_loads_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        loaded = _Loaded()
        loaded.feed(page.read_text())
        assert loaded.found
        assert [url for url in loaded.found if re.match(r"(https?:)?//", url)] == [], page
    for sheet in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", sheet.read_text()) == [], sheet


def test_every_command_with_its_options_is_in_the_reference(site):
    told = text_of(site / "reference/command-line.html")
    pending, seen = [("fer-ray", typer.main.get_command(app))], 0
    while pending:
        path, command = pending.pop()
        assert path in told
        seen += 1
        pending += [(f"{path} {name}", each) for name, each in getattr(command, "commands", {}).items()]
        section = told.partition(f"$ {path} ")[2]
        for parameter in command.params:
            for option in parameter.opts:
                assert option in section or option.upper() in section, (path, option)
    assert seen > 30


def test_every_key_of_a_sweep_file_is_explained(site):
    page = (site / "reference/sweep-file.html").read_text()
    rows = re.findall(r"<tr>\s*<td>(?:<a[^>]*>)?<code>(\w+)</code>(.*?)</tr>", page, re.DOTALL)
    sections = Section.__subclasses__()
    assert SweepSpec in sections
    keys = [key for section in sections for key in section.model_fields]
    assert sorted(key for key, _ in rows) == sorted(keys)
    assert "At each rung the best 1/eta go on." in dict(rows)["eta"]
    assert "max_trials: 16" in text_of(site / "reference/sweep-file.html")


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_offers_is_in_the_reference(site, room):
    """By the site's inventory: four lines, then what the reference describes, a name a line, compressed."""
    inventory = zlib.decompress((site / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    described = {line.split()[0] for line in inventory.splitlines()}
    module = importlib.import_module(f"fer_ray.{room}")
    for name in module.__all__:
        # By where it is defined, where a module of the room has the same name.
        home = getattr(getattr(module, name), "__module__", module.__name__)
        assert {f"fer_ray.{room}.{name}", f"{home}.{name}"} & described, name


def test_every_name_of_the_package_leads_to_its_description(site):
    page = site / "reference/python/fer_ray.html"
    links, text = page.read_text(), text_of(page)
    for name in fer_ray.__all__:
        assert re.search(rf'href="[^"]+\.html#fer_ray\.[a-z_.]+\.{name}"', links), name
        assert inspect.getdoc(getattr(fer_ray, name)).splitlines()[0].replace("`", "") in text


def test_results_are_those_of_the_files(site):
    told = text_of(site / "results.html")
    found = json.loads((ROOT / "benchmarks/results/fer2013.json").read_text())
    low, high = found["test_interval"]
    assert f"accuracy of the sweep's winner on test {found['test_accuracy']:.1%}" in told
    assert f"its 95% interval {low:.1%} to {high:.1%}" in told
    for file in (ROOT / "benchmarks/results").glob("*.json"):
        assert f"benchmarks/{file.stem}.py" in told


def test_missing_results_are_said_to_be_missing(tmp_path):
    sys.path.insert(0, str(ROOT / "docs" / "hooks"))
    try:
        from benchmark_results import sections
    finally:
        sys.path.pop(0)
    told = "\n".join(sections(tmp_path))
    for name in ("time_to_accuracy.jsonl", "fer2013.json", "chaos.json", "driver_load.json"):
        assert f"Missing: `benchmarks/results/{name}` is not there" in told
    shutil.copy(ROOT / "benchmarks/results/chaos.json", tmp_path)
    unknown = {"ours_s": 1234.5, "by_size": {"8": {"a": 1}, "16": {"a": None, "b": 2}}}
    (tmp_path / "new_one.json").write_text(json.dumps(unknown))
    told = "\n".join(sections(tmp_path))
    assert "| processes killed | 30 |" in told
    assert "Missing: `benchmarks/results/chaos.json`" not in told
    assert "## new one" in told and "| `ours_s` | 1,234.5 |" in told
    assert "| `16` | none | 2 |" in told


def test_links_of_the_readme_lead_to_pages_of_the_site(site):
    page = (site / "index.html").read_text()
    for place in (
        "quick-start.html",
        "how-to/serve.html",
        "cluster/index.html",
        "CONTRIBUTING.html",
        "report.png",
    ):
        assert f'="{place}"' in page
        assert (site / place).exists()
