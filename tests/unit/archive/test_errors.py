"""Errors of the archive can be told apart by what a caller should do next."""

from __future__ import annotations

import inspect

from archive import errors


def test_every_error_of_the_package_stands_in_the_drawn_hierarchy() -> None:
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    assert all(issubclass(each, errors.ArchiveError) for each in classes)
    assert errors.__doc__ is not None
    assert all(each.__name__ in errors.__doc__ for each in classes)


def test_what_may_be_tried_again_is_one_family() -> None:
    for each in (errors.CatalogueUnavailable, errors.StoreUnavailable, errors.StoreClockDiffers):
        assert issubclass(each, errors.DependencyUnavailable)
    assert not issubclass(errors.VerificationFailed, errors.DependencyUnavailable)


def test_a_broken_chain_names_writer_and_position() -> None:
    error = errors.ChainBroken("Audit entry 4 of portal/one was changed.", writer="portal/one", position=4)
    assert (error.writer, error.position) == ("portal/one", 4)
    assert isinstance(error, errors.VerificationFailed)
