"""The sealed object: equal to Tink's format, and closed against every way of altering it."""

import io
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tink
from hypothesis import given, settings
from hypothesis import strategies as st
from tink import cleartext_keyset_handle, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

from keys import streaming_aead as aead
from keys.binding import Binding
from keys.errors import SealBroken
from keys.streaming_aead import (
    CIPHERTEXT_SEGMENT_BYTES,
    FIRST_SEGMENT_BYTES,
    HEADER_BYTES,
    PLAINTEXT_BYTES_MAX,
    SEGMENT_BYTES,
    SEGMENTS_COUNT_MAX,
    SealedBytes,
    SealPin,
    SegmentOpener,
    open_sealed,
    seal,
    seal_stream,
)

KEY = bytes(range(32))
AAD = Binding("tenant", "recording", "audio").associated_data()
GOLDEN_SEGMENT = "14f24476428e7cb65546208c28af09b9bc398a2e7591b7af1fff"
GOLDEN_COMMITMENT = "300577d1eaea7ad01fcee066b9cba6af554bbb1f1408ecd0054ea3638553d58c"
LENGTHS = (
    0,
    1,
    FIRST_SEGMENT_BYTES - 1,
    FIRST_SEGMENT_BYTES,
    FIRST_SEGMENT_BYTES + 1,
    FIRST_SEGMENT_BYTES + SEGMENT_BYTES - 1,
    FIRST_SEGMENT_BYTES + SEGMENT_BYTES,
    FIRST_SEGMENT_BYTES + SEGMENT_BYTES + 1,
    3 * SEGMENT_BYTES + 5,
)


def plaintext_of(length: int) -> bytes:
    return random.Random(length).randbytes(length)


def pinned(sealed: SealedBytes, ciphertext: bytes) -> SealPin:
    """Return a pin whose lengths fit `ciphertext`: an attacker who altered the database too."""
    plaintext_bytes = aead.plaintext_length(len(ciphertext))
    segments = aead.segment_count(plaintext_bytes)
    return SealPin(plaintext_bytes, len(ciphertext), segments, sealed.pin.commitment)


def tink_primitive(key: bytes) -> streaming_aead.StreamingAead:
    streaming_aead.register()
    parameters = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=CIPHERTEXT_SEGMENT_BYTES,
        derived_key_size=32,
        hkdf_hash_type=common_pb2.SHA256,
    )
    value = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, params=parameters, key_value=key)
    data = tink_pb2.KeyData(
        type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
        value=value.SerializeToString(),
        key_material_type=tink_pb2.KeyData.SYMMETRIC,
    )
    keyset_key = tink_pb2.Keyset.Key(
        key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW
    )
    keyset = tink_pb2.Keyset(primary_key_id=1, key=[keyset_key])
    handle = cleartext_keyset_handle.read(tink.BinaryKeysetReader(keyset.SerializeToString()))
    return handle.primitive(streaming_aead.StreamingAead)


class Destination(io.BytesIO):
    """A file that keeps its content readable after Tink has closed it."""

    def close(self) -> None:
        self.content = self.getvalue()
        super().close()


@pytest.mark.parametrize("length", LENGTHS)
def test_tink_opens_what_we_seal(length: int) -> None:
    """C3."""
    sealed = seal(KEY, AAD, plaintext_of(length))
    with tink_primitive(KEY).new_decrypting_stream(io.BytesIO(sealed.ciphertext), AAD) as stream:
        assert stream.read() == plaintext_of(length)


@pytest.mark.parametrize("length", LENGTHS)
def test_we_open_what_tink_seals(length: int) -> None:
    """C3."""
    destination = Destination()
    with tink_primitive(KEY).new_encrypting_stream(destination, AAD) as stream:
        stream.write(plaintext_of(length))
    ciphertext = destination.content
    pin = SealPin(length, len(ciphertext), aead.segment_count(length), aead.commitment(KEY, AAD))
    assert open_sealed(KEY, AAD, ciphertext, pin) == plaintext_of(length)


@pytest.mark.parametrize("length", LENGTHS)
def test_what_was_sealed_opens_again_with_the_pinned_numbers(length: int) -> None:
    sealed = seal(KEY, AAD, plaintext_of(length))
    assert open_sealed(KEY, AAD, sealed.ciphertext, sealed.pin) == plaintext_of(length)
    assert sealed.pin.plaintext_bytes == length
    assert sealed.pin.ciphertext_bytes == len(sealed.ciphertext) == aead.ciphertext_length(length)
    assert aead.plaintext_length(len(sealed.ciphertext)) == length
    assert sealed.pin.segments == -(-len(sealed.ciphertext) // CIPHERTEXT_SEGMENT_BYTES)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("piece_bytes", [1000, SEGMENT_BYTES, 1 << 20])
def test_what_comes_in_pieces_is_sealed_as_what_comes_at_once(length: int, piece_bytes: int) -> None:
    plaintext = plaintext_of(length)
    pieces = [plaintext[first : first + piece_bytes] for first in range(0, length, piece_bytes)]
    written: list[bytes] = []
    pin = seal_stream(KEY, AAD, pieces, written.append, bytes)
    assert SealedBytes(b"".join(written), pin) == seal(KEY, AAD, plaintext, bytes)


def test_the_format_of_the_first_release_stays_readable() -> None:
    """C3, a golden object: these octets stand in docs/archive-format.md too."""
    sealed = seal(KEY, AAD, b"earwitness", random=bytes)
    assert sealed.ciphertext.hex() == ("28" + "00" * 39 + GOLDEN_SEGMENT), (
        "The wire format changed: objects of earlier releases would not open."
    )
    assert sealed.pin == SealPin(10, 66, 1, GOLDEN_COMMITMENT)


def test_the_example_and_the_reader_of_the_specification_are_true() -> None:
    """The reader printed in docs/archive-format.md opens what we seal, and its example is the golden object."""
    page = (Path(__file__).parents[3] / "docs" / "archive-format.md").read_text()
    for octets in (AAD.hex(), "28" + "00" * 39, GOLDEN_SEGMENT, GOLDEN_COMMITMENT):
        assert octets in page
    printed: dict[str, Callable[..., bytes]] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], printed)
    for length in LENGTHS:
        sealed = seal(KEY, AAD, plaintext_of(length))
        assert printed["read"](KEY, AAD, sealed.ciphertext, sealed.pin.commitment) == plaintext_of(length)


def test_each_sealing_uses_a_salt_and_nonce_prefix_of_its_own() -> None:
    headers = {seal(KEY, AAD, b"same").ciphertext[:HEADER_BYTES] for _ in range(50)}
    assert len(headers) == 50


def three_segments() -> SealedBytes:
    return seal(KEY, AAD, plaintext_of(FIRST_SEGMENT_BYTES + 2 * SEGMENT_BYTES - 1000))


def segments_of(ciphertext: bytes) -> list[bytes]:
    return [
        ciphertext[start : start + CIPHERTEXT_SEGMENT_BYTES]
        for start in range(0, len(ciphertext), CIPHERTEXT_SEGMENT_BYTES)
    ]


def mutations() -> dict[str, bytes]:
    ciphertext = three_segments().ciphertext
    first, second, third = segments_of(ciphertext)
    return {
        "truncated after the first segment": first,
        "truncated after the second segment": first + second,
        "truncated in the first segment": ciphertext[:30000],
        "truncated in the second segment": ciphertext[: CIPHERTEXT_SEGMENT_BYTES + 30000],
        "truncated in the last segment": ciphertext[:-500],
        "truncated by one octet": ciphertext[:-1],
        "the header alone": ciphertext[:HEADER_BYTES],
        "the first segment dropped": first[:HEADER_BYTES] + second[HEADER_BYTES:] + third,
        "the first segment replaced by nothing": second + third,
        "the middle segment dropped": first + third,
        "two segments swapped": first[:HEADER_BYTES] + second[HEADER_BYTES:] + first + third,
        "the last two segments swapped": first + third + second,
        "one octet appended": ciphertext + b"\0",
        "a segment appended": ciphertext + third,
        "nothing at all": b"",
    }


@pytest.mark.parametrize("name", list(mutations()))
def test_an_object_with_altered_segments_does_not_open(name: str) -> None:
    """C2."""
    with pytest.raises(SealBroken):
        open_sealed(KEY, AAD, mutations()[name], three_segments().pin)


@pytest.mark.parametrize("name", list(mutations()))
def test_an_object_with_altered_segments_does_not_open_with_a_pin_altered_to_fit(name: str) -> None:
    sealed, ciphertext = three_segments(), mutations()[name]
    with pytest.raises(SealBroken):
        open_sealed(KEY, AAD, ciphertext, pinned(sealed, ciphertext))


def test_no_flipped_bit_goes_unnoticed() -> None:
    """C2: every 97th bit of three segments, and every bit of the header."""
    sealed = three_segments()
    bits = [*range(HEADER_BYTES * 8), *range(HEADER_BYTES * 8, len(sealed.ciphertext) * 8, 97)]
    for bit in bits:
        altered = bytearray(sealed.ciphertext)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            open_sealed(KEY, AAD, bytes(altered), sealed.pin)


@pytest.mark.parametrize("octet", [0, 39, 41, 255])
def test_the_header_length_octet_is_compared_because_the_format_does_not_authenticate_it(octet: int) -> None:
    """C2."""
    sealed = seal(KEY, AAD, b"audio")
    with pytest.raises(SealBroken, match="header of 40 octets"):
        open_sealed(KEY, AAD, bytes([octet]) + sealed.ciphertext[1:], sealed.pin)


@pytest.mark.parametrize(
    "binding",
    [
        Binding("other", "recording", "audio"),
        Binding("tenant", "other", "audio"),
        Binding("tenant", "recording", "peaks"),
    ],
)
def test_an_object_copied_to_another_tenant_recording_or_kind_does_not_open(binding: Binding) -> None:
    sealed = three_segments()
    other = binding.associated_data()
    with pytest.raises(SealBroken, match="committed"):
        open_sealed(KEY, other, sealed.ciphertext, sealed.pin)
    forged = replace(sealed.pin, commitment=aead.commitment(KEY, other))
    with pytest.raises(SealBroken, match="Segment 0"):
        open_sealed(KEY, other, sealed.ciphertext, forged)


def test_another_key_does_not_open_even_with_a_commitment_to_it() -> None:
    sealed, other = three_segments(), bytes(32)
    with pytest.raises(SealBroken, match="committed"):
        open_sealed(other, AAD, sealed.ciphertext, sealed.pin)
    forged = replace(sealed.pin, commitment=aead.commitment(other, AAD))
    with pytest.raises(SealBroken, match="Segment 0"):
        open_sealed(other, AAD, sealed.ciphertext, forged)


@pytest.mark.parametrize("text", ["", "00" * 32, "é" * 32])
def test_a_wrong_commitment_is_refused_though_the_key_is_right(text: str) -> None:
    sealed = seal(KEY, AAD, b"audio")
    with pytest.raises(SealBroken, match="committed"):
        open_sealed(KEY, AAD, sealed.ciphertext, replace(sealed.pin, commitment=text))


@pytest.mark.parametrize("field", ["plaintext_bytes", "ciphertext_bytes", "segments"])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_pinned_number_that_does_not_fit_is_refused(field: str, change: int) -> None:
    sealed = three_segments()
    wrong = replace(sealed.pin, **{field: getattr(sealed.pin, field) + change})
    with pytest.raises(SealBroken):
        open_sealed(KEY, AAD, sealed.ciphertext, wrong)


def test_a_range_of_a_truncated_object_is_refused_before_its_first_octet() -> None:
    """C5: the range touches only segments that are still whole; the pin tells what is missing."""
    sealed = three_segments()
    first, second, _ = segments_of(sealed.ciphertext)
    truncated = pinned(sealed, first + second)
    opener = SegmentOpener(KEY, AAD, first[:HEADER_BYTES], truncated)
    start, stop = opener.ciphertext_range(FIRST_SEGMENT_BYTES, FIRST_SEGMENT_BYTES + 10)
    with pytest.raises(SealBroken):
        opener.open((first + second)[start:stop], FIRST_SEGMENT_BYTES, FIRST_SEGMENT_BYTES + 10)


RANGE_PLAINTEXT = plaintext_of(3 * SEGMENT_BYTES + 5)
RANGE_SEALED = seal(KEY, AAD, RANGE_PLAINTEXT)


@given(st.integers(0, len(RANGE_PLAINTEXT)), st.integers(0, len(RANGE_PLAINTEXT)))
@settings(max_examples=100, deadline=None)
def test_any_range_opens_from_the_octets_of_its_range_alone(one: int, other: int) -> None:
    first, last_exclusive = min(one, other), max(one, other)
    opener = SegmentOpener(KEY, AAD, RANGE_SEALED.ciphertext[:HEADER_BYTES], RANGE_SEALED.pin)
    start, stop = opener.ciphertext_range(first, last_exclusive)
    opened = opener.open(RANGE_SEALED.ciphertext[start:stop], first, last_exclusive)
    assert opened == RANGE_PLAINTEXT[first:last_exclusive]
    assert stop - start <= last_exclusive - first + 2 * CIPHERTEXT_SEGMENT_BYTES


@pytest.mark.parametrize(
    ("first", "last_exclusive", "segments"),
    [
        (0, 1, (0, 0)),
        (0, FIRST_SEGMENT_BYTES, (0, 0)),
        (FIRST_SEGMENT_BYTES - 1, FIRST_SEGMENT_BYTES + 1, (0, 1)),
        (FIRST_SEGMENT_BYTES, FIRST_SEGMENT_BYTES + SEGMENT_BYTES, (1, 1)),
        (FIRST_SEGMENT_BYTES + SEGMENT_BYTES, FIRST_SEGMENT_BYTES + SEGMENT_BYTES + 1, (2, 2)),
        (len(RANGE_PLAINTEXT) - 1, len(RANGE_PLAINTEXT), (3, 3)),
        (0, len(RANGE_PLAINTEXT), (0, 3)),
    ],
)
def test_a_range_asks_for_its_own_segments_and_no_other(
    first: int, last_exclusive: int, segments: tuple[int, int]
) -> None:
    opener = SegmentOpener(KEY, AAD, RANGE_SEALED.ciphertext[:HEADER_BYTES], RANGE_SEALED.pin)
    start, stop = opener.ciphertext_range(first, last_exclusive)
    assert start == max(HEADER_BYTES, segments[0] * CIPHERTEXT_SEGMENT_BYTES)
    assert stop == min(len(RANGE_SEALED.ciphertext), (segments[1] + 1) * CIPHERTEXT_SEGMENT_BYTES)


def test_an_empty_range_needs_no_octets_and_an_empty_object_is_verified_all_the_same() -> None:
    opener = SegmentOpener(KEY, AAD, RANGE_SEALED.ciphertext[:HEADER_BYTES], RANGE_SEALED.pin)
    assert opener.ciphertext_range(77, 77) == (HEADER_BYTES, HEADER_BYTES)
    assert opener.open(b"", 77, 77) == b""
    empty = seal(KEY, AAD, b"")
    with pytest.raises(SealBroken, match="Segment 0"):
        open_sealed(KEY, AAD, empty.ciphertext[:-1] + b"\0", replace(empty.pin))


@pytest.mark.parametrize("extra", [-1, 1])
def test_a_store_that_gives_fewer_or_more_octets_than_asked_is_refused(extra: int) -> None:
    opener = SegmentOpener(KEY, AAD, RANGE_SEALED.ciphertext[:HEADER_BYTES], RANGE_SEALED.pin)
    start, stop = opener.ciphertext_range(0, 10)
    with pytest.raises(SealBroken, match="asked for"):
        opener.open(RANGE_SEALED.ciphertext[start : stop + extra], 0, 10)


@pytest.mark.parametrize("octets", [0, 39])
def test_an_opener_refuses_a_header_that_is_not_whole(octets: int) -> None:
    with pytest.raises(SealBroken, match="header"):
        SegmentOpener(KEY, AAD, RANGE_SEALED.ciphertext[:octets], RANGE_SEALED.pin)


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (5, 4), (0, len(RANGE_PLAINTEXT) + 1)])
def test_a_range_outside_the_plaintext_is_a_defect_of_the_caller(first: int, last: int) -> None:
    opener = SegmentOpener(KEY, AAD, RANGE_SEALED.ciphertext[:HEADER_BYTES], RANGE_SEALED.pin)
    with pytest.raises(ValueError, match="no range"):
        opener.ciphertext_range(first, last)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytes(16)])
def test_a_key_of_another_size_is_a_defect_of_the_caller(key: bytes) -> None:
    with pytest.raises(ValueError, match="32 octets"):
        seal(key, AAD, b"audio")


def test_the_largest_plaintext_has_exactly_as_many_segments_as_nonces_can_count() -> None:
    assert aead.segment_count(PLAINTEXT_BYTES_MAX) == SEGMENTS_COUNT_MAX
    assert aead.plaintext_length(aead.ciphertext_length(PLAINTEXT_BYTES_MAX)) == PLAINTEXT_BYTES_MAX
    with pytest.raises(ValueError, match="octets"):
        aead.segment_count(PLAINTEXT_BYTES_MAX + 1)
    with pytest.raises(SealBroken):
        aead.plaintext_length(aead.ciphertext_length(PLAINTEXT_BYTES_MAX) + 17)


@given(st.integers(0, 2**30))
@settings(max_examples=100, deadline=None)
def test_lengths_of_plaintext_and_ciphertext_are_each_others_inverse(length: int) -> None:
    assert aead.plaintext_length(aead.ciphertext_length(length)) == length


@pytest.mark.parametrize("tail", [0, 1, 16])
def test_a_last_segment_without_plaintext_is_no_length_of_a_sealed_object(tail: int) -> None:
    """Tink's writer never makes one, so that each plaintext has one length only."""
    length = CIPHERTEXT_SEGMENT_BYTES + tail
    if tail == 0:
        assert aead.plaintext_length(length) == FIRST_SEGMENT_BYTES
    else:
        with pytest.raises(SealBroken):
            aead.plaintext_length(length)
