"""What the package imports, its own metadata asks for."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fer_ray

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: What users of fer_ray install; `dev` is for those who change it.
EXTRAS = {name: found for name, found in PROJECT["optional-dependencies"].items() if name != "dev"}


def test_every_import_is_of_a_declared_dependency():
    declared = {_name(line) for lines in (PROJECT["dependencies"], *EXTRAS.values()) for line in lines}
    homes = packages_distributions()
    undeclared = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in sorted((ROOT / "fer_ray").rglob("*.py"))
        for module in _imported(path)
        if module not in sys.stdlib_module_names | {"fer_ray", "search_spaces"}
        and not declared & {canonicalize_name(home) for home in homes.get(module, [module])}
    }
    assert not undeclared


def test_the_version_is_told_once():
    assert fer_ray.__version__ == PROJECT["version"]
    assert f"## [{fer_ray.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}
