"""What a sealed object belongs to, as bytes that go into its seal.

An object sealed under one binding does not open under another: copied to another
tenant, recording or kind it is rubbish. The bytes are fixed by
`docs/archive-format.md`; changing them needs a new format name.
"""

from __future__ import annotations

from dataclasses import dataclass

FORMAT_NAME = "earwitness-sealed-object/1"

FIELD_BYTES_MAX = 255
"""Ids are UUIDs and kinds are words; longer fields are a defect of the caller."""


def length_prefixed(text: str) -> bytes:
    """Return `text` as UTF-8 behind its length in two octets, big-endian.

    Raises ValueError for an empty text or one of more than FIELD_BYTES_MAX octets.
    """
    octets = text.encode()
    if not 1 <= len(octets) <= FIELD_BYTES_MAX:
        raise ValueError(f"A field of a binding has 1 to {FIELD_BYTES_MAX} octets, not {len(octets)}.")
    return len(octets).to_bytes(2, "big") + octets


@dataclass(frozen=True)
class Binding:
    """The tenant, recording and kind of one sealed object."""

    tenant_id: str
    recording_id: str
    kind: str

    def associated_data(self) -> bytes:
        """Return format name, tenant, recording and kind, each behind its length.

        The lengths make the encoding injective: no two bindings share their bytes.
        """
        fields = (FORMAT_NAME, self.tenant_id, self.recording_id, self.kind)
        return b"".join(length_prefixed(field) for field in fields)
