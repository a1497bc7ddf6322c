"""The wheel and the source distribution: what is in them, and that they install and run where nothing else is."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "CHANGELOG.md")
#: What the package opens at run time, each read by a test of the installed package.
READ_DATA = """
from importlib.resources import files

package = files("fer_ray")
for name in (
    "py.typed",
    "data/page.html.j2",
    "registry/card.md.j2",
    "results/report/page.css",
    "results/report/page.html.j2",
    "results/report/page.js",
    "serving/page.html",
    "search_spaces/baseline.py",
    "search_spaces/demo.yaml",
):
    assert (package / name).is_file(), name
print(package)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what packages are built from, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("source")
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    for name in ("fer_ray", "search_spaces"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def package_files() -> set[str]:
    """What a wheel must hold: all files of the package, and the spaces that ship inside it."""
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "fer_ray").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    shipped = (ROOT / "search_spaces").glob("*.*")
    return found | {f"fer_ray/search_spaces/{path.name}" for path in shipped}


def run(*command: str | Path, cwd: Path) -> str:
    # What the tests import by PYTHONPATH is nothing that an installed package may find.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, out: Path, *what: str) -> None:
    # Without isolation: setuptools is here, and nothing has to be fetched.
    run(sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", out, ".", cwd=source)


def test_the_wheel_has_every_file_of_the_package(source, tmp_path):
    build(source, tmp_path, "--wheel")
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == package_files()
    assert any(name.endswith(".j2") for name in names) and "fer_ray/py.typed" in names


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_runs_in_an_empty_environment(kind, source, tmp_path):
    build(source, tmp_path / "dist", f"--{kind}")
    (package,) = (tmp_path / "dist").iterdir()
    if kind == "sdist":
        with tarfile.open(package) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        assert {"search_spaces/baseline.py", "setup.py", "CHANGELOG.md"} <= names
    empty, work = tmp_path / "empty", tmp_path / "work"
    work.mkdir()
    venv.create(empty, with_pip=True)
    python, fer_ray = empty / "bin" / "python", empty / "bin" / "fer-ray"
    (site_packages,) = (empty / "lib").glob("python*/site-packages")
    if kind == "wheel":
        install(python, f"{package}[cpu]", "-c", ROOT / "requirements.lock", cwd=work)
        run(python, "-m", "pip", "check", cwd=work)
    else:
        lend_packages(python, site_packages)
        install(python, package, "--no-deps", "--no-build-isolation", "--ignore-installed", cwd=work)
    assert "sweep" in run(fer_ray, "--help", cwd=work)
    assert run(python, "-c", READ_DATA, cwd=work).strip() == str(site_packages / "fer_ray")
    run(fer_ray, "sweep", "init", "my.yaml", "--data", "faces", cwd=work)
    assert f"file: {site_packages}/fer_ray/search_spaces/baseline.py" in (work / "my.yaml").read_text()
    run(fer_ray, "spaces", "copy", "mine", cwd=work)
    shown = run(fer_ray, "spaces", "show", "mine/baseline.py", "--samples", "1", "--json", cwd=work)
    assert '"filters"' in shown
    if kind == "wheel":
        run(fer_ray, "demo", "--once", "--port", "8123", cwd=work)


def install(python: Path, *what: str | Path, cwd: Path) -> None:
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what, cwd=cwd)


def lend_packages(python: Path, site_packages: Path) -> None:
    """Makes the modules of this environment importable in an empty one, whose dependencies are then not fetched.

    A path file leads to them, and to no fer_ray, unlike this environment's own path file of an editable install.
    """
    # Before Python 3.12 an empty environment has a setuptools of its own, too old to build this.
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools", cwd=site_packages)
    lent = [path for path in sys.path if path.endswith("site-packages")]
    (site_packages / "lent.pth").write_text("\n".join(lent))
