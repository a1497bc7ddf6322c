"""Every error crosses processes whole and says where, what and what to do."""

import pickle
import re

import pytest

from fer_ray import errors

CLASSES = [value for value in vars(errors).values() if isinstance(value, type)]


def test_the_tree_drawn_in_the_docstring_is_the_tree():
    drawn = set(re.findall(r"\b[A-Z]\w+Error\b", errors.__doc__)) - {"ValueError", "LookupError"}
    assert drawn == {error.__name__ for error in CLASSES}
    assert all(issubclass(error, errors.FerRayError) for error in CLASSES)


@pytest.mark.parametrize("error", CLASSES)
@pytest.mark.parametrize("arguments", [("a.yaml: eta", "must be at least 2", "1", "Take 3"), ("a", "b")])
def test_an_error_survives_pickle(error, arguments):
    raised = error(*arguments)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(raised, protocol))
        assert type(again) is error
        assert str(again) == str(raised)
        assert again.args == raised.args
        names = ("where", "rule", "received", "remedy")
        assert [getattr(again, name) for name in names] == [getattr(raised, name) for name in names]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("eta", "must be at least 2"), "eta: must be at least 2."),
        (("eta", "must be at least 2", "1"), "eta: must be at least 2. Received: 1."),
        (("eta", "is bad", "", "Take 3"), "eta: is bad. Take 3."),
        (("eta", "is bad", "1", "Take 3"), "eta: is bad. Received: 1. Take 3."),
    ],
)
def test_the_sentence_has_the_parts_that_there_are(arguments, text):
    assert str(errors.FerRayError(*arguments)) == text


def test_callers_can_catch_what_python_would_raise():
    assert issubclass(errors.ConfigError, ValueError)
    assert issubclass(errors.DataError, ValueError)
    assert issubclass(errors.SpaceError, ValueError)
    assert issubclass(errors.ModelNotFoundError, LookupError)
    assert issubclass(errors.InfeasibleModelError, errors.FailedTrialError)
