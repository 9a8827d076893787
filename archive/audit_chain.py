"""The chain of audit entries of one writer: what is hashed, in which form, and the check.

The hash of an entry covers its fields, the hash of its body and the hash of the
entry before it, so that a change, removal, insertion or exchange shows. The body is
hashed with a random salt and stands apart: it may be erased when personal data must
go, and the chain still holds (a short body can't be guessed from its hash).

Rules: pure. Canonical JSON is ASCII, keys sorted, no spaces, no floats that JSON
lacks. Times are UTC with microseconds. Fields hold ids; names, numbers and free
text belong in the body.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from archive.errors import ChainBroken, Refused
from archive.model import TenantId

VERSION = 1
SALT_BYTES = 16
FIELD_CHARS_MAX = 512
"""Actor, action, object and result are ids and words; longer ones are a mistake, or an attack on the log."""

BODY_SIZE_BYTES_MAX = 64 * 1024
"""A body explains one act; the largest (a list of exported recordings) names some 1,500 ids."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
"""Made once: `json.dumps` makes one for every value, and a log has millions."""

Json: TypeAlias = "bool | int | float | str | list[Json] | Mapping[str, Json] | None"


@dataclass(frozen=True)
class ChainHead:
    """Where a chain ends: the number and hash of its newest entry."""

    sequence: int = 0
    hash: str = "0" * 64


START = ChainHead()


@dataclass(frozen=True)
class AuditEntry:
    """One act and its result. `body` and `salt` are None after the body was erased."""

    writer: str
    sequence: int
    previous_hash: str
    hash: str
    at: datetime
    tenant_id: TenantId | None
    actor: str
    action: str
    object: str
    result: str
    body_hash: str
    salt: str | None
    body: Mapping[str, Json] | None


def canonical_json(value: Json) -> bytes:
    """Return the one spelling of a JSON value; raises Refused for what JSON can't say."""
    try:
        text = _ENCODER.encode(value)
    except (TypeError, ValueError) as error:
        raise Refused("The body of an audit entry holds something JSON has no form for.") from error
    return text.encode()


def link(
    head: ChainHead,
    *,
    writer: str,
    at: datetime,
    tenant_id: TenantId | None,
    actor: str,
    action: str,
    object: str,  # noqa: A002 - the word of the log's readers
    result: str,
    body: Mapping[str, Json],
    salt: str,
) -> AuditEntry:
    """Return the entry that follows `head`; raises Refused for fields or a body beyond the limits."""
    for field in (writer, actor, action, object, result):
        if not field or len(field) > FIELD_CHARS_MAX or not field.isprintable():
            raise Refused(f"A field of an audit entry has 1 to {FIELD_CHARS_MAX} printable characters.")
    if at.tzinfo is None:
        raise Refused("An audit entry is dated by an aware time.")
    content = canonical_json(body)
    if len(content) > BODY_SIZE_BYTES_MAX:
        raise Refused(f"The body of an audit entry is larger than {BODY_SIZE_BYTES_MAX} bytes.")
    entry = AuditEntry(
        writer=writer,
        sequence=head.sequence + 1,
        previous_hash=head.hash,
        hash="",
        at=at.astimezone(UTC),
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        object=object,
        result=result,
        body_hash=_body_hash(salt, content),
        salt=salt,
        body=dict(body),
    )
    return dataclasses.replace(entry, hash=_hash(entry))


def verify_chain(
    entries: Iterable[AuditEntry], *, after: ChainHead = START, head: ChainHead | None = None
) -> ChainHead:
    """Check the entries of one writer in the order of their numbers; return the last one's head.

    `after` is where the first entry must follow, `head` where the chain is known to
    end: without it a cut-off tail does not show. Raises ChainBroken at the first
    entry that is not what was written.
    """
    last, writer = after, ""
    for entry in entries:
        writer = writer or entry.writer
        _check(entry, last, writer)
        last = ChainHead(entry.sequence, entry.hash)
    if head is not None and last != head:
        position = head.sequence if last.sequence == head.sequence else min(last.sequence, head.sequence) + 1
        raise ChainBroken(
            f"The chain of {writer or 'this writer'} ends at entry {last.sequence}, not as known "
            f"at entry {head.sequence}: it is broken from entry {position} on.",
            writer=writer,
            position=position,
        )
    return last


def is_salt(text: str) -> bool:
    """Tell whether a text is a salt: with its length fixed, the body begins at one place only."""
    return len(text) == 2 * SALT_BYTES and text.strip("0123456789abcdef") == ""


def verify_body(entry: AuditEntry) -> None:
    """Raise ChainBroken when an entry has another body than was written; an erased body is none."""
    if entry.body is None and entry.salt is None:
        return
    salt = entry.salt or ""
    if entry.body is not None and is_salt(salt):
        found = _body_hash(salt, canonical_json(entry.body))
        if found == entry.body_hash:
            return
    raise ChainBroken(
        f"Audit entry {entry.sequence} of {entry.writer} has another body than was written.",
        writer=entry.writer,
        position=entry.sequence,
    )


def _check(entry: AuditEntry, last: ChainHead, writer: str) -> None:
    position = last.sequence + 1
    if entry.writer != writer:
        reason = f"is of the writer {entry.writer}"
    elif entry.sequence != position:
        reason = f"is missing: entry {entry.sequence} stands in its place"
    elif entry.previous_hash != last.hash:
        reason = "does not follow the entry before it"
    elif entry.hash != _hash(entry):
        reason = "was changed"
    else:
        verify_body(entry)
        return
    raise ChainBroken(f"Audit entry {position} of {writer} {reason}.", writer=writer, position=position)


def hashed_form(entry: AuditEntry) -> bytes:
    """Return what the hash of an entry covers: all fields but `hash` itself and what may be erased."""
    fields: dict[str, Json] = {
        "version": VERSION,
        "writer": entry.writer,
        "sequence": entry.sequence,
        "previous_hash": entry.previous_hash,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "tenant_id": entry.tenant_id,
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "result": entry.result,
        "body_hash": entry.body_hash,
    }
    return canonical_json(fields)


def _hash(entry: AuditEntry) -> str:
    return hashlib.sha256(hashed_form(entry)).hexdigest()


def _body_hash(salt: str, content: bytes) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + content).hexdigest()
