"""`fer-ray spaces show` and `fer-ray sweep init`, as a person calls them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.keras


def call(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "fer_ray", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def test_show_says_what_a_space_holds(tmp_path):
    space = REPOSITORY / "search_spaces" / "baseline.py"
    done = call("spaces", "show", str(space), "--shape", "24x24x1", "--samples", "2", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    names = [row["name"] for row in shown["hyperparameters"]]
    assert {"filters", "optimizer", "momentum", "batch_size"} <= set(names)
    assert shown["size"] == "infinite"
    assert "val_macro_f1" in shown["metrics"]
    assert len(shown["parameters"]) + len(shown["infeasible"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["spaces", "show", "nowhere.py"], "must be a Python file"),
        (["spaces", "show", "space.py", "--shape", "big"], "must read like 48x48x1"),
        (["spaces", "show", "space.py", "--arguments", "{"], "must be YAML"),
        (["sweep", "run", "nowhere.yaml"], "must be a readable sweep file"),
        (["sweep", "run", "bad.yaml"], "bad.yaml: sheduler: is no key of a sweep file"),
        (["sweep", "run", "good.yaml", "--set", "seed"], "must read key=value"),
        (["sweep", "run", "good.yaml", "--set", "scheduler.eta=1"], "scheduler.eta"),
        (["sweep", "resume", "nowhere"], "must be the folder of a sweep"),
        (["sweep", "init", "good.yaml", "--data", "d"], "must not exist yet"),
        (["spaces", "copy", "."], "must not exist yet"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, arguments, message):
    (tmp_path / "space.py").write_text("def build(hp):\n    pass\n")
    content = "name: x\ndata: d\nspace: {file: space.py}\n"
    (tmp_path / "good.yaml").write_text(content)
    (tmp_path / "bad.yaml").write_text(content + "sheduler: {}\n")
    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1 and message in lines[0], done.stderr
    assert "Traceback" not in done.stderr


def test_init_writes_a_file_that_reads_back(tmp_path):
    from fer_ray.search import SweepSpec

    done = call("sweep", "init", "my.yaml", "--data", "faces", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    spec = SweepSpec.from_yaml(tmp_path / "my.yaml")
    assert (spec.name, spec.data, spec.max_trials) == ("my", "faces", 16)
    assert spec.space.file == REPOSITORY / "search_spaces" / "baseline.py"


def test_the_spaces_that_ship_can_be_copied(tmp_path):
    done = call("spaces", "copy", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shipped, copied = (
        {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
        for folder in (REPOSITORY / "search_spaces", tmp_path / "mine")
    )
    assert copied == shipped
    assert {"baseline.py", "demo.yaml", "transfer.py"} <= set(shipped)
