"""Range headers select octets, are ignored, or lie outside; they never fail otherwise."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playback_portal.byte_range import ByteRange, Unsatisfiable, matches, wanted

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("bytes=10-", (10, 100)),
        ("bytes=99-", (99, 100)),
        ("bytes=50-1000", (50, 100)),
        ("bytes=-1", (99, 100)),
        ("bytes=-100", (0, 100)),
        ("bytes=-1000", (0, 100)),
        ("BYTES= 5-6 ", (5, 7)),
    ],
)
def test_a_single_range_selects_its_octets(header: str, expected: tuple[int, int]) -> None:
    assert wanted(header, None, ETAG, 100) == ByteRange(*expected)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-4",
        "bytes=a-b",
        "bytes=0-1,5-6",
        "items=0-1",
        "bytes=0-" + "9" * 19,
    ],
)
def test_what_is_not_understood_is_ignored(header: str | None) -> None:
    assert wanted(header, None, ETAG, 100) is None


@pytest.mark.parametrize(
    ("header", "length"),
    [("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-5", 0)],
)
def test_a_range_outside_the_representation_is_unsatisfiable(header: str, length: int) -> None:
    with pytest.raises(Unsatisfiable):
        wanted(header, None, ETAG, length)


def test_the_largest_number_that_is_read_has_18_digits() -> None:
    assert wanted("bytes=0-" + "9" * 18, None, ETAG, 100) == ByteRange(0, 100)


def test_a_range_of_another_representation_is_ignored() -> None:
    assert wanted("bytes=0-1", '"other"', ETAG, 100) is None
    assert wanted("bytes=0-1", f"W/{ETAG}", ETAG, 100) is None
    assert wanted("bytes=0-1", ETAG, ETAG, 100) == ByteRange(0, 2)


@pytest.mark.parametrize(
    ("header", "strong", "weak"),
    [
        (ETAG, True, True),
        (f"W/{ETAG}", False, True),
        (f'"other", {ETAG}', True, True),
        (f' "o,ther" ,W/{ETAG}', False, True),
        ("*", True, True),
        ('"other"', False, False),
        ("abc", False, False),
        ("", False, False),
    ],
)
def test_entity_tags_are_compared_strongly_or_weakly(header: str, strong: bool, weak: bool) -> None:
    assert matches(header, ETAG, weak=False) is strong
    assert matches(header, ETAG, weak=True) is weak


@given(st.text(alphabet="bytes=-,0123456789 x", max_size=30), st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_any_header_gives_a_range_inside_or_nothing(header: str, length: int) -> None:
    try:
        found = wanted(header, None, ETAG, length)
    except Unsatisfiable:
        return
    assert found is None or 0 <= found.first < found.last_exclusive <= length
