"""Errors: one line that says what and how, and a place in the tree."""

import inspect

import pytest

from activity import errors
from activity.errors import ChoparError, RuleError, SettingError, TemplateError, Unreachable

ALL = [one for _, one in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("error", ALL)
def test_each_error_is_one_of_ours_and_stands_in_the_tree(error: type[Exception]) -> None:
    assert issubclass(error, ChoparError)
    assert errors.__doc__
    assert f"{error.__name__} " in errors.__doc__.replace("\n", " \n")


def test_errors_name_the_setting() -> None:
    for kind in (SettingError, RuleError, TemplateError):
        assert str(kind("CHOPAR_X", "expected a number")) == "CHOPAR_X: expected a number"
        assert kind("CHOPAR_X", "expected a number").name == "CHOPAR_X"
    unreachable = Unreachable("CHOPAR_X", "h:1", "refused", "is it up?")
    assert str(unreachable) == "CHOPAR_X: no answer from h:1 (refused); is it up?"
    assert unreachable.setting == "CHOPAR_X"
