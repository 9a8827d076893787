"""C6: rows somebody altered with every right over the database open nothing they did not open before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archive.access import AccessScope
from archive.errors import NotFound, VerificationFailed
from archive.model import ArchivedRecording, ObjectKind, Role, Tenant
from archive.playback import Action, Playback

TABLES = ("recording_objects", "recording_parties", "recordings")
"""All that a recording is read from; their rows name its tenant."""


@pytest.fixture
def two(siblings: list[ArchivedRecording]) -> list[ArchivedRecording]:
    """Two recordings of one customer and one day, under one key-encryption key."""
    assert siblings[0].kek_id == siblings[1].kek_id
    return siblings[:2]


@pytest.fixture
def superuser(database: Any) -> Callable[[str, dict[str, str]], None]:
    admin = database.connect()
    admin.execute("SET session_replication_role = replica")

    def execute(statement: str, values: dict[str, str]) -> None:
        admin.execute(statement, values)

    return execute


def heard(playback: Playback, tenant: Tenant, archived: ArchivedRecording) -> bytes:
    scope = AccessScope(tenant.id, "user:otto", Role.AUDITOR)
    reader = playback.open_object(scope, archived.recording.id, ObjectKind.AUDIO, Action.PLAY)
    return reader.read(0, reader.length)


@pytest.mark.parametrize(
    "swap",
    [
        # The wrapped keys of the two.
        "UPDATE recordings r SET wrapped_key = o.wrapped_key FROM recordings o WHERE r.id <> o.id",
        # Where their audio stands, with its hashes, lengths and commitment.
        (
            "UPDATE recording_objects r SET key = o.key, version_id = o.version_id, segments = o.segments, "
            "ciphertext_sha256 = o.ciphertext_sha256, plaintext_sha256 = o.plaintext_sha256, "
            "commitment = o.commitment FROM recording_objects o "
            "WHERE r.recording_id <> o.recording_id AND r.kind = o.kind"
        ),
        # The audio for the peaks of the same recording.
        (
            "UPDATE recording_objects r SET key = o.key, version_id = o.version_id, segments = o.segments, "
            "ciphertext_sha256 = o.ciphertext_sha256, plaintext_sha256 = o.plaintext_sha256, "
            "plaintext_bytes = o.plaintext_bytes, ciphertext_bytes = o.ciphertext_bytes, "
            "commitment = o.commitment FROM recording_objects o "
            "WHERE r.recording_id = o.recording_id AND r.kind = 'audio' AND o.kind = 'peaks'"
        ),
    ],
)
def test_c6_keys_and_objects_swapped_in_the_database_open_neither(
    swap: str,
    two: list[ArchivedRecording],
    playback: Playback,
    bakery: Tenant,
    superuser: Callable[[str, dict[str, str]], None],
) -> None:
    superuser(swap, {})
    for archived in two:
        with pytest.raises(VerificationFailed):
            heard(playback, bakery, archived)


def test_c6_a_recording_given_to_another_customer_in_the_database_does_not_open(
    two: list[ArchivedRecording],
    playback: Playback,
    bakery: Tenant,
    florist: Tenant,
    superuser: Callable[[str, dict[str, str]], None],
) -> None:
    """Its row, its objects and its parties; for neither of the two customers, and what is left opens."""
    moved, stays = two
    for table in TABLES:
        column = "id" if table == "recordings" else "recording_id"
        statement = f"UPDATE {table} SET tenant_id = %(to)s WHERE {column} = %(id)s"
        superuser(statement, {"to": florist.id, "id": moved.recording.id})
    with pytest.raises(VerificationFailed):
        heard(playback, florist, moved)
    with pytest.raises(NotFound):
        heard(playback, bakery, moved)
    assert heard(playback, bakery, stays).startswith(b"fLaC")
