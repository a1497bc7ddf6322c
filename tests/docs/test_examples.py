"""The examples of the pages: Python runs, sweep files are valid, commands and their options exist."""

import ast
import re
import shutil
from pathlib import Path

import pytest
import yaml
from doc_examples import PAGES, PYTHON, ROOT, SHELL, TEXT, YAML, Block, blocks, commands, inline_codes, parse
from doc_examples import parse_mention as mention
from PIL import Image

from fer_ray.data.synthetic import write_synthetic
from fer_ray.search import SweepSpec

# What the examples call their own: a data set, a space, a sweep file.
SPACE = """
import keras


def build(hp):
    model = keras.Sequential([
        keras.Input((16, 16, 1)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(hp.Int("units", 4, 64, step=4), activation="relu"),
        keras.layers.Dense(7, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""
SWEEP = {
    "name": "my",
    "data": "data/faces",
    "space": {"file": "my_space.py"},
    "max_trials": 2,
    "scheduler": {"eta": 2, "max_epochs": 2},
}
README = ROOT / "README.md"
RUNNING = [page for page in PAGES if page != README and blocks(page, PYTHON)]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run(page: Path) -> None:
    """Runs a page's Python in order, as one program; of what is parsed only, the imports."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page, PYTHON):
        tree = ast.parse(block.code, str(block))
        if block.reason is not None:
            tree.body = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
        ast.increment_lineno(tree, block.line - 1)
        exec(compile(tree, block.page, "exec"), names)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder in which the README's example has run its sweep, for the other pages to read."""
    import ray

    folder = tmp_path_factory.mktemp("workspace")
    write_synthetic(folder / "data" / "faces", images=300, size=16)
    (folder / "my_space.py").write_text(SPACE)
    (folder / "my.yaml").write_text(yaml.safe_dump(SWEEP))
    Image.new("L", (20, 20), 200).save(folder / "face.jpg")
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            run(README)
    finally:
        ray.shutdown()
    return folder


@pytest.mark.ray
def test_the_example_of_the_readme_runs_a_sweep(workspace, capsys):
    assert "run(SweepSpec.from_yaml(" in README.read_text()
    assert (workspace / "sweeps/my/trials.parquet").exists()
    assert list((workspace / "registry/my").glob("*/manifest.json"))


@pytest.mark.ray
@pytest.mark.parametrize("page", RUNNING, ids=name)
def test_python_examples_run(page, workspace, tmp_path, monkeypatch):
    shutil.copytree(workspace, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    run(page)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_yaml_examples_are_parts_of_a_sweep_file(page):
    for block in blocks(page, YAML):
        content = yaml.safe_load(block.code)
        if block.reason is None:
            SweepSpec.parse({**SWEEP, **content}, str(block))
    for code in inline_codes(page):
        content = sweep_part(code)
        if content:
            SweepSpec.parse({**SWEEP, **content}, f"{page}: {code}")


def sweep_part(code: str) -> dict[str, object] | None:
    """What a code in the text sets in a sweep file; None if it is something else, or leaves its values out."""
    if not re.match(r"[a-z_]+: ", code) or "..." in code:
        return None
    content = yaml.safe_load(code)
    return content if isinstance(content, dict) and set(content) <= set(SweepSpec.model_fields) else None


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_are_those_of_the_command_line(page):
    for block in blocks(page, SHELL):
        for words in commands(block.code):
            check(parse, words, str(block))
    for code in inline_codes(page):
        if re.search("(^|')fer-ray ", code):
            for words in commands(code):
                check(mention, words, f"{page}: {code}")


def check(parser, words: list[str], where: str) -> None:
    try:
        parser(words)
    except Exception as error:
        raise AssertionError(f"{where}: fer-ray {' '.join(words)}: {error}") from error


def test_targets_of_make_exist():
    targets = set(re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split())
    named = {
        found
        for page in PAGES
        for code in [*(block.code for block in blocks(page, SHELL)), *inline_codes(page)]
        for found in re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)
    }
    assert {"env", "check", "test", "demo", "docs"} <= named <= targets


def test_contributing_begins_with_three_commands():
    assert blocks(ROOT / "CONTRIBUTING.md", SHELL)[0].code.split("\n") == [
        "make env",
        "make check",
        "make test",
        "",
    ]


def test_every_block_is_of_a_kind_that_is_tested():
    found = [block for page in PAGES for block in blocks(page)]
    assert {block.language for block in found} <= {SHELL, PYTHON, YAML, TEXT}
    assert sum(len(list(commands(block.code))) for block in found if block.language == SHELL) > 60


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fer-ray sweep rum my.yaml", "rum"),
        ("fer-ray sweep run my.yaml --epochs 3", "--epochs"),
        ("cd /data && .venv/bin/fer-ray sweep run", "file"),
        ("sh -c 'fer-ray data synth --out x --images many'", "integer"),
    ],
)
def test_what_is_wrong_is_found(line, message):
    ((words),) = commands(line)
    with pytest.raises(Exception, match=re.escape(message)):
        parse(words)


def test_commands_are_found_wherever_they_stand():
    text = "fer-ray a  # fer-ray b\nx=$(echo y) fer-ray c 'd e' | fer-ray f \\\n  --g &&\n./bin/fer-ray h"
    assert list(commands(text)) == [["a"], ["c", "d e"], ["f", "--g"], ["h"]]


def test_a_block_has_its_line_and_the_reason_why_it_does_not_run(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n\n<!-- parsed only: no cluster -->\n```python\nx = 1\n```\n\n```yaml\nseed: 1\n```\n"
    )
    first, second = blocks(page)
    assert first == Block(page, 5, PYTHON, "x = 1\n", "no cluster")
    assert (second.language, second.line, second.reason) == (YAML, 9, None)
