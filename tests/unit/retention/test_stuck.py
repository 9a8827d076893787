"""What can't be destroyed is tried again and told; it stands in the way of nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from archive.access import Right
from archive.audit import AuditWriter
from archive.catalogue import accounts, destructions, directory, recordings, rights, shares
from archive.catalogue.destructions import ATTEMPT_WAIT_MAX, attempt_wait
from archive.catalogue.engine import Catalogue
from archive.catalogue.shares import NewShare
from archive.data_key import open_data_key
from archive.errors import NotFound, StoreUnavailable, VerificationFailed
from archive.model import ArchivedRecording, RecordingState, Tenant
from archive.rewrap import Rewrapping
from archive.shared import Derivatives
from archive.store.object import sha256_hex
from retention.destruction import KEPT_WAIT, MISSING_WAIT
from retention.expiry import FAILURES_MAX, LOOK_AGAIN
from tests.unit.retention.ageing import Ageing, auditor, objects_of
from tests.unit.retention.test_expiry import hold, state_of, statement_of


def stuck(ageing: Ageing, archived: list[ArchivedRecording], but: str = "none") -> None:
    """Let the store fail to delete the objects of these, but those whose key ends in `but`."""
    ids = {each.recording.id for each in archived}
    delete = ageing.store.delete

    def fail(key: str, version_id: str) -> None:
        if key.split("/")[1] in ids and not key.endswith(but):
            raise StoreUnavailable("this volume is away")
        delete(key, version_id)

    ageing.store.delete = fail  # type: ignore[method-assign]


def works_again(ageing: Ageing) -> None:
    del ageing.store.delete


def opens(ageing: Ageing, tenant: Tenant, archived: ArchivedRecording, now: ArchivedRecording) -> bool:
    """Return whether the key a recording hangs from `now` opens it still."""
    try:
        open_data_key(ageing.house.vault, tenant.id, archived.recording.id, now.kek_id, now.wrapped_key)
    except NotFound:
        return False
    return True


def test_c8_the_certificate_names_the_key_it_hung_from_at_last_and_that_key_is_destroyed(
    ageing: Ageing, bakery: Tenant
) -> None:
    """Its destruction broke off, its key was wrapped anew as that of any sibling, then it went."""
    gone, late = ageing.archive(bakery), ageing.archive(bakery)
    assert gone.kek_id == late.kek_id
    ageing.live(days=91)
    stuck(ageing, [late], but="audio")
    with pytest.raises(StoreUnavailable):
        ageing.sweep().batch(bakery.id)
    assert state_of(ageing.portal, bakery, gone) is RecordingState.DESTROYED
    meanwhile = recordings.get(ageing.portal, auditor(bakery), late.recording.id)
    assert meanwhile.kek_id != late.kek_id
    assert opens(ageing, bakery, late, meanwhile), "tonight's backup of the database holds this key"
    works_again(ageing)
    ageing.live(minutes=2)
    assert ageing.sweep().batch(bakery.id).certificates == 1
    assert statement_of(ageing.portal, bakery, late)["key"]["id"] == meanwhile.kek_id
    assert not opens(ageing, bakery, late, meanwhile)
    assert ageing.house.vault.ids(bakery.id) == ()


def test_c8_a_rotation_that_meets_a_destruction_leaves_no_key_behind(ageing: Ageing, bakery: Tenant) -> None:
    archived = ageing.archive(bakery)
    ageing.live(days=91)
    stuck(ageing, [archived])
    with pytest.raises(StoreUnavailable):
        ageing.sweep().batch(bakery.id)
    audit = AuditWriter(ageing.worker, "operator/test")
    rotating = Rewrapping(ageing.store, ageing.house.vault, ageing.worker, audit, ageing.house.clock)
    assert rotating.supersede(bakery.id, archived.kek_id, actor="operator:0", reason="rotation") == 1
    meanwhile = recordings.get(ageing.portal, auditor(bakery), archived.recording.id)
    works_again(ageing)
    ageing.live(minutes=2)
    assert ageing.sweep().batch(bakery.id).certificates == 1
    assert statement_of(ageing.portal, bakery, archived)["key"]["id"] == meanwhile.kek_id
    assert not opens(ageing, bakery, archived, meanwhile)
    assert objects_of(ageing.store, bakery, archived.recording.id) == []


def test_r1_recordings_that_fail_keep_no_others_alive(ageing: Ageing, bakery: Tenant) -> None:
    """Invariant I7: those behind them go in the next batch, and they themselves when the store is whole."""
    bad = [ageing.archive(bakery, days=1) for _ in range(FAILURES_MAX)]
    good = [ageing.archive(bakery, days=2) for _ in range(2)]
    stuck(ageing, bad)
    ageing.live(days=3)
    for _ in range(2):
        assert isinstance(ageing.sweep().attempt(bakery.id).failure, StoreUnavailable)
    assert [state_of(ageing.portal, bakery, each) for each in good] == [RecordingState.DESTROYED] * 2
    works_again(ageing)
    ageing.live(hours=1)
    assert ageing.sweep().batch(bakery.id).destroyed == FAILURES_MAX


def test_r1_what_fails_is_tried_again_later_and_later_but_within_the_hour() -> None:
    waits = [attempt_wait(failures) for failures in range(1, 1000)]
    assert waits[:4] == [timedelta(minutes=minutes) for minutes in (0, 2, 6, 14)]
    assert waits == sorted(waits)
    assert waits[-1] == ATTEMPT_WAIT_MAX


def test_r1_what_the_store_keeps_stands_at_the_head_of_no_queue(ageing: Ageing, bakery: Tenant) -> None:
    kept = [ageing.archive(bakery, days=1) for _ in range(3)]
    for each in kept:
        for stored in each.objects:
            ageing.store.set_legal_hold(stored.key, stored.version_id, held=True)
    good = ageing.archive(bakery, days=2)
    ageing.live(days=3)
    assert ageing.sweep().batch(bakery.id, recordings_max=3).destroyed == 0
    done = ageing.sweep().batch(bakery.id, recordings_max=3)
    assert (done.destroyed, done.certificates, done.remaining) == (1, 1, 0)
    assert state_of(ageing.portal, bakery, good) is RecordingState.DESTROYED
    ageing.live(hours=1)
    ageing.sweep().batch(bakery.id)
    assert len(ageing.entries(kept[0])) == 2, "the log is not filled by what nobody changes"
    for each in kept:
        for stored in each.objects:
            ageing.store.set_legal_hold(stored.key, stored.version_id, held=False)
    ageing.live(seconds=KEPT_WAIT.total_seconds())
    assert ageing.sweep().batch(bakery.id).certificates == 3


def test_r1_keys_go_while_others_are_due_still(ageing: Ageing, bakery: Tenant) -> None:
    """A tenant with more to destroy than a batch holds gets its certificates as it goes."""
    early, late = ageing.archive(bakery, days=1), [ageing.archive(bakery, days=3) for _ in range(2)]
    ageing.live(days=4)
    done = ageing.sweep().batch(bakery.id, recordings_max=1)
    assert (done.destroyed, done.certificates, done.remaining) == (1, 1, 2)
    assert state_of(ageing.portal, bakery, early) is RecordingState.DESTROYED
    done = ageing.sweep().batch(bakery.id, recordings_max=1)
    assert (done.destroyed, done.certificates, done.remaining) == (1, 0, 1), "its sibling goes next"
    assert ageing.sweep().batch(bakery.id).certificates == len(late)


def test_one_bad_key_keeps_no_key_of_a_later_day_alive(ageing: Ageing, database: Any, bakery: Tenant) -> None:
    gone, broken = ageing.archive(bakery, days=10), ageing.archive(bakery, days=10)
    later = ageing.archive(bakery, days=11)
    hold(database, broken)
    database.connect().execute(
        "UPDATE recordings SET wrapped_key = %s WHERE id = %s", (b"x" * 60, broken.recording.id)
    )
    ageing.live(days=12)
    with pytest.raises(VerificationFailed):
        ageing.sweep().batch(bakery.id)
    assert state_of(ageing.portal, bakery, later) is RecordingState.DESTROYED
    assert not opens(ageing, bakery, later, later)
    assert state_of(ageing.portal, bakery, gone) is RecordingState.DELETING


def test_one_certificate_that_fails_keeps_no_other_back(ageing: Ageing, bakery: Tenant) -> None:
    """Something was put for the first one while it went, and can't be deleted just now."""
    both = sorted((ageing.archive(bakery) for _ in range(2)), key=lambda each: each.recording.id)
    ageing.live(days=91)
    sweep = ageing.sweep()
    for each in both:
        sweep._destroyer.destroy(bakery.id, each.recording.id, sweep.check_clocks())
    late = f"{bakery.id}/{both[0].recording.id}/share/x/1"
    ageing.store.put(late, b"late", None, sha256=sha256_hex(b"late"))
    stuck(ageing, both[:1])
    with pytest.raises(StoreUnavailable):
        sweep.batch(bakery.id)
    assert state_of(ageing.portal, bakery, both[1]) is RecordingState.DESTROYED
    works_again(ageing)
    assert sweep.batch(bakery.id).certificates == 1


def test_r5_a_certificate_tells_what_nobody_saw_go(ageing: Ageing, bakery: Tenant) -> None:
    """A lost object is no object that was deleted."""
    archived = ageing.archive(bakery)
    lost = archived.objects[0]
    ageing.store.lose(lost.key, lost.version_id)
    ageing.live(days=91)
    assert ageing.sweep().batch(bakery.id).certificates == 1
    told = statement_of(ageing.portal, bakery, archived)
    assert [each["key"] for each in told["notFound"]] == [lost.key]
    assert {each["key"] for each in told["objects"]} == {each.key for each in archived.objects[1:]}


def test_r5_of_a_bucket_that_shows_nothing_no_certificate_is_given_at_once(
    ageing: Ageing, bakery: Tenant
) -> None:
    """Perhaps it is that of something else: somebody has half a day to look."""
    archived = ageing.archive(bakery, days=1)
    for each in archived.objects:
        ageing.store.lose(each.key, each.version_id)
    ageing.live(days=1)
    assert ageing.sweep().batch(bakery.id).destroyed == 0
    assert state_of(ageing.portal, bakery, archived) is RecordingState.AVAILABLE
    assert ageing.entries(archived)[-1] == ("recording.destroy", "refused")
    with pytest.raises(NotFound):
        destructions.certificate_of(ageing.portal, auditor(bakery), archived.recording.id)
    ageing.live(seconds=MISSING_WAIT.total_seconds())
    assert ageing.sweep().batch(bakery.id).certificates == 1
    told = statement_of(ageing.portal, bakery, archived)
    assert (told["objects"], len(told["notFound"])) == ([], len(archived.objects))


def test_a_certificate_says_how_this_key_store_destroys(
    ageing: Ageing, portal: Catalogue, bakery: Tenant
) -> None:
    archived = ageing.archive(bakery)
    ageing.live(days=91)
    ageing.sweep().batch(bakery.id)
    assert ageing.house.vault.erasure in statement_of(portal, bakery, archived)["method"]


def test_what_was_put_after_the_certificate_goes_too_and_the_log_tells(
    ageing: Ageing, bakery: Tenant
) -> None:
    """Somebody who made the audio of a play link was slow, and died before it was known to anybody."""
    archived = ageing.archive(bakery)
    ageing.live(days=91)
    assert ageing.sweep().batch(bakery.id).certificates == 1
    late = f"{bakery.id}/{archived.recording.id}/share/x/1"
    ageing.store.put(late, b"late", None, sha256=sha256_hex(b"late"))
    ageing.live(seconds=LOOK_AGAIN.total_seconds())
    ageing.sweep().batch(bakery.id)
    assert objects_of(ageing.store, bakery, archived.recording.id) == []
    assert ageing.entries(archived)[-1] == ("recording.remainder", "ok")
    ageing.live(days=1)
    ageing.sweep().batch(bakery.id)
    assert ageing.entries(archived).count(("recording.remainder", "ok")) == 1


def test_the_audio_of_a_link_that_went_meanwhile_is_taken_back(
    ageing: Ageing, operator: Catalogue, bakery: Tenant
) -> None:
    """The key was opened before the recording went, and the sound encoded meanwhile."""
    now = ageing.house.clock.now()
    anna = directory.add_user(operator, bakery.id, "anna", now=now)
    rights.set_rights(operator, bakery.id, anna.id, {Right.SHARE: True})
    archived = ageing.archive(bakery, owner=anna.id, days=1)
    scope = accounts.scope_of_user(ageing.portal, bakery.id, anna.id)
    made = NewShare(archived.recording.id, "Jansen", 0, 1000, now + timedelta(hours=12))
    with ageing.portal.transaction(bakery.id) as connection:
        share, _ = shares.add(connection, scope, made, now=now)
    derivatives = Derivatives(ageing.store, ageing.house.vault, ageing.portal)
    opened = derivatives._keys.open(archived)
    ageing.live(days=1)
    assert ageing.sweep().batch(bakery.id).certificates == 1
    derivatives._keys.open = lambda _: opened  # type: ignore[method-assign]
    with pytest.raises(NotFound, match="link is gone"):
        derivatives.keep(archived, share, b"opus")
    assert objects_of(ageing.store, bakery, archived.recording.id) == []
