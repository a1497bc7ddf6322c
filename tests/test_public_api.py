"""What `import fer_ray` offers, and what it costs."""

import inspect
import subprocess
import sys

import pytest

import fer_ray


@pytest.mark.parametrize("name", fer_ray.__all__)
def test_every_name_leads_to_a_documented_object(name):
    found = getattr(fer_ray, name)
    assert found.__name__ == name and inspect.getdoc(found)
    assert name in dir(fer_ray)


def test_what_type_checkers_see_is_what_there_is():
    """The imports under TYPE_CHECKING are those of `__getattr__`, from the same rooms."""
    source = inspect.getsource(fer_ray)
    seen = source[source.index("if TYPE_CHECKING:") : source.index("__version__")]
    names: dict[str, object] = {}
    exec(seen.replace("if TYPE_CHECKING:", "if True:"), names)
    assert {name for name in names if not name.startswith("__")} == set(fer_ray.__all__)
    assert all(names[name] is getattr(fer_ray, name) for name in fer_ray.__all__)


def test_rooms_are_imported_when_they_are_named():
    code = "import fer_ray; print(fer_ray.search.submit.__name__, fer_ray.results.load.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["submit", "load"]
    for room in fer_ray._ROOMS:
        assert inspect.getdoc(getattr(fer_ray, room)) and room in dir(fer_ray)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fer_ray' has no attribute 'train'"):
        fer_ray.train  # noqa: B018


def test_the_import_brings_nothing_along():
    before = "import importlib, sys, typing; before = set(sys.modules)"
    code = f"{before}; import fer_ray; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fer_ray"]
