"""Puts the search spaces that ship into the wheel; all else is said in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithSpaces(build_py):
    """In a checkout they lie beside the package, where people look for them; a wheel has the package only."""

    def run(self) -> None:
        """Copies them into the package that is built; an editable install finds them in the checkout."""
        super().run()
        if not self.editable_mode:
            inside = Path(self.build_lib, "fer_ray", "search_spaces")
            shutil.rmtree(inside, ignore_errors=True)
            shutil.copytree("search_spaces", inside, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithSpaces})
