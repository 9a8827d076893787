"""What expired goes whole, once, with a certificate, and nothing else does (promises R1, R4, R5)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from archive.access import AccessScope, Right
from archive.audit import AuditWriter
from archive.catalogue import (
    accounts,
    comments,
    destructions,
    directory,
    keks,
    labels,
    notes,
    recordings,
    rights,
    sessions,
    shares,
)
from archive.catalogue.destructions import Siblings, WaitingKey
from archive.catalogue.engine import Catalogue
from archive.catalogue.erasure import WHOLE_TRACE
from archive.catalogue.shares import NewShare
from archive.data_key import open_data_key
from archive.errors import NotFound, Refused, StoreUnavailable
from archive.model import ArchivedRecording, ObjectKind, RecordingState, Tenant
from archive.playback import Action, Playback
from archive.shared import Derivatives
from retention.destruction import KEPT_WAIT, Outcome
from retention.due_time import ClockDisbelieved
from retention.expiry import FEW_SIBLINGS, KEY_WAIT, key_is_over
from retention.store_holds import StoreHolds
from tests.unit.retention.ageing import Ageing, auditor, objects_of

PERSONAL = ("+31612345678", "Jansen", "31612345678", "3848276298220188511", "Terugbellen", "Klacht")


def hold(database: Any, archived: ArchivedRecording, held: bool = True) -> None:
    """Hold a recording behind everybody's back."""
    connection = database.connect()
    connection.execute("UPDATE recordings SET on_hold = %s WHERE id = %s", (held, archived.recording.id))


def state_of(portal: Catalogue, tenant: Tenant, archived: ArchivedRecording) -> RecordingState:
    return recordings.get(portal, auditor(tenant), archived.recording.id).recording.state


def statement_of(portal: Catalogue, tenant: Tenant, archived: ArchivedRecording) -> dict[str, Any]:
    """Return what a certificate says."""
    _, signed = destructions.certificate_of(portal, auditor(tenant), archived.recording.id)
    document: dict[str, Any] = json.loads(signed.statement)
    return document


def test_r1_what_is_over_goes_whole_and_what_is_not_stays(ageing: Ageing, bakery: Tenant) -> None:
    over, later = ageing.archive(bakery, days=90), ageing.archive(bakery, days=91)
    sweep = ageing.sweep()
    sweep.batch(bakery.id)
    assert state_of(ageing.portal, bakery, over) is RecordingState.AVAILABLE
    ageing.live(days=90)
    done = sweep.batch(bakery.id)
    assert (done.destroyed, done.certificates, done.remaining) == (1, 1, 0)
    assert objects_of(ageing.store, bakery, over.recording.id) == []
    assert state_of(ageing.portal, bakery, over) is RecordingState.DESTROYED
    assert state_of(ageing.portal, bakery, later) is RecordingState.AVAILABLE
    assert len(objects_of(ageing.store, bakery, later.recording.id)) == 5
    assert keks.used(ageing.worker, bakery.id) == {later.kek_id: 1}
    assert ageing.entries(over) == [
        ("recording.destroy", "ok"),
        ("recording.erased", "ok"),
        ("recording.destroyed", "ok"),
    ]


def test_r1_a_second_before_its_term_nothing_goes(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery, days=90)
    ageing.live(seconds=(archived.recording.retain_until - ageing.house.clock.now()).total_seconds() - 1)
    assert ageing.sweep().batch(bakery.id).destroyed == 0
    ageing.live(seconds=1)
    assert ageing.sweep().batch(bakery.id).destroyed == 1


def test_nothing_opens_it_any_more_neither_an_old_row_nor_a_copy_of_its_objects(
    ageing: Ageing, bakery: Tenant
) -> None:
    """C8: last week's database and a locked copy of the object are no use without the key."""
    archived = ageing.archive(bakery)
    ageing.live(days=91)
    ageing.sweep().batch(bakery.id)
    with pytest.raises(NotFound, match="destroyed"):
        open_data_key(
            ageing.house.vault, bakery.id, archived.recording.id, archived.kek_id, archived.wrapped_key
        )


def test_what_is_left_names_nobody(
    ageing: Ageing, database: Any, operator: Catalogue, bakery: Tenant
) -> None:
    """A row without names and numbers; whatever hung from the recording is gone, in every table."""
    now = ageing.house.clock.now()
    anna = directory.add_user(operator, bakery.id, "anna", now=now)
    rights.set_rights(operator, bakery.id, anna.id, {Right.SHARE: True})
    archived = ageing.archive(bakery, owner=anna.id)
    recording = archived.recording
    scope = accounts.scope_of_user(ageing.portal, bakery.id, anna.id)
    comments.add(ageing.portal, scope, recording, "Terugbellen graag", 100, now=now)
    notes.put(ageing.portal, scope, recording, "Terugbellen", now=now)
    labels.attach_named(ageing.portal, scope, recording, labels.NewLabel("Klacht"), now=now)
    with ageing.portal.transaction(bakery.id) as connection:
        share, _ = shares.add(
            connection, scope, NewShare(recording.id, "Jansen", 0, 1000, now + timedelta(days=1)), now=now
        )
    Derivatives(ageing.store, ageing.house.vault, ageing.portal).keep(archived, share, b"opus")
    admin = database.connect()
    admin.execute(
        "INSERT INTO mails (id, tenant_id, recording_id, actor, kind, recipient, language, state, queued_at)"
        " VALUES ('m', %s, %s, 'a', 'file', 'jansen@x.example', 'nl', 'queued', now())",
        (bakery.id, recording.id),
    )
    ageing.live(days=91)
    assert ageing.sweep().batch(bakery.id).certificates == 1
    of_tables = admin.execute(
        "SELECT conrelid::regclass::text FROM pg_constraint"
        " WHERE confrelid = 'recordings'::regclass AND contype = 'f'"
    ).fetchall()
    assert len(of_tables) >= 10
    for (table,) in of_tables:
        count = admin.execute(
            f"SELECT count(*) FROM {table} WHERE recording_id = %s",
            (recording.id,),
        ).fetchone()
        assert count == (0,), table
    left = recordings.get(ageing.portal, auditor(bakery), recording.id).recording
    assert (left.parties, left.owner, left.site, left.call_id, left.spans) == ((), None, None, "", ())
    assert (left.retention_class, left.retain_until) == (recording.retention_class, recording.retain_until)
    outcome = sessions.of_recording(ageing.portal, auditor(bakery), recording.id)
    assert (outcome.call_id, outcome.recording_ids) == ("", (recording.id,))
    assert all("sbc-1" not in line for line in outcome.trace)
    told = " ".join(
        str(row)
        for table in ("recordings", "sessions", "destructions", "recording_documents", "shares", "mails")
        for row in admin.execute(f"SELECT * FROM {table}").fetchall()
    )
    assert [word for word in PERSONAL if word in told] == []
    page = recordings.find(ageing.portal, auditor(bakery))
    assert page.items == ()


def test_of_a_session_the_trace_goes_with_its_last_recording(ageing: Ageing, bakery: Tenant) -> None:
    first = ageing.archive(bakery, days=90)
    second = ageing.archive(bakery, days=365, session_id=first.recording.session_id)
    ageing.live(days=90)
    ageing.sweep().batch(bakery.id)
    assert sessions.of_recording(ageing.portal, auditor(bakery), second.recording.id).trace[0] == "peer sbc-1"
    ageing.live(days=275)
    ageing.sweep().batch(bakery.id)
    assert sessions.of_recording(ageing.portal, auditor(bakery), second.recording.id).trace == (WHOLE_TRACE,)


def test_a_held_recording_stays_and_can_be_heard_when_the_key_of_its_day_is_gone(
    ageing: Ageing, database: Any, bakery: Tenant
) -> None:
    """What hangs from the key still is wrapped anew before the key is destroyed."""
    gone, held = ageing.archive(bakery), ageing.archive(bakery)
    assert gone.kek_id == held.kek_id
    hold(database, held)
    ageing.live(days=92)
    assert ageing.sweep().batch(bakery.id).certificates == 1
    with pytest.raises(NotFound):
        open_data_key(ageing.house.vault, bakery.id, gone.recording.id, gone.kek_id, gone.wrapped_key)
    found = recordings.get(ageing.portal, auditor(bakery), held.recording.id)
    assert found.recording.state is RecordingState.AVAILABLE
    assert found.kek_id == held.kek_id.removesuffix("1") + "2"
    audit = AuditWriter(ageing.portal, "portal/test")
    playback = Playback(ageing.store, ageing.house.vault, ageing.portal, audit, ageing.house.clock)
    reader = playback.open_object(auditor(bakery), held.recording.id, ObjectKind.AUDIO, Action.PLAY)
    assert reader.read(0, reader.length).startswith(b"fLaC")
    hold(database, held, held=False)
    assert ageing.sweep().batch(bakery.id).destroyed == 0, "its new key is held by the store still"
    StoreHolds(ageing.store, ageing.worker, ageing.house.clock).batch(bakery.id)
    assert ageing.sweep().batch(bakery.id).certificates == 1
    assert state_of(ageing.portal, bakery, held) is RecordingState.DESTROYED
    assert objects_of(ageing.store, bakery, held.recording.id) == []


def test_those_that_are_over_later_that_day_can_be_heard_until_then(ageing: Ageing, bakery: Tenant) -> None:
    morning, evening = ageing.archive(bakery, days=90), ageing.archive(bakery, days=90.4)
    assert morning.kek_id == evening.kek_id
    ageing.live(days=90)
    assert ageing.sweep().batch(bakery.id).certificates == 1
    found = recordings.get(ageing.portal, auditor(bakery), evening.recording.id)
    assert found.kek_id != evening.kek_id
    open_data_key(ageing.house.vault, bakery.id, evening.recording.id, found.kek_id, found.wrapped_key)


def test_a_key_many_hang_from_waits_for_its_day_but_never_longer_than_half_a_day() -> None:
    """I7: with the other half for a store that is away, nothing expired is alive after 24 hours."""
    since = datetime(2027, 2, 20, 9, 0, tzinfo=UTC)
    waiting = WaitingKey("tenant/2027-02-20/1", since)
    none, few, many = Siblings(0, 0), Siblings(FEW_SIBLINGS, 0), Siblings(FEW_SIBLINGS + 1, 0)
    assert key_is_over(waiting, none, since)
    assert key_is_over(waiting, few, since)
    assert not key_is_over(waiting, Siblings(2, 1), since), "the other one is about to go too"
    assert not key_is_over(WaitingKey("tenant/2027-02-20/4", since), few, since)
    assert not key_is_over(waiting, many, since + KEY_WAIT - timedelta(seconds=1))
    assert key_is_over(waiting, many, since + KEY_WAIT)
    late = WaitingKey("tenant/2027-02-20/1", datetime(2027, 2, 20, 20, 0, tzinfo=UTC))
    assert not key_is_over(late, many, datetime(2027, 2, 20, 22, 59, tzinfo=UTC))
    assert key_is_over(late, many, datetime(2027, 2, 20, 23, 0, tzinfo=UTC)), "midnight in Amsterdam"


def test_r4_two_sweepers_at_once_delete_each_object_once_and_give_one_certificate(
    ageing: Ageing, bakery: Tenant
) -> None:
    archived = [ageing.archive(bakery) for _ in range(12)]
    ageing.live(days=91)
    failures: list[BaseException] = []

    def run(node: str) -> None:
        try:
            sweep = ageing.sweep(node)
            for _ in range(3):
                sweep.batch(bakery.id)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(f"node-{n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(ageing.store.deleted) == len(set(ageing.store.deleted)) == 5 * len(archived)
    for each in archived:
        assert state_of(ageing.portal, bakery, each) is RecordingState.DESTROYED
        assert [action for action, _ in ageing.entries(each)].count("recording.destroyed") == 1


def test_r5_a_store_that_fails_half_way_is_tried_again_and_gives_no_certificate_before(
    ageing: Ageing, bakery: Tenant
) -> None:
    archived = ageing.archive(bakery)
    ageing.live(days=91)

    def fail_after_three(deleted: int) -> None:
        if deleted >= 3:
            raise StoreUnavailable("it went away")

    ageing.store.before_delete = fail_after_three
    for failures in (1, 2):
        with pytest.raises(StoreUnavailable):
            ageing.sweep().batch(bakery.id)
        ageing.live(minutes=2**failures)
        assert len(objects_of(ageing.store, bakery, archived.recording.id)) == 2
        with pytest.raises(NotFound):
            destructions.certificate_of(ageing.portal, auditor(bakery), archived.recording.id)
    ageing.store.before_delete = None
    assert ageing.sweep().batch(bakery.id).certificates == 1
    told = statement_of(ageing.portal, bakery, archived)
    assert {(each["key"], each["versionId"]) for each in told["objects"]} == {
        (each.key, each.version_id) for each in archived.objects
    }


def test_a_claim_of_a_worker_that_died_is_run_again_when_its_time_is_over(
    ageing: Ageing, bakery: Tenant
) -> None:
    archived = ageing.archive(bakery)
    ageing.live(days=91)

    class Killed(BaseException):
        pass

    def die(deleted: int) -> None:
        if deleted == 2:
            raise Killed

    ageing.store.before_delete = die
    with pytest.raises(Killed):
        ageing.sweep().batch(bakery.id)
    ageing.store.before_delete = None
    assert ageing.sweep("two").batch(bakery.id).destroyed == 0, "it may be at it still"
    assert state_of(ageing.portal, bakery, archived) is RecordingState.DELETING
    ageing.live(minutes=destructions.CLAIM_MINUTES)
    assert ageing.sweep("two").batch(bakery.id).certificates == 1
    assert len(statement_of(ageing.portal, bakery, archived)["objects"]) == 5


def test_what_the_store_keeps_locked_is_given_back_whole(ageing: Ageing, bakery: Tenant) -> None:
    """A lock that somebody made longer keeps it; it can be heard again and is tried again later."""
    archived = ageing.archive(bakery)
    ageing.live(days=91)

    def refuse(deleted: int) -> None:
        raise Refused("locked")

    ageing.store.before_delete = refuse
    assert ageing.sweep().batch(bakery.id).destroyed == 0
    assert state_of(ageing.portal, bakery, archived) is RecordingState.AVAILABLE
    assert ageing.entries(archived) == [("recording.destroy", "ok"), ("recording.destroy", "refused")]
    ageing.store.before_delete = None
    ageing.live(seconds=KEPT_WAIT.total_seconds())
    assert ageing.sweep().batch(bakery.id).certificates == 1


def test_what_the_store_keeps_does_not_keep_the_keys_of_others_alive(ageing: Ageing, bakery: Tenant) -> None:
    kept, others = ageing.archive(bakery), [ageing.archive(bakery) for _ in range(2)]
    ageing.store.set_legal_hold(kept.objects[0].key, kept.objects[0].version_id, held=True)
    ageing.live(days=91)
    for _ in range(2):
        ageing.sweep().batch(bakery.id)
    assert [state_of(ageing.portal, bakery, each) for each in others] == [RecordingState.DESTROYED] * 2
    found = recordings.get(ageing.portal, auditor(bakery), kept.recording.id)
    assert found.recording.state is RecordingState.AVAILABLE
    open_data_key(ageing.house.vault, bakery.id, kept.recording.id, found.kek_id, found.wrapped_key)


def test_an_object_that_was_put_while_it_went_goes_too(ageing: Ageing, bakery: Tenant) -> None:
    """Somebody shared it in that very moment."""
    archived = ageing.archive(bakery)
    ageing.live(days=91)
    prefix = f"{bakery.id}/{archived.recording.id}/share/x/1"
    sweep = ageing.sweep()
    outcome = sweep._destroyer.destroy(bakery.id, archived.recording.id, sweep.check_clocks())
    assert outcome is Outcome.GONE
    ageing.store.put(prefix, b"late", None, sha256=hashlib.sha256(b"late").hexdigest())
    assert sweep.batch(bakery.id).certificates == 1
    assert objects_of(ageing.store, bakery, archived.recording.id) == []
    assert prefix in [each["key"] for each in statement_of(ageing.portal, bakery, archived)["objects"]]


def test_the_database_itself_lets_no_held_recording_go(ageing: Ageing, database: Any, bakery: Tenant) -> None:
    """A net behind the programs: even a worker that forgot to ask can neither claim nor remove it."""
    archived = ageing.archive(bakery)
    hold(database, archived)
    worker = database.connect("earwitness_worker", bakery.id)
    for statement in ("UPDATE recordings SET state = 'deleting'", "DELETE FROM recordings"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="legal hold"):
            worker.execute(statement)


def test_a_batch_is_bounded_and_says_what_is_left(ageing: Ageing, bakery: Tenant) -> None:
    for _ in range(3):
        ageing.archive(bakery)
    ageing.live(days=91)
    sweep = ageing.sweep()
    first = sweep.batch(bakery.id, recordings_max=2)
    assert (first.destroyed, first.certificates, first.remaining) == (2, 0, 1)
    second = sweep.batch(bakery.id, recordings_max=2)
    assert (second.destroyed, second.certificates, second.remaining) == (1, 3, 0)


def test_r8_a_certificate_verifies_with_openssl_and_names_nobody(
    ageing: Ageing, bakery: Tenant, tmp_path: Path
) -> None:
    """With the published certificate of the archive as the only one trusted; a changed one fails."""
    archived = ageing.archive(bakery)
    ageing.live(days=91)
    ageing.sweep().batch(bakery.id)
    destruction, signed = destructions.certificate_of(ageing.portal, auditor(bakery), archived.recording.id)
    trusted, signature = tmp_path / "authority.pem", tmp_path / "certificate.p7s"
    trusted.write_bytes(ageing.signatory().authority_pem())
    signature.write_bytes(signed.signature)

    def verify(statement: bytes) -> subprocess.CompletedProcess[bytes]:
        content = tmp_path / "certificate.json"
        content.write_bytes(statement)
        command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(signature)]
        command += ["-content", str(content), "-CAfile", str(trusted), "-purpose", "any"]
        command += ["-attime", str(int(ageing.house.clock.now().timestamp()))]
        return subprocess.run(command, capture_output=True, timeout=20, check=False)

    done = verify(signed.statement)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["recordingId"] == archived.recording.id
    assert told["retainUntil"] == archived.recording.retain_until.isoformat().replace("+00:00", "Z")
    pins = {(each.key, each.version_id, each.ciphertext_sha256) for each in archived.objects}
    assert {(each["key"], each["versionId"], each["ciphertextSha256"]) for each in told["objects"]} == pins
    assert told["key"]["id"] == archived.kek_id
    assert told["key"]["backupsUntil"] == (ageing.house.clock.now() + timedelta(days=7)).date().isoformat()
    assert set(told["audit"]) == {"begun", "erased"}
    assert [word for word in PERSONAL if word in done.stdout.decode()] == []
    assert verify(signed.statement.replace(b"90d", b"91d")).returncode != 0
    assert destruction.destroyed_at is not None


def test_certificates_are_for_who_may_see_how_sessions_ended(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery)
    ageing.live(days=91)
    ageing.sweep().batch(bakery.id)
    listener = AccessScope(bakery.id, "user:1", role=None)
    with pytest.raises(Refused):
        destructions.certificate_of(ageing.portal, listener, archived.recording.id)


def test_r3_a_clock_eight_years_ahead_deletes_nothing_and_alarms(
    ageing: Ageing, database: Any, bakery: Tenant
) -> None:
    """Machine and store agree on it; the time that went by does not."""
    archived = ageing.archive(bakery)
    sweep = ageing.sweep()
    sweep.batch(bakery.id)
    ageing.live(minutes=15)
    ageing.set_clock(days=8 * 365)
    for each in (sweep, ageing.sweep("two")):
        with pytest.raises(ClockDisbelieved, match="did not go by"):
            each.batch(bakery.id)
    assert state_of(ageing.portal, bakery, archived) is RecordingState.AVAILABLE
    assert len(objects_of(ageing.store, bakery, archived.recording.id)) == 5
    alarms = database.connect().execute(
        "SELECT count(*) FROM audit_entries WHERE action = 'retention.clock' AND result = 'refused'"
    )
    assert alarms.fetchone() == (2,), "one for each worker, however often it looks"


def test_r3_a_service_that_starts_with_a_wrong_clock_deletes_nothing(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery)
    ageing.sweep().batch(bakery.id)
    ageing.restart(days=8 * 365)
    with pytest.raises(ClockDisbelieved, match="was off for"):
        ageing.sweep("two").batch(bakery.id)
    assert state_of(ageing.portal, bakery, archived) is RecordingState.AVAILABLE
