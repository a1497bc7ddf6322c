"""What the pages tell a reader to type exists, and each page has what a reader looks for."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from doc_examples import parse

ROOT = Path(__file__).parents[2]
FOLDERS = ("docker", "kuberay", "aws", "gcp", "slurm")
FILES = sorted(
    path for path in (ROOT / "cluster").rglob("*") if path.is_file() and path.suffix != ".dockerignore"
)
_COMMAND = re.compile(r"fer-ray (?:cluster|data|models|predict|serve|spaces|sweep) [^`'&;|#\n)]*")


def commands(path: Path) -> list[list[str]]:
    """Without what a script hands on."""
    found = _COMMAND.findall(path.read_text())
    return [[word for word in shlex.split(one) if not word.startswith("${@")] for one in found]


def test_the_files_hold_commands_of_ours():
    assert sum(len(commands(path)) for path in FILES) >= 15


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_are_named_exist(path):
    for _, *words in commands(path):
        parse(words)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_page_says_what_is_needed_what_it_costs_and_how_it_ends(folder):
    page = (ROOT / "cluster" / folder / "README.md").read_text()
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert headings == ["Prerequisites", "Three commands", "Cost", "Teardown", "What was checked"]
    commands = page.split("## Three commands")[1].split("```")[1].strip().splitlines()
    assert len(commands) == 3


def test_every_image_is_the_one_that_the_dockerfile_builds():
    images = {}
    for path in FILES:
        if path.suffix == ".yaml":
            images |= {
                found: path
                for found in re.findall(r"^\s*(?:- )?image: (\S+)", path.read_text(), re.MULTILINE)
            }
    assert images
    assert {image.rpartition("/")[2] for image in images} == {"fer-ray:0.1.0", "fer-ray:0.1.0-gpu"}
    dockerfile = (ROOT / "cluster" / "docker" / "Dockerfile").read_text()
    assert "-t fer-ray:0.1.0 ." in dockerfile and "-t fer-ray:0.1.0-gpu --build-arg EXTRA=gpu" in dockerfile


def test_the_dockerfile_and_the_slurm_script_pass_their_linters():
    folder = Path(sys.executable).parent
    lint = [
        [
            folder / "hadolint",
            "--failure-threshold=style",
            "--ignore=DL3066",
            ROOT / "cluster/docker/Dockerfile",
        ],
        # The environment that it enters is not here.
        [folder / "shellcheck", "--exclude=SC1091", ROOT / "cluster/slurm/sweep.sbatch"],
    ]
    for command in lint:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_what_the_dockerfile_copies_is_there_and_not_ignored():
    folder = ROOT / "cluster" / "docker"
    copied = re.findall(r"^COPY (?!--from)(.+)$", (folder / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in copied for source in line.split()[:-1]}
    ignored = (folder / "Dockerfile.dockerignore").read_text().split()
    assert sources == {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / source).exists() for source in sources)


def test_a_login_shell_finds_what_the_image_has():
    """Ray's launcher runs every command in one, and /etc/profile sets PATH anew."""
    dockerfile = (ROOT / "cluster" / "docker" / "Dockerfile").read_text()
    (line,) = re.findall(r"echo '(.+)' > /etc/profile\.d/\S+\.sh", dockerfile)
    done = subprocess.run(
        ["bash", "-c", f". /etc/profile; {line}; echo $PATH"], capture_output=True, text=True, check=True
    )
    first, *others = done.stdout.strip().split(":")
    assert first == "/opt/fer-ray/bin" and "/usr/bin" in others


def test_each_node_of_a_slurm_job_has_the_cores_that_ray_is_told_of():
    script = (ROOT / "cluster" / "slurm" / "sweep.sbatch").read_text().replace("\\\n", " ")
    (start,) = [line for line in script.splitlines() if "ray start" in line]
    step, _, ray = start.partition("ray start")
    assert '--cpus-per-task="$SLURM_CPUS_PER_TASK"' in step and '--num-cpus="$SLURM_CPUS_PER_TASK"' in ray


def test_the_compose_file_is_what_its_specification_allows(tmp_path):
    content = yaml.safe_load((ROOT / "cluster" / "docker" / "compose.yaml").read_text())
    check = [Path(sys.executable).parent / "check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
    good = subprocess.run(
        [*check, ROOT / "cluster/docker/compose.yaml"], capture_output=True, text=True, check=False
    )
    assert good.returncode == 0, good.stdout
    content["services"]["head"]["port"] = []
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(content))
    bad = subprocess.run([*check, tmp_path / "compose.yaml"], capture_output=True, text=True, check=False)
    assert bad.returncode == 1 and "'port'" in bad.stdout


def test_containers_share_folder_token_and_image():
    content = yaml.safe_load((ROOT / "cluster" / "docker" / "compose.yaml").read_text())
    services = content["services"]
    assert set(services) == {"head", "worker", "gpu-worker"}
    for service in services.values():
        assert service["secrets"] == list(content["secrets"])
        (store,) = re.findall(r"--object-store-memory=(\d+)", service["command"])
        assert int(store) <= int(service["shm_size"].removesuffix("g")) * 2**30
        assert service["volumes"] == ["${FER_RAY_DATA:-./data}:/data"]
        target = f"/run/secrets/{service['secrets'][0]}"
        assert service["environment"]["RAY_AUTH_TOKEN_PATH"] == target
    assert all(port.startswith("127.0.0.1:") for port in services["head"]["ports"])
