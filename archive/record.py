"""The `record` object: all the catalogue knows of a recording, beside its audio in the bucket.

One line of JSON, then the sealed catalogue record. The line says which KEK opens the
wrapped data key and how long and committed each object must be; it holds no number,
no name and no time. With the key store, the bucket alone is enough to build the
catalogue again (`archive.rebuild`).

Rules: pure. The line is not trusted: it leads to a key that opens the record under
the associated data of its place, and the sealed record repeats every pin.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, TypeAdapter, ValidationError

from archive.errors import VerificationFailed
from archive.model import Recording, SessionOutcome, StoredObject
from keys.streaming_aead import SealPin

RECORD_FORMAT = "earwitness record 1"

# Five objects of a few hundred bytes each; more is no header of ours.
RECORD_HEADER_BYTES_MAX = 16 * 1024


def _from_base64(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("Base64 stands in a text.")  # noqa: TRY004 - pydantic collects ValueErrors only
    return base64.b64decode(value, validate=True)


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


Base64 = Annotated[bytes, PlainValidator(_from_base64), PlainSerializer(_to_base64, return_type=str)]


@dataclass(frozen=True)
class RecordHeader:
    """What stands in clear: the key and the pins of the objects, the record's own last."""

    format: str
    kek_id: str
    wrapped_key: Base64
    objects: tuple[StoredObject, ...]
    record: SealPin


@dataclass(frozen=True)
class CatalogueRecord:
    """What is sealed: the rows of the catalogue, the objects but the record itself among them."""

    recording: Recording
    objects: tuple[StoredObject, ...]
    outcome: SessionOutcome


_HEADER = TypeAdapter(RecordHeader)
_RECORD = TypeAdapter(CatalogueRecord)


def header_line(header: RecordHeader) -> bytes:
    """Return the header as one line of JSON with its line feed."""
    return _HEADER.dump_json(header) + b"\n"


def split(data: bytes) -> tuple[RecordHeader, bytes]:
    """Return the header and the sealed record of a `record` object; raises `VerificationFailed`."""
    end = data.find(b"\n", 0, RECORD_HEADER_BYTES_MAX)
    try:
        header = _HEADER.validate_json(data[: max(end, 0)])
    except ValidationError as error:
        raise VerificationFailed("A record object has no readable header.") from error
    if header.format != RECORD_FORMAT:
        raise VerificationFailed("A record object was written by another version of earwitness.")
    return header, data[end + 1 :]


def to_json(record: CatalogueRecord) -> bytes:
    """Return a catalogue record as JSON, the same bytes each time."""
    return _RECORD.dump_json(record)


def from_json(document: bytes) -> CatalogueRecord:
    """Read what `to_json` wrote; raises `VerificationFailed`."""
    try:
        return _RECORD.validate_json(document)
    except ValidationError as error:
        raise VerificationFailed("A sealed catalogue record does not have the expected shape.") from error
