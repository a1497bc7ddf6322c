"""Loading a Keras Tuner `HyperModel` (or `build` function) from a user's Python file."""

import ast
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from fer_ray.errors import SpaceError
from fer_ray.files import sha256_of

#: Of another make than a space: where it lies beside one, as in a checkout, it is not the space's to keep.
_OWN_PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True, kw_only=True)
class SpaceFile:
    """Where a space is defined; pickles, so that it travels to workers.

    Args:
        path: A Python file that every worker can read.
        object: The `HyperModel` subclass, instance or build function in it; None where there is just one.
        arguments: For the constructor; `classes` and `input_shape` are filled in where it takes them.
        beside: A folder whose modules the file may import, before any of that name elsewhere.
    """

    path: Path
    object: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    beside: Path | None = None

    def load(self, classes: int, input_shape: tuple[int, int, int]) -> Any:
        """Makes the hypermodel for a data set.

        Args:
            classes: How many classes the data set has.
            input_shape: (height, width, channels) of its images.

        Returns:
            A `keras_tuner.HyperModel`.

        Raises:
            SpaceError: If the file cannot be imported, or holds no such object.
        """
        import keras_tuner

        name, found = self._find(self._import())
        if inspect.isclass(found):
            return self._construct(name, found, classes, input_shape)
        if isinstance(found, keras_tuner.HyperModel):
            return found
        return _from_function(found)

    def object_name(self) -> str:
        """The name of the object that `load` takes.

        Raises:
            SpaceError: As `load`.
        """
        return self._find(self._import())[0]

    def imported_beside(self) -> list[str]:
        """The files of `beside` that this process has imported, relative to it, such as ``parts/heads.py``.

        Neither are installed packages, where an environment lies there too, nor fer_ray, nor what lies with the
        file itself.
        """
        if self.beside is None:
            return []
        files = [Path(file) for module in list(sys.modules.values()) if (file := _file_of(module))]
        inside = [
            file.relative_to(self.beside)
            for file in files
            if file.is_relative_to(self.beside) and not file.is_relative_to(self.path.parent)
        ]
        others = ("site-packages" in path.parts or path.parts[0] == _OWN_PACKAGE for path in inside)
        return sorted({str(path) for path, is_other in zip(inside, others, strict=True) if not is_other})

    def packages_imported(self) -> list[str]:
        """The packages that the file needs wherever it is imported: neither Python's own nor what lies in `beside`.

        Only imports at its top level count, since others may never be run.
        """
        try:
            body = ast.parse(self.path.read_bytes()).body
        except (OSError, SyntaxError, ValueError):  # discovery says so
            return []
        named = {name for node in body for name in _named_by(node)}
        own = {path.stem for path in (self.beside or self.path.parent).iterdir()}
        return sorted(named - sys.stdlib_module_names - own)

    def needed_beside(self) -> list[str]:
        """What the space imports of `beside`, sooner or later: names there of modules and packages.

        What this process has imported, and what the code names besides, such as in a branch of `build` that no
        configuration has come to yet.
        """
        if self.beside is None:
            return []
        found = {self.beside / Path(file).parts[0] for file in self.imported_beside()}
        unread = [self.path, *found]
        while unread:
            named = set(_named_beside(unread.pop(), self.beside)) - found
            found |= named
            unread += named
        return sorted(path.name for path in found)

    def _import(self) -> ModuleType:
        if not self.path.is_file():
            raise SpaceError(
                str(self.path), "must be a Python file with a HyperModel or a build(hp) function"
            )
        # The name holds the content's digest: an edited file is a new module, an unchanged one is not run twice.
        name = f"fer_ray_space_{sha256_of(self.path)[:16]}"
        if name in sys.modules:
            return sys.modules[name]
        if self.beside is not None and str(self.beside) not in sys.path:
            # First, as of a script: a module of that name in the working directory is another one.
            sys.path.insert(0, str(self.beside))
        spec = importlib.util.spec_from_file_location(name, self.path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        # Keras saves custom objects by module name, so the module has to be found again.
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise SpaceError(
                str(self.path), "must be importable", f"{type(error).__name__}: {error}"
            ) from error
        return module

    def _find(self, module: ModuleType) -> tuple[str, Any]:
        import keras_tuner

        if self.object is not None:
            if not hasattr(module, self.object):
                raise SpaceError(str(self.path), f"must define {self.object}", remedy="Name another object")
            return self.object, getattr(module, self.object)
        own = {
            name: value
            for name, value in vars(module).items()
            if inspect.isclass(value)
            and issubclass(value, keras_tuner.HyperModel)
            and value.__module__ == module.__name__
        }
        if not own and callable(getattr(module, "build", None)):
            return "build", module.build
        if len(own) != 1:
            raise SpaceError(
                str(self.path),
                "must define one HyperModel subclass or a build(hp) function",
                f"HyperModels: {', '.join(own) or 'none'}",
                "Name the one to use with `object`",
            )
        return next(iter(own.items()))

    def _construct(
        self, name: str, hypermodel: Callable[..., Any], classes: int, shape: tuple[int, int, int]
    ) -> Any:
        takes = inspect.signature(hypermodel).parameters
        offered = {"classes": classes, "num_classes": classes, "input_shape": shape}
        filled = {key: value for key, value in offered.items() if key in takes}
        try:
            return hypermodel(**{**filled, **self.arguments})
        except Exception as error:
            raise SpaceError(
                f"{self.path}: {name}",
                "must be constructible from its arguments",
                f"{self.arguments}: {type(error).__name__}: {error}",
            ) from error


def _file_of(module: ModuleType) -> str | None:
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else None


def _named_beside(code: Path, beside: Path) -> Iterator[Path]:
    """Modules and packages of a folder that a file, or any file of a package, names in an import."""
    for file in code.rglob("*.py") if code.is_dir() else [code]:
        for name in set(_named_in(file)) - {_OWN_PACKAGE}:
            module, package = beside / f"{name}.py", beside / name
            if module.is_file():
                yield module
            if any(package.glob("*.py")):
                yield package


def _named_in(file: Path) -> Iterator[str]:
    """The first part of what each import in a file names, whether it is ever run or not."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (OSError, SyntaxError, ValueError):  # nobody can import it
        return
    for node in nodes:
        yield from _named_by(node)


def _named_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0]


def _from_function(build: Callable[[Any], Any]) -> Any:
    """Wraps a build function as Keras Tuner does."""
    import keras_tuner

    if not callable(build):
        raise SpaceError("space", "must be a HyperModel or a function build(hp)", repr(build))

    class BuildFunction(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            return build(hp)

    return BuildFunction()
