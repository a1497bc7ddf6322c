"""`fer-ray data describe`, as a user types it."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from fer_ray.cli.app import app
from fer_ray.data.synthetic import write_synthetic

MAIN = "from fer_ray.cli.app import main; main()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_synthetic(tmp_path_factory.mktemp("describe") / "drawn", images=80, size=16).path


def describe(*words):
    result = CliRunner().invoke(app, ["data", "describe", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def fails(*words):
    command = [sys.executable, "-c", MAIN, "data", "describe", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.strip().splitlines()
    return line


def test_json_is_the_description_and_nothing_else(folder, tmp_path):
    wanted = json.loads((folder / "dataset.json").read_text())
    wanted.pop("format_version")
    assert json.loads(describe(folder, "--json")) == {**wanted, "path": str(folder)}
    written = describe(folder, "--json", "--out", tmp_path / "page", "--no-images")
    assert json.loads(written) == {**wanted, "path": str(folder)}
    assert (tmp_path / "page" / "index.html").is_file()


def test_the_tables_need_no_heavy_import(folder):
    code = (
        f"import sys; sys.argv = ['fer-ray', 'data', 'describe', {str(folder)!r}]\n"
        "from fer_ray.cli.app import main\n"
        "main()\n"
    )
    tail = "print(sorted({'keras', 'tensorflow', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    code = f"import atexit, sys\natexit.register(lambda: {tail})\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "add --out FOLDER" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.keras
def test_the_page_and_its_figures(folder, tmp_path):
    out = tmp_path / "page"
    assert f"Page: {out / 'index.html'}" in describe(folder, "--out", out, "--images", 2, "--seed", 4)
    names = {path.name for path in out.iterdir()}
    assert names == {
        "index.html",
        *(
            f"{name}.png"
            for name in ("augmented", "brightness", "class_distribution", "mean_images", "samples")
        ),
    }
    html = (out / "index.html").read_text()
    assert "happy, augmented, default" in html and "happy, augmented, strongest" in html
    assert html.count('alt="happy, train"') == 2


def test_errors_are_one_line(folder, tmp_path):
    assert fails(tmp_path / "none") == (
        f"Error: {tmp_path / 'none'}: a data set must hold a dataset.json. Run `fer-ray data import`."
    )
    (tmp_path / "page").mkdir()
    assert fails(folder, "--out", tmp_path / "page") == (
        f"Error: {tmp_path / 'page'}: the output folder must not exist. Add --overwrite to replace it."
    )


def test_without_tensorflow_the_error_says_what_to_do(folder, tmp_path):
    """As on a machine where only the data is prepared."""
    words = (folder, "--out", tmp_path / "page")
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.modules['tensorflow'] = None; {MAIN}",
        "data",
        "describe",
    ]
    done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 1
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("Error: augmented samples: needs TensorFlow.")
    assert error.endswith("Install fer-ray[cpu], or add --no-augmented.")
    assert not (tmp_path / "page").exists()
    done = subprocess.run([*command, *map(str, words), "--no-augmented"], capture_output=True, text=True)
    assert done.returncode == 0
    names = {path.name for path in (tmp_path / "page").iterdir()}
    assert {"index.html", "samples.png"} < names and "augmented.png" not in names
