"""A binding is an injective encoding of what an object belongs to."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.binding import FIELD_BYTES_MAX, FORMAT_NAME, Binding

fields = st.text(min_size=1, max_size=40)
bindings = st.builds(Binding, fields, fields, fields)


@given(bindings, bindings)
@settings(max_examples=100, deadline=None)
def test_two_bindings_never_share_their_bytes(one: Binding, other: Binding) -> None:
    assert (one == other) == (one.associated_data() == other.associated_data())


def test_moving_a_letter_from_one_field_to_the_next_changes_the_bytes() -> None:
    assert Binding("ab", "c", "d").associated_data() != Binding("a", "bc", "d").associated_data()


def test_the_name_of_the_format_and_its_version_come_first() -> None:
    octets = Binding("t", "r", "k").associated_data()
    assert octets == b"\x00\x1a" + FORMAT_NAME.encode() + b"\x00\x01t\x00\x01r\x00\x01k"


def test_a_field_may_have_255_octets_and_no_more() -> None:
    assert len(Binding("t" * FIELD_BYTES_MAX, "r", "k").associated_data()) > FIELD_BYTES_MAX
    with pytest.raises(ValueError, match="255"):
        Binding("t" * (FIELD_BYTES_MAX + 1), "r", "k").associated_data()


def test_an_empty_field_is_refused() -> None:
    with pytest.raises(ValueError, match="not 0"):
        Binding("", "r", "k").associated_data()
