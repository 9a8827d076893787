"""Sealed objects: AES-256-GCM in segments, in Tink's AES-GCM-HKDF streaming wire format.

A ciphertext is `header || segment 0 || segment 1 || ...`. The header is one octet
with its own length (40), a salt of 32 octets and a nonce prefix of 7. HKDF-SHA256
(RFC 5869) over the key, with that salt and the associated data as info, gives the
key of the segments; each is AES-256-GCM with the nonce `prefix || index in 4 octets ||
1 for the last segment, else 0`. The header counts as part of the first 64 KiB.

What is added to Tink's format stands outside the ciphertext, in a `SealPin`: the
lengths and the number of segments, so that a range read from the middle notices a
truncated object, and a commitment to the key, because AES-GCM alone lets one
ciphertext open under two keys. The header's length octet is not authenticated by
the format, so it is compared.

Rules: pure; randomness comes in as an argument. Plaintext of a segment leaves only
after its tag was verified. Every mismatch raises `SealBroken`; sizes that our own
code gets wrong raise ValueError.

Not here: where pins and keys are kept (`archive`), and what an object is bound to
(`keys.binding`).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys.errors import SealBroken

KEY_BYTES = 32
SALT_BYTES = 32
NONCE_PREFIX_BYTES = 7
TAG_BYTES = 16
HEADER_BYTES = 1 + SALT_BYTES + NONCE_PREFIX_BYTES
CIPHERTEXT_SEGMENT_BYTES = 65536
SEGMENT_BYTES = CIPHERTEXT_SEGMENT_BYTES - TAG_BYTES
FIRST_SEGMENT_BYTES = SEGMENT_BYTES - HEADER_BYTES

SEGMENTS_COUNT_MAX = 2**32
"""The index of a segment has 4 octets of the nonce; one more segment would repeat a nonce."""

PLAINTEXT_BYTES_MAX = FIRST_SEGMENT_BYTES + (SEGMENTS_COUNT_MAX - 1) * SEGMENT_BYTES
"""What SEGMENTS_COUNT_MAX segments hold, about 256 TiB."""

_COMMITMENT_SALT = b"earwitness key commitment/1"


@dataclass(frozen=True)
class SealPin:
    """What must be known of a ciphertext beside it, before any of it is believed.

    `commitment` is 64 hexadecimal digits, made by `commitment`.
    """

    plaintext_bytes: int
    ciphertext_bytes: int
    segments: int
    commitment: str


@dataclass(frozen=True)
class SealedBytes:
    """A ciphertext and the pin to keep away from it."""

    ciphertext: bytes
    pin: SealPin


def segment_count(plaintext_bytes: int) -> int:
    """Return how many segments seal that many octets; an empty plaintext has one.

    Raises ValueError below 0 and above PLAINTEXT_BYTES_MAX.
    """
    if not 0 <= plaintext_bytes <= PLAINTEXT_BYTES_MAX:
        raise ValueError(f"A plaintext has 0 to {PLAINTEXT_BYTES_MAX} octets, not {plaintext_bytes}.")
    return 1 + max(0, -(-(plaintext_bytes - FIRST_SEGMENT_BYTES) // SEGMENT_BYTES))


def ciphertext_length(plaintext_bytes: int) -> int:
    """Return the octets of the ciphertext of that many octets; ValueError as `segment_count`."""
    return HEADER_BYTES + plaintext_bytes + TAG_BYTES * segment_count(plaintext_bytes)


def plaintext_length(ciphertext_bytes: int) -> int:
    """Return the octets of plaintext in a ciphertext; raises SealBroken for a length none can have."""
    segments = -(-ciphertext_bytes // CIPHERTEXT_SEGMENT_BYTES)
    plaintext_bytes = ciphertext_bytes - HEADER_BYTES - TAG_BYTES * segments
    possible = 0 <= plaintext_bytes <= PLAINTEXT_BYTES_MAX
    if not possible or ciphertext_length(plaintext_bytes) != ciphertext_bytes:
        raise SealBroken(f"No sealed object has {ciphertext_bytes} octets: it was cut or extended.")
    return plaintext_bytes


def commitment(key: bytes, associated_data: bytes) -> str:
    """Return 64 hexadecimal digits that only this key and associated data have.

    HKDF-SHA256 with a salt of its own, so that it says nothing of the segment keys.
    """
    return _derive(key, _COMMITMENT_SALT, associated_data).hex()


def seal(
    key: bytes, associated_data: bytes, plaintext: bytes, random: Callable[[int], bytes] = secrets.token_bytes
) -> SealedBytes:
    """Seal `plaintext` under a 32-octet key, bound to `associated_data`.

    `random` gives that many fresh random octets. Raises ValueError for a key of
    another size or a plaintext above PLAINTEXT_BYTES_MAX.
    """
    segments = segment_count(len(plaintext))
    salt, nonce_prefix = random(SALT_BYTES), random(NONCE_PREFIX_BYTES)
    cipher = AESGCM(_derive(key, salt, associated_data))
    view = memoryview(plaintext)
    pieces = [bytes([HEADER_BYTES]), salt, nonce_prefix]
    for index in range(segments):
        start, stop = _plaintext_range(index, len(plaintext))
        nonce = _nonce(nonce_prefix, index, is_last=index == segments - 1)
        pieces.append(cipher.encrypt(nonce, view[start:stop], None))
    ciphertext = b"".join(pieces)
    pin = SealPin(len(plaintext), len(ciphertext), segments, commitment(key, associated_data))
    return SealedBytes(ciphertext, pin)


def seal_stream(
    key: bytes,
    associated_data: bytes,
    pieces: Iterable[bytes],
    write: Callable[[bytes], object],
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> SealPin:
    """Seal what comes in pieces of any size and hand it on by `write`, a segment at a time.

    The same ciphertext as `seal` would give of all pieces together. Raises ValueError as `seal`.
    """
    salt, nonce_prefix = random(SALT_BYTES), random(NONCE_PREFIX_BYTES)
    cipher = AESGCM(_derive(key, salt, associated_data))
    write(bytes([HEADER_BYTES]) + salt + nonce_prefix)
    waiting, index = bytearray(), 0
    for piece in pieces:
        waiting += piece
        # What fills a segment to the last octet waits: only who sees more knows it is not the last one.
        while len(waiting) > (size_bytes := FIRST_SEGMENT_BYTES if index == 0 else SEGMENT_BYTES):
            if index >= SEGMENTS_COUNT_MAX - 1:
                raise ValueError(f"A plaintext has 0 to {PLAINTEXT_BYTES_MAX} octets, this one has more.")
            write(
                cipher.encrypt(_nonce(nonce_prefix, index, is_last=False), bytes(waiting[:size_bytes]), None)
            )
            del waiting[:size_bytes]
            index += 1
    write(cipher.encrypt(_nonce(nonce_prefix, index, is_last=True), bytes(waiting), None))
    plaintext_bytes = _segment_start(index) + len(waiting)
    return SealPin(
        plaintext_bytes, ciphertext_length(plaintext_bytes), index + 1, commitment(key, associated_data)
    )


def open_sealed(key: bytes, associated_data: bytes, ciphertext: bytes, pin: SealPin) -> bytes:
    """Return the whole plaintext; raises SealBroken unless every octet is what was sealed and pinned."""
    if len(ciphertext) != pin.ciphertext_bytes:
        raise SealBroken(
            f"The object has {len(ciphertext)} octets, {pin.ciphertext_bytes} are pinned: cut or extended."
        )
    opener = SegmentOpener(key, associated_data, ciphertext[:HEADER_BYTES], pin)
    return opener.open(ciphertext[HEADER_BYTES:], 0, pin.plaintext_bytes)


class SegmentOpener:
    """Opens ranges of one sealed object from the octets of the touched segments alone.

    Made from the first 40 octets of the ciphertext and the pin; raises SealBroken
    when key, associated data, header and pin do not belong together, before a
    single segment was opened.
    """

    def __init__(self, key: bytes, associated_data: bytes, header: bytes, pin: SealPin) -> None:
        if not hmac.compare_digest(commitment(key, associated_data).encode(), pin.commitment.encode()):
            raise SealBroken("The key or the binding is not what was committed to when sealing.")
        if len(header) != HEADER_BYTES or header[0] != HEADER_BYTES:
            raise SealBroken(f"The object does not begin with a header of {HEADER_BYTES} octets.")
        if plaintext_length(pin.ciphertext_bytes) != pin.plaintext_bytes:
            raise SealBroken("The pinned lengths of plaintext and ciphertext contradict each other.")
        if segment_count(pin.plaintext_bytes) != pin.segments:
            raise SealBroken("The pinned number of segments contradicts the pinned length.")
        self._pin = pin
        self._nonce_prefix = header[1 + SALT_BYTES :]
        self._cipher = AESGCM(_derive(key, header[1 : 1 + SALT_BYTES], associated_data))

    def ciphertext_range(self, first: int, last_exclusive: int) -> tuple[int, int]:
        """Return `(start, stop)` of the ciphertext octets that plaintext `first:last_exclusive` needs.

        Whole segments, without the header. An empty range needs nothing, but for the
        empty object, whose one segment has only a tag. Raises ValueError for a range
        that is not inside the plaintext.
        """
        indexes = self._segments(first, last_exclusive)
        if not indexes:
            return HEADER_BYTES, HEADER_BYTES
        start = _ciphertext_range(indexes[0], self._pin.ciphertext_bytes)[0]
        return start, _ciphertext_range(indexes[-1], self._pin.ciphertext_bytes)[1]

    def open(self, ciphertext: bytes, first: int, last_exclusive: int) -> bytes:
        """Return plaintext `first:last_exclusive`, given exactly the octets of `ciphertext_range`.

        Raises SealBroken when they are fewer or more, or any tag does not verify.
        """
        start, stop = self.ciphertext_range(first, last_exclusive)
        if len(ciphertext) != stop - start:
            raise SealBroken(
                f"The store gave {len(ciphertext)} octets of the object where {stop - start} were asked for."
            )
        opened = b"".join(self._opened(memoryview(ciphertext), start, self._segments(first, last_exclusive)))
        skipped = first - _segment_start(_segment_of(first))
        return opened[skipped : skipped + last_exclusive - first]

    def _segments(self, first: int, last_exclusive: int) -> range:
        if not 0 <= first <= last_exclusive <= self._pin.plaintext_bytes:
            raise ValueError(f"{first}:{last_exclusive} is no range of {self._pin.plaintext_bytes} octets.")
        if self._pin.plaintext_bytes == 0:
            return range(1)
        if first == last_exclusive:
            return range(0)
        return range(_segment_of(first), _segment_of(last_exclusive - 1) + 1)

    def _opened(self, ciphertext: memoryview, offset: int, indexes: range) -> Iterator[bytes]:
        """Yield the plaintext of each segment; `ciphertext` begins at `offset` of the object."""
        for index in indexes:
            start, stop = _ciphertext_range(index, self._pin.ciphertext_bytes)
            nonce = _nonce(self._nonce_prefix, index, is_last=index == self._pin.segments - 1)
            try:
                yield self._cipher.decrypt(nonce, ciphertext[start - offset : stop - offset], None)
            except InvalidTag:
                raise SealBroken(f"Segment {index} of the object was altered, moved or cut.") from None


def _derive(key: bytes, salt: bytes, info: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError(f"A key has {KEY_BYTES} octets, this one has {len(key)}.")
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key)


def _nonce(prefix: bytes, index: int, *, is_last: bool) -> bytes:
    return prefix + index.to_bytes(4, "big") + bytes([is_last])


def _segment_of(position: int) -> int:
    """Return the index of the segment that holds that octet of the plaintext."""
    return (position + HEADER_BYTES) // SEGMENT_BYTES


def _segment_start(index: int) -> int:
    """Return the position in the plaintext at which a segment begins."""
    return max(0, index * SEGMENT_BYTES - HEADER_BYTES)


def _plaintext_range(index: int, plaintext_bytes: int) -> tuple[int, int]:
    return _segment_start(index), min(_segment_start(index + 1), plaintext_bytes)


def _ciphertext_range(index: int, ciphertext_bytes: int) -> tuple[int, int]:
    start = max(HEADER_BYTES, index * CIPHERTEXT_SEGMENT_BYTES)
    return start, min((index + 1) * CIPHERTEXT_SEGMENT_BYTES, ciphertext_bytes)
