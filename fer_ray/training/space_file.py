"""Loading a Keras Tuner `HyperModel` (or `build` function) from a user's Python file."""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from fer_ray.errors import SpaceError
from fer_ray.files import sha256_of


@dataclass(frozen=True, kw_only=True)
class SpaceFile:
    """Where a space is defined; pickles, so that it travels to workers.

    Args:
        path: A Python file that every worker can read.
        object: The `HyperModel` subclass, instance or build function in it; None where there is just one.
        arguments: For the constructor; `classes` and `input_shape` are filled in where it takes them.
        beside: A folder whose modules the file may import, where a worker has it.
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
        """What this process has imported of `beside`: names there of modules and packages, such as ``helper.py``.

        Neither installed packages are, where an environment lies there too, nor what lies with the file itself.
        """
        if self.beside is None:
            return []
        files = [Path(file) for module in list(sys.modules.values()) if (file := _file_of(module))]
        inside = [
            file.relative_to(self.beside)
            for file in files
            if file.is_relative_to(self.beside) and not file.is_relative_to(self.path.parent)
        ]
        return sorted({path.parts[0] for path in inside if "site-packages" not in path.parts})

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
            sys.path.append(str(self.beside))
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


def _from_function(build: Callable[[Any], Any]) -> Any:
    """Wraps a build function as Keras Tuner does."""
    import keras_tuner

    if not callable(build):
        raise SpaceError("space", "must be a HyperModel or a function build(hp)", repr(build))

    class BuildFunction(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            return build(hp)

    return BuildFunction()
