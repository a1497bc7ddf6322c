"""Finding the hypermodel in a user's file."""

import pickle

import keras_tuner
import pytest

from fer_ray.errors import SpaceError
from fer_ray.training.space_file import SpaceFile

pytestmark = pytest.mark.keras

SUBCLASS = """
import keras_tuner

class Mine(keras_tuner.HyperModel):
    def __init__(self, classes, input_shape, width=1, **further):
        super().__init__()
        self.got = (classes, input_shape, width, further)

    def build(self, hp):
        return hp
"""


def load(space):
    return space.load(7, (48, 48, 1))


def test_a_subclass_is_made_with_what_the_data_set_knows(space_file):
    hypermodel = load(space_file(SUBCLASS))
    assert isinstance(hypermodel, keras_tuner.HyperModel)
    assert hypermodel.got == (7, (48, 48, 1), 1, {})


def test_arguments_go_to_the_constructor_and_win(space_file):
    hypermodel = load(space_file(SUBCLASS, arguments={"width": 5, "classes": 2, "depth": 3}))
    assert hypermodel.got == (2, (48, 48, 1), 5, {"depth": 3})


def test_num_classes_is_filled_in_too(space_file):
    text = SUBCLASS.replace("classes, input_shape, width=1, **further", "num_classes").replace(
        "(classes, input_shape, width, further)", "num_classes"
    )
    assert load(space_file(text)).got == 7


def test_a_constructor_without_arguments_gets_none(space_file):
    text = "import keras_tuner\nclass Mine(keras_tuner.HyperModel):\n    def build(self, hp): return 1"
    assert load(space_file(text)).build(None) == 1


def test_an_instance_is_taken_as_it_is(space_file):
    text = SUBCLASS + "\nready = Mine(3, None)"
    assert load(space_file(text, object="ready")).got == (3, None, 1, {})


@pytest.mark.parametrize("named", [None, "build"])
def test_a_build_function_is_wrapped_as_keras_tuner_does(space_file, named):
    hypermodel = load(space_file("def build(hp):\n    return ('built', hp)", object=named))
    assert isinstance(hypermodel, keras_tuner.HyperModel)
    assert hypermodel.build(3) == ("built", 3)


def test_any_function_can_be_named(space_file):
    assert load(space_file("def network(hp):\n    return 8", object="network")).build(None) == 8


def test_a_class_that_is_only_imported_is_not_the_files_own(space_file):
    text = "from keras_tuner.applications import HyperResNet\n" + SUBCLASS
    assert load(space_file(text)).got[0] == 7


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            SUBCLASS + "\nclass Other(Mine): pass",
            {},
            "HyperModels: Mine, Other. Name the one to use with `object`.",
        ),
        (
            "x = 1",
            {},
            "must define one HyperModel subclass or a build(hp) function. Received: HyperModels: none",
        ),
        (SUBCLASS, {"object": "Missing"}, "must define Missing. Name another object."),
        ("x = 1", {"object": "x"}, "must be a HyperModel or a function build(hp). Received: 1."),
        ("import no_such_module", {}, "must be importable. Received: ModuleNotFoundError: No module named"),
        ("def build(hp:", {}, "must be importable. Received: SyntaxError"),
        ("raise RuntimeError('no')", {}, "must be importable. Received: RuntimeError: no."),
        (
            SUBCLASS,
            {"arguments": {"width": 1, "input_shape": None, 3: 4}},
            "must be constructible from its arg",
        ),
        (
            SUBCLASS.replace(", **further", "").replace(", further", ""),
            {"arguments": {"depth": 2}},
            "must be constructible from its arguments. Received: {'depth': 2}: TypeError",
        ),
    ],
)
def test_what_cannot_be_used_is_one_error(space_file, text, options, message):
    with pytest.raises(SpaceError) as caught:
        load(space_file(text, **options))
    assert "space.py" in str(caught.value) or "space:" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_of_several_can_be_named(space_file):
    space = space_file(SUBCLASS + "\nclass Other(Mine): pass", object="Other")
    assert type(load(space)).__name__ == "Other"


def test_a_missing_file_is_one_error(tmp_path):
    with pytest.raises(SpaceError, match=r"none\.py: must be a Python file"):
        load(SpaceFile(path=tmp_path / "none.py"))


def test_modules_beside_the_original_can_be_imported(space_file, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", __import__("sys").path.copy())
    beside = tmp_path / "original"
    beside.mkdir()
    (beside / "my_sibling_of_a_space.py").write_text("WIDTH = 33")
    text = "import my_sibling_of_a_space\n\ndef build(hp):\n    return my_sibling_of_a_space.WIDTH"
    with pytest.raises(SpaceError, match="my_sibling_of_a_space"):
        load(space_file(text))
    assert load(space_file(text, beside=beside)).build(None) == 33


def test_a_module_beside_comes_before_one_of_that_name_elsewhere(space_file, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [str(tmp_path / "working"), *__import__("sys").path])
    for folder in ("working", "original"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "twice_there.py").write_text(f"WHERE = {folder!r}")
    text = "import twice_there\n\ndef build(hp):\n    return twice_there.WHERE"
    assert load(space_file(text, beside=tmp_path / "original")).build(None) == "original"


def test_what_a_space_needs_is_what_its_code_names_and_what_that_names(space_file, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", __import__("sys").path.copy())
    beside = tmp_path / "original"
    files = {
        "first_needed.py": "NAME = 'chosen_by_name'",
        "later_needed.py": "from parts_needed.heads import head",
        "parts_needed/__init__.py": "",
        "parts_needed/heads.py": "from . import tails",
        "parts_needed/tails.py": "def tail():\n    import last_needed",
        "last_needed.py": "import parts_needed",
        "chosen_by_name.py": "",
        "not_needed.py": "import broken_and_needless",
        "broken_and_needless.py": "def (",
        # What fer_ray and a tracker leave beside a space is none of it.
        "fer_ray/__init__.py": "",
        "json/log.txt": "",
    }
    for name, text in files.items():
        (beside / name).parent.mkdir(parents=True, exist_ok=True)
        (beside / name).write_text(text)
    (tmp_path / "sweep").mkdir()
    space = space_file(
        "import importlib, json\nimport fer_ray\nimport first_needed\n"
        "importlib.import_module(first_needed.NAME)\n\n"
        "def build(hp):\n    if hp.Boolean('rare'):\n        import later_needed\n",
        "sweep/space.py",
        beside=beside,
    )
    load(space)
    assert space.imported_beside() == ["chosen_by_name.py", "first_needed.py"]
    needed = ["chosen_by_name.py", "first_needed.py", "last_needed.py", "later_needed.py", "parts_needed"]
    assert space.needed_beside() == needed


def test_an_unchanged_file_runs_once_and_an_edited_one_again(space_file):
    text = "import random\nDRAWN = random.random()\ndef build(hp):\n    return DRAWN"
    first, again = (load(space_file(text)).build(None) for _ in range(2))
    assert first == again
    assert load(space_file(text + "\n# edited")).build(None) != first


def test_it_travels_to_workers(space_file):
    space = space_file(SUBCLASS, arguments={"width": 2})
    assert load(pickle.loads(pickle.dumps(space))).got == (7, (48, 48, 1), 2, {})
