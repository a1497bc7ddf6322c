"""What is checked before a commit is what CI checks."""

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def run(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_a_commit_is_checked_as_ci_checks():
    """One list of checks, the Makefile's: CI and the hook before a commit both run it, and nothing else."""
    run(sys.executable, "-m", "pre_commit", "validate-config", ".pre-commit-config.yaml")
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (hook,) = repo["hooks"]
    assert (repo["repo"], hook["entry"], hook["language"]) == ("local", "make check", "system")
    assert hook["always_run"] and not hook["pass_filenames"]
    assert "\nmake check\n" in (ROOT / ".ci" / "run").read_text()
    # Under `make test` the inner make tells of its folders too.
    lines = run("make", "--dry-run", "check").splitlines()
    steps = [Path(line.split()[0]).name for line in lines if line.startswith(".venv/bin/")]
    assert steps[-4:] == ["ruff", "ruff", "mypy", "lint-imports"]
