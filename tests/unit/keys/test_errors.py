"""The errors of keys have one base and are told apart by class."""

import inspect

from keys import errors


def test_every_error_has_the_base_and_is_drawn_in_the_docstring() -> None:
    classes = [value for _, value in inspect.getmembers(errors, inspect.isclass)]
    assert len(classes) == 7
    for value in classes:
        assert issubclass(value, errors.KeysError)
        assert value.__name__ in str(errors.__doc__)
