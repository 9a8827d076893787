"""Cases and their rules outlive the loss of the database, and end without a trace in the bucket (promise R1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from archive import case_copy
from archive.audit import AuditWriter
from archive.case_copy import copies_prefix, copy_key, key_owner, opened_copy, place_of, sealed_copy
from archive.catalogue import case_changes, case_people, cases, directory, found_holds
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.data_key import key_was_destroyed
from archive.errors import Conflict, NotFound, Refused, StoreUnavailable, VerificationFailed
from archive.model import ArchivedRecording, ObjectKind, Party, Role, Tenant, User
from archive.rebuild import rebuild
from archive.store.object import sha256_hex
from retention.case_copies import FAILURES_MAX, CaseCopies
from retention.scrub import PackageFinding, Scrub
from retention.store_holds import StoreHolds
from tests.unit.archive.sealed.conftest import empty
from tests.unit.retention.ageing import Ageing, Stubborn
from tests.unit.retention.holding import Killed, enter, grant, hold, on_hold, opened, person, release

__all__ = ["empty"]

CALLER = "+31612345678"


def copies(ageing: Ageing, store: Any = None) -> CaseCopies:
    audit = AuditWriter(ageing.worker, "worker/one")
    return CaseCopies(
        store or ageing.store, lambda: ageing.house.vault, ageing.worker, audit, ageing.house.clock
    )


def follow(ageing: Ageing, tenant: Tenant, store: Any = None) -> None:
    """Do as the worker's job does."""
    assert copies(ageing, store).batch(tenant.id).remaining == 0
    assert (
        StoreHolds(store or ageing.store, ageing.worker, ageing.house.clock).batch(tenant.id).remaining == 0
    )


def kept(ageing: Ageing, tenant: Tenant, case_id: str) -> list[str]:
    """Return the copies of a case that stand in the bucket."""
    return [each.key for each in ageing.store.versions(copies_prefix(tenant.id, case_id))]


def ruled(ageing: Ageing, tenant: Tenant, case_id: str, **of: Any) -> None:
    with ageing.portal.transaction(tenant.id) as connection:
        now = ageing.house.clock.now()
        given = {"user_id": None, "number": None, **of}
        cases.add_rule(connection, person(tenant, "anna"), case_id, **given, now=now)


def lost(ageing: Ageing, empty: Callable[[str], Catalogue]) -> Ageing:
    """Return the archive on a database of which nothing is left but its tables."""
    house = dataclasses.replace(
        ageing.house,
        catalogue=empty("earwitness_recorder"),
        audit=AuditWriter(empty("earwitness_recorder"), "recorder/new"),
    )
    return dataclasses.replace(
        ageing, house=house, worker=empty("earwitness_worker"), portal=empty("earwitness_portal")
    )


def rebuilt(ageing: Ageing, operator: Catalogue) -> list[str]:
    """Build the catalogue again and return what somebody has to look at."""
    doubts: list[str] = []
    rebuild(ageing.store, ageing.house.vault, operator, doubt=doubts.append)
    return doubts


def add_person(ageing: Ageing, tenant: Tenant, operator: Catalogue, login: str, *numbers: str) -> User:
    return directory.add_user(operator, tenant.id, login, numbers=numbers, now=ageing.house.clock.now())


def call(ageing: Ageing, tenant: Tenant, number: str, **changes: Any) -> ArchivedRecording:
    parties = (Party("a", number, "", None, 0, 61_000), Party("b", "+31201234567", "", None, 40, None))
    return ageing.archive(tenant, parties=parties, **changes)


def test_r1_a_case_is_back_after_the_loss_of_the_database_with_all_it_held(
    ageing: Ageing, bakery: Tenant, empty: Callable[[str], Catalogue]
) -> None:
    """Its name and reason, and its recordings; and no case of found holds beside it."""
    archived, other = ageing.archive(bakery), ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    follow(ageing, bakery)
    before = cases.get(ageing.portal, person(bakery, "anna"), case_id)
    after = lost(ageing, empty)
    assert rebuilt(after, empty("earwitness_operator")) == []
    [found], _ = cases.page(after.portal, person(bakery, "anna"), 10, None)
    assert dataclasses.replace(found, held_by_store=1) == dataclasses.replace(before, held_by_store=1)
    assert [on_hold(after, bakery, each) for each in (archived, other)] == [True, False]
    assert rebuilt(after, empty("earwitness_operator")) == [], "a second run changes nothing"
    assert len(cases.page(after.portal, person(bakery, "anna"), 10, None)[0]) == 1
    follow(after, bakery)
    assert cases.get(after.portal, person(bakery, "anna"), case_id).held_by_store == 1


def test_nobody_grants_alone_what_was_asked_in_the_name_of_somebody_they_let_in_since_the_backup(
    ageing: Ageing, bakery: Tenant, operator: Catalogue, database: Any
) -> None:
    """Ben set anna's password and asked as her; the log that tells of it is lost, the copy of the case is not."""
    anna, ben = person(bakery, "anna"), person(bakery, "ben", Role.ADMINISTRATOR)
    enter(ageing.portal, anna, ben)
    audit, now = AuditWriter(ageing.portal, "portal/lost"), ageing.house.clock.now()
    with ageing.portal.transaction(bakery.id) as connection:
        audit.append(
            connection,
            tenant_id=bakery.id,
            actor=ben.actor,
            action="user.password-set",
            object=anna.actor,
            at=now,
        )
    case_id = hold(ageing, bakery, ageing.archive(bakery))
    with ageing.portal.transaction(bakery.id) as connection:
        cases.ask_release(connection, anna, case_id, "Settled", now=now)

    def grants() -> None:
        with ageing.portal.transaction(bakery.id) as connection:
            cases.grant_release(connection, ben, case_id, now=now)

    with pytest.raises(Refused, match="let the other in"):
        grants()
    follow(ageing, bakery)
    with database.connect() as admin:
        admin.execute("SET session_replication_role TO replica")
        admin.execute("DELETE FROM audit_entries WHERE action = 'user.password-set'")
        admin.execute("DELETE FROM cases")
    [doubt] = rebuilt(ageing, operator)
    assert "asked for anew" in doubt
    found = cases.get(ageing.portal, ben, case_id)
    assert (found.state, found.release_asked_by, found.release_reason) == ("holding", None, None)
    with pytest.raises(Conflict, match="Nobody asked"):
        grants()


def test_the_key_of_a_case_that_ended_goes_again_where_a_copied_key_store_brought_it_back(
    ageing: Ageing, bakery: Tenant
) -> None:
    """Names stood in its copy, which somebody may have kept."""
    case_id = hold(ageing, bakery, ageing.archive(bakery))
    follow(ageing, bakery)
    [kek_id] = ageing.house.vault.ids(key_owner(case_id))
    path = Path(ageing.key_directory) / kek_id
    octets = path.read_bytes()
    release(ageing, bakery, case_id)
    follow(ageing, bakery)
    for tombstone in path.parent.glob("*.destroyed"):
        tombstone.unlink()
    path.write_bytes(octets)
    assert ageing.house.vault.ids(key_owner(case_id)) == (kek_id,)
    assert ageing.sweep().sweep_idle_keys(bakery.id).ended == 1
    assert ageing.house.vault.ids(key_owner(case_id)) == ()
    assert ageing.sweep().sweep_idle_keys(bakery.id).ended == 0


def test_r1_a_rule_for_later_calls_survives_the_loss_of_the_database(
    ageing: Ageing, bakery: Tenant, empty: Callable[[str], Catalogue]
) -> None:
    """Lost silently, it would lose evidence."""
    case_id = opened(ageing.portal, person(bakery, "anna"), ageing)
    ruled(ageing, bakery, case_id, number=CALLER)
    follow(ageing, bakery)
    after = lost(ageing, empty)
    assert rebuilt(after, empty("earwitness_operator")) == []
    ruling, other = call(after, bakery, CALLER), call(after, bakery, "+31687654321")
    assert [on_hold(after, bakery, each) for each in (ruling, other)] == [True, False]
    assert cases.get(after.portal, person(bakery, "anna"), case_id).recordings == 1


def test_r1_a_rule_of_a_person_who_is_lost_too_goes_on_by_their_numbers(
    ageing: Ageing, bakery: Tenant, operator: Catalogue, empty: Callable[[str], Catalogue]
) -> None:
    maria = add_person(ageing, bakery, operator, "maria", "+31201234501")
    case_id = opened(ageing.portal, person(bakery, "anna"), ageing)
    ruled(ageing, bakery, case_id, user_id=maria.id)
    follow(ageing, bakery)
    after = lost(ageing, empty)
    assert rebuilt(after, empty("earwitness_operator")) == []
    assert on_hold(after, bakery, call(after, bakery, "+31201234501"))
    assert rebuilt(after, empty("earwitness_operator")) == []
    numbers = {each.number for each in cases.get(after.portal, person(bakery, "anna"), case_id).rules}
    assert numbers == {None, "+31201234501"}


def test_r1_a_person_whose_rule_can_be_kept_by_no_number_is_told_of(
    ageing: Ageing, bakery: Tenant, operator: Catalogue, empty: Callable[[str], Catalogue]
) -> None:
    """What is in doubt is never passed over."""
    maria = add_person(ageing, bakery, operator, "maria")
    case_id = opened(ageing.portal, person(bakery, "anna"), ageing)
    ruled(ageing, bakery, case_id, user_id=maria.id)
    follow(ageing, bakery)
    after = lost(ageing, empty)
    [doubt] = rebuilt(after, empty("earwitness_operator"))
    assert case_id in doubt
    assert "make it again" in doubt


def test_what_was_archived_before_a_rule_comes_into_no_case_when_it_is_rebuilt(
    ageing: Ageing, bakery: Tenant, empty: Callable[[str], Catalogue]
) -> None:
    """Whoever is admitted to the case would hear what was never put there."""
    before = call(ageing, bakery, CALLER)
    case_id = opened(ageing.portal, person(bakery, "anna"), ageing)
    ageing.live(hours=1)
    ruled(ageing, bakery, case_id, number=CALLER)
    now = ageing.house.clock.now()
    later = call(ageing, bakery, CALLER, started_at=now, ended_at=now + timedelta(minutes=1))
    copies(ageing).batch(bakery.id)
    after = lost(ageing, empty)
    assert rebuilt(after, empty("earwitness_operator")) == []
    assert [on_hold(after, bakery, each) for each in (before, later)] == [False, True]


def test_r1_yesterdays_database_learns_of_rules_made_today_and_of_what_they_missed(
    ageing: Ageing, bakery: Tenant, operator: Catalogue, database: Any
) -> None:
    case_id = opened(ageing.portal, person(bakery, "anna"), ageing)
    ruled(ageing, bakery, case_id, number=CALLER)
    follow(ageing, bakery)
    database.connect().execute("DELETE FROM case_rules")
    now = ageing.house.clock.now()
    missed = call(ageing, bakery, CALLER, started_at=now, ended_at=now + timedelta(minutes=1))
    assert not on_hold(ageing, bakery, missed)
    assert rebuilt(ageing, operator) == []
    assert on_hold(ageing, bakery, missed)
    assert on_hold(ageing, bakery, call(ageing, bakery, CALLER))


def test_a_rule_that_was_ended_stays_ended_in_the_database_of_yesterday_and_in_a_new_one(
    ageing: Ageing, bakery: Tenant, operator: Catalogue, database: Any, empty: Callable[[str], Catalogue]
) -> None:
    """Its end is told by the copy, which goes on to be written."""
    case_id = opened(ageing.portal, person(bakery, "anna"), ageing)
    ruled(ageing, bakery, case_id, number=CALLER)
    follow(ageing, bakery)
    scope = person(bakery, "anna")
    [rule] = cases.get(ageing.portal, scope, case_id).rules
    with ageing.portal.transaction(bakery.id) as connection:
        cases.end_rule(connection, scope, case_id, rule.id, now=ageing.house.clock.now())
    follow(ageing, bakery)
    database.connect().execute("UPDATE case_rules SET ended_by = NULL, ended_at = NULL")
    assert rebuilt(ageing, operator) == []
    follow(ageing, bakery)
    assert not on_hold(ageing, bakery, call(ageing, bakery, CALLER))
    after = lost(ageing, empty)
    assert rebuilt(after, empty("earwitness_operator")) == []
    assert cases.get(after.portal, scope, case_id).rules == ()
    assert not on_hold(after, bakery, call(after, bakery, CALLER))


def test_r1_what_is_lost_for_good_keeps_no_later_rule_from_the_copy(
    ageing: Ageing, bakery: Tenant, operator: Catalogue, empty: Callable[[str], Catalogue]
) -> None:
    """Whoever was admitted and is lost was told of; a rule made since survives the next loss."""
    anna, scope = add_person(ageing, bakery, operator, "anna"), person(bakery, "anna")
    case_id = opened(ageing.portal, scope, ageing)
    with ageing.portal.transaction(bakery.id) as connection:
        case_people.admit(connection, scope, case_id, anna.id, now=ageing.house.clock.now())
    follow(ageing, bakery)
    after = lost(ageing, empty)
    [doubt] = rebuilt(after, empty("earwitness_operator"))
    assert "1 people were admitted who are not known any more" in doubt
    ruled(after, bakery, case_id, number=CALLER)
    follow(after, bakery)
    [key] = kept(after, bakery, case_id)
    [version] = after.store.versions(key)
    found = opened_copy(after.house.vault, key, after.store.get(key, version.version_id))
    assert [each.number for each in found.rules] == [CALLER]
    assert rebuilt(after, empty("earwitness_operator")) == []
    follow(after, bakery)


def test_a_member_whose_record_opens_no_more_keeps_no_later_rule_from_the_copy(
    ageing: Ageing, bakery: Tenant, empty: Callable[[str], Catalogue]
) -> None:
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    follow(ageing, bakery)
    [record] = [each for each in archived.objects if each.kind is ObjectKind.RECORD]
    octets = ageing.store.get(record.key, record.version_id)
    ageing.store.damage(record.key, record.version_id, octets[:-1] + bytes([octets[-1] ^ 1]))
    after = lost(ageing, empty)
    rebuilt(after, empty("earwitness_operator"))
    ruled(after, bakery, case_id, number=CALLER)
    assert copies(after).batch(bakery.id).remaining == 0


def test_the_database_of_yesterday_writes_over_nothing_newer_than_what_it_was_built_from(
    ageing: Ageing, bakery: Tenant, operator: Catalogue, database: Any
) -> None:
    """Built again once, lost again: it knows up to which copy it knows everything."""
    case_id = hold(ageing, bakery, ageing.archive(bakery))
    follow(ageing, bakery)
    assert rebuilt(ageing, operator) == []
    ruled(ageing, bakery, case_id, number=CALLER)
    follow(ageing, bakery)
    before = kept(ageing, bakery, case_id)
    database.connect().execute("DELETE FROM case_rules")
    with ageing.portal.transaction(bakery.id) as connection:
        cases.ask_release(
            connection, person(bakery, "anna"), case_id, "Settled", now=ageing.house.clock.now()
        )
    assert copies(ageing).batch(bakery.id).remaining == 1
    assert kept(ageing, bakery, case_id) == before


@pytest.mark.parametrize("lacking", ["case_rules", "case_people", "case_recordings"])
def test_r1_yesterdays_database_writes_over_no_copy_that_knows_more(
    lacking: str, ageing: Ageing, bakery: Tenant, operator: Catalogue, database: Any
) -> None:
    """Restored, started, and not rebuilt yet: what was decided today would be lost for good."""
    anna, scope, now = (
        add_person(ageing, bakery, operator, "anna"),
        person(bakery, "anna"),
        ageing.house.clock.now(),
    )
    case_id = hold(ageing, bakery, ageing.archive(bakery))
    ruled(ageing, bakery, case_id, number=CALLER)
    with ageing.portal.transaction(bakery.id) as connection:
        case_people.admit(connection, scope, case_id, anna.id, now=now)
    follow(ageing, bakery)
    before = kept(ageing, bakery, case_id)
    database.connect().execute(f"DELETE FROM {lacking}")
    with ageing.portal.transaction(bakery.id) as connection:
        cases.ask_release(connection, scope, case_id, "Settled", now=now)
    with capture_logs() as logs:
        assert copies(ageing).batch(bakery.id).remaining == 1
    assert any("rebuild-catalogue" in str(line.get("reason")) for line in logs)
    assert kept(ageing, bakery, case_id) == before
    assert rebuilt(ageing, operator) == []
    follow(ageing, bakery)
    found = cases.get(ageing.portal, scope, case_id)
    assert ([each.number for each in found.rules], found.recordings) == ([CALLER], 1)
    assert [each.user_id for each in found.people] == [anna.id]
    assert kept(ageing, bakery, case_id) != before


def test_a_release_is_never_brought_back(
    ageing: Ageing, bakery: Tenant, operator: Catalogue, database: Any
) -> None:
    """Yesterday's database holds what was released today: it goes on holding, and says so."""
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    grant(ageing, bakery, case_id)
    copies(ageing).batch(bakery.id)
    with database.connect() as admin:
        admin.execute("SET session_replication_role TO replica")
        admin.execute(
            "UPDATE cases SET released_at = NULL, released_by = NULL, release_reason = NULL, "
            "release_asked_by = NULL, release_asked_at = NULL"
        )
    [doubt] = rebuilt(ageing, operator)
    assert "was released since" in doubt
    assert on_hold(ageing, bakery, archived)
    assert cases.get(ageing.portal, person(bakery, "anna"), case_id).state == "holding"


def test_who_was_taken_off_a_case_is_not_admitted_again(
    ageing: Ageing, bakery: Tenant, operator: Catalogue, database: Any
) -> None:
    anna = add_person(ageing, bakery, operator, "anna")
    scope = person(bakery, "anna")
    case_id = opened(ageing.portal, scope, ageing)
    with ageing.portal.transaction(bakery.id) as connection:
        case_people.admit(connection, scope, case_id, anna.id, now=ageing.house.clock.now())
    with ageing.portal.transaction(bakery.id) as connection:
        case_people.take_off(connection, scope, case_id, anna.id, now=ageing.house.clock.now())
    follow(ageing, bakery)
    database.connect().execute("UPDATE case_people SET removed_by = NULL, removed_at = NULL")
    assert [each.user_id for each in cases.get(ageing.portal, scope, case_id).people] == [anna.id]
    assert rebuilt(ageing, operator) == []
    assert cases.get(ageing.portal, scope, case_id).people == ()
    database.connect().execute("DELETE FROM case_people")
    assert rebuilt(ageing, operator) == []
    assert cases.get(ageing.portal, scope, case_id).people == ()


def test_one_copy_stands_in_the_bucket_held_by_the_store_and_nobody_reads_it(
    ageing: Ageing, bakery: Tenant
) -> None:
    """No name, number or reason in clear; each change puts a new one and takes the former away."""
    scope = person(bakery, "anna")
    case_id = opened(ageing.portal, scope, ageing, "Garage De Vries")
    follow(ageing, bakery)
    assert kept(ageing, bakery, case_id) == [copy_key(bakery.id, case_id, 1)]
    ruled(ageing, bakery, case_id, number=CALLER)
    follow(ageing, bakery)
    [version] = ageing.store.versions(copies_prefix(bakery.id, case_id))
    assert version.key == copy_key(bakery.id, case_id, 2)
    assert ageing.store.legal_hold(version.key, version.version_id)
    octets = ageing.store.get(version.key, version.version_id)
    for needle in (b"Garage", b"De Vries", b"A claim", b"612345678", b"anna"):
        assert needle not in octets
    with pytest.raises(Refused):
        ageing.store.delete(version.key, version.version_id)
    follow(ageing, bakery)
    assert kept(ageing, bakery, case_id) == [version.key], "nothing changed, nothing is written"


def test_every_change_of_a_case_is_followed_whoever_makes_it(
    ageing: Ageing, bakery: Tenant, operator: Catalogue
) -> None:
    """By triggers: the recorder that archives under a rule, too."""
    anna, scope = add_person(ageing, bakery, operator, "anna"), person(bakery, "anna")
    now = ageing.house.clock.now()
    archived = ageing.archive(bakery)

    def changes() -> int:
        waiting = case_changes.count_waiting(ageing.worker, bakery.id)
        follow(ageing, bakery)
        return waiting

    case_id = opened(ageing.portal, scope, ageing)
    assert changes() == 1
    for change in (
        lambda connection: cases.add_one(connection, scope, case_id, archived.recording.id, now=now),
        lambda connection: cases.add_rule(connection, scope, case_id, None, CALLER, now=now),
        lambda connection: case_people.admit(connection, scope, case_id, anna.id, now=now),
        lambda connection: case_people.take_off(connection, scope, case_id, anna.id, now=now),
        lambda connection: cases.ask_release(connection, scope, case_id, "Settled", now=now),
        lambda connection: cases.refuse_release(connection, scope, case_id),
    ):
        with ageing.portal.transaction(bakery.id) as connection:
            change(connection)
        assert changes() == 1
    call(ageing, bakery, CALLER)
    assert changes() == 1
    assert changes() == 0
    [key] = kept(ageing, bakery, case_id)
    [version] = ageing.store.versions(key)
    found = opened_copy(ageing.house.vault, key, ageing.store.get(key, version.version_id))
    assert len(found.members) == 2
    assert [each.number for each in found.rules] == [CALLER]
    assert found.people[0].removed_by == scope.actor


def test_a_case_that_ended_leaves_no_copy_and_no_key(ageing: Ageing, bakery: Tenant) -> None:
    """Not before the last of its recordings was let go; names stood in it."""
    case_id = hold(ageing, bakery, ageing.archive(bakery))
    follow(ageing, bakery)
    [key] = kept(ageing, bakery, case_id)
    [version] = ageing.store.versions(key)
    stolen = ageing.store.get(key, version.version_id)
    release(ageing, bakery, case_id)
    follow(ageing, bakery)
    assert kept(ageing, bakery, case_id) == []
    assert ageing.house.vault.ids(key_owner(case_id)) == ()
    with pytest.raises(NotFound) as refusal:
        opened_copy(ageing.house.vault, key, stolen)
    assert key_was_destroyed(refusal.value), "a copy of the copy opens no more"
    follow(ageing, bakery)
    assert kept(ageing, bakery, case_id) == []


@pytest.mark.parametrize("request_number", range(1, 9))
def test_a_copy_that_was_broken_off_anywhere_is_finished_and_none_is_lost_meanwhile(
    request_number: int, ageing: Ageing, bakery: Tenant, empty: Callable[[str], Catalogue]
) -> None:
    case_id = opened(ageing.portal, person(bakery, "anna"), ageing)
    follow(ageing, bakery)
    ruled(ageing, bakery, case_id, number=CALLER)
    dying = Dying(ageing.store, request_number)
    try:
        copies(ageing, dying).batch(bakery.id)
    except Killed:
        assert case_changes.count_waiting(ageing.worker, bakery.id) == 1
    assert any(
        opens(ageing, each.key, each.version_id)
        for each in ageing.store.versions(copies_prefix(bakery.id, case_id))
    ), "at every moment there is a copy that opens"
    follow(ageing, bakery)
    assert len(kept(ageing, bakery, case_id)) == 1
    assert rebuilt(ageing, empty("earwitness_operator")) == []
    after = lost(ageing, empty)
    assert [each.number for each in cases.get(after.portal, person(bakery, "anna"), case_id).rules] == [
        CALLER
    ]


class Dying:
    """A store whose worker dies before a request."""

    def __init__(self, store: Stubborn, at: int) -> None:
        self._store, self._left = store, at

    def __getattr__(self, name: str) -> Any:
        if name not in {"locks", "place"}:
            self._left -= 1
            if self._left == 0:
                raise Killed
        return getattr(self._store, name)


def opens(ageing: Ageing, key: str, version_id: str) -> bool:
    try:
        opened_copy(ageing.house.vault, key, ageing.store.get(key, version_id))
    except (NotFound, VerificationFailed):
        return False
    return True


def test_a_store_that_gives_back_something_else_keeps_the_former_copy(ageing: Ageing, bakery: Tenant) -> None:
    case_id = opened(ageing.portal, person(bakery, "anna"), ageing)
    follow(ageing, bakery)
    [former] = kept(ageing, bakery, case_id)
    ruled(ageing, bakery, case_id, number=CALLER)

    class Lying(Stubborn):
        def fetch(self, key: str, version_id: str) -> Any:
            data, facts = super().fetch(key, version_id)
            return data[:-1] + bytes([data[-1] ^ 1]), facts

    ageing.store.__class__ = Lying
    with pytest.raises(StoreUnavailable, match="lost or altered"):
        copies(ageing).batch(bakery.id)
    ageing.store.__class__ = Stubborn
    assert former in kept(ageing, bakery, case_id)
    follow(ageing, bakery)
    assert len(kept(ageing, bakery, case_id)) == 1


def test_a_case_whose_key_is_damaged_keeps_no_other_from_its_copy(ageing: Ageing, bakery: Tenant) -> None:
    """It is told each time, and behind those that were never tried."""
    damaged = opened(ageing.portal, person(bakery, "anna"), ageing, "A")
    follow(ageing, bakery)
    [kek_id] = ageing.house.vault.ids(key_owner(damaged))
    path = Path(ageing.key_directory) / kek_id
    octets = path.read_bytes()
    path.write_bytes(octets[:-1] + bytes([octets[-1] ^ 1]))
    ageing.house.vault.forget(kek_id)
    ruled(ageing, bakery, damaged, number=CALLER)
    other = opened(ageing.portal, person(bakery, "anna"), ageing, "B")
    with capture_logs() as logs:
        assert copies(ageing).batch(bakery.id).remaining == 1
    assert [line["case_id"] for line in logs if "ALARM" in line["event"]] == [damaged]
    assert len(kept(ageing, bakery, other)) == 1
    third = opened(ageing.portal, person(bakery, "anna"), ageing, "C")
    assert case_changes.waiting(ageing.worker, bakery.id, 1) == [third], "what was tried comes last"
    copies(ageing).batch(bakery.id, 1)
    assert len(kept(ageing, bakery, third)) == 1


def test_a_stray_under_a_number_longer_than_any_of_ours_keeps_no_case_from_its_copy(
    ageing: Ageing, bakery: Tenant
) -> None:
    """One more than it would be a key no store takes; whoever may write to the bucket can put it."""

    class Strict(Stubborn):
        def put(self, key: str, *arguments: Any, **more: Any) -> str:
            if len(key) > 1024:
                raise StoreUnavailable("The object store answered 400 KeyTooLongError.")
            return super().put(key, *arguments, **more)

    first, second = (opened(ageing.portal, person(bakery, "anna"), ageing, name) for name in ("A", "B"))
    prefix = copies_prefix(bakery.id, first)
    for number in ("9" * (1024 - len(prefix)), f"{case_copy.NUMBER_MAX}"):
        ageing.store.put(prefix + number, b"junk", None, sha256=sha256_hex(b"junk"))
    ageing.store.__class__ = Strict
    follow(ageing, bakery)
    assert kept(ageing, bakery, first) == [copy_key(bakery.id, first, 1)]
    assert len(kept(ageing, bakery, second)) == 1


def test_a_store_that_fails_for_one_case_keeps_no_other_from_its_copy_and_one_that_is_away_is_left_alone(
    ageing: Ageing, bakery: Tenant
) -> None:
    ids = [opened(ageing.portal, person(bakery, "anna"), ageing, name) for name in "ABCDE"]

    class Failing(Stubborn):
        failing: tuple[str, ...] = ()
        asked: list[str]

        def put(self, key: str, *arguments: Any, **more: Any) -> str:
            self.asked.append(key)
            if any(each in key for each in self.failing):
                raise StoreUnavailable("The object store answered 500.")
            return super().put(key, *arguments, **more)

    ageing.store.__class__ = Failing
    ageing.store.failing, ageing.store.asked = (ids[0],), []
    assert copies(ageing).batch(bakery.id).remaining == 1
    for case_id in ids:
        ruled(ageing, bakery, case_id, number=CALLER)
    ageing.store.failing, ageing.store.asked = tuple(ids), []
    with pytest.raises(StoreUnavailable):
        copies(ageing).batch(bakery.id)
    assert len(ageing.store.asked) == FAILURES_MAX
    ageing.store.failing = ()
    follow(ageing, bakery)


def test_a_copy_that_does_not_open_is_told_and_the_others_are_brought_back(
    ageing: Ageing, bakery: Tenant, empty: Callable[[str], Catalogue]
) -> None:
    spoiled, whole = (opened(ageing.portal, person(bakery, "anna"), ageing, name) for name in ("A", "B"))
    follow(ageing, bakery)
    [key] = kept(ageing, bakery, spoiled)
    [version] = ageing.store.versions(key)
    octets = ageing.store.get(key, version.version_id)
    ageing.store.damage(key, version.version_id, octets[:-1] + bytes([octets[-1] ^ 1]))
    [doubt] = rebuilt(ageing, empty("earwitness_operator"))
    assert spoiled in doubt
    assert "does not open" in doubt
    found, _ = cases.page(empty("earwitness_portal"), person(bakery, "anna"), 10, None)
    assert [each.id for each in found] == [whole]


def test_an_older_copy_that_is_taken_for_one_that_does_not_open_is_told_of(
    ageing: Ageing, bakery: Tenant, empty: Callable[[str], Catalogue]
) -> None:
    """What was decided since is missing: nobody may take it for all there was."""
    case_id = opened(ageing.portal, person(bakery, "anna"), ageing)
    follow(ageing, bakery)
    ageing.store.put(copy_key(bakery.id, case_id, 2), b"{}", None, sha256=sha256_hex(b"{}"))
    after = lost(ageing, empty)
    [doubt] = rebuilt(after, empty("earwitness_operator"))
    assert case_id in doubt
    assert "an older one was taken" in doubt
    assert cases.get(after.portal, person(bakery, "anna"), case_id).name == "Claim 12"


def test_an_old_copy_put_under_a_newer_number_or_another_case_opens_nowhere(
    ageing: Ageing, bakery: Tenant
) -> None:
    case_id = opened(ageing.portal, person(bakery, "anna"), ageing)
    case = case_changes.changed(ageing.worker, bakery.id, case_id).case
    data = sealed_copy(ageing.house.vault, case, 3)
    assert opened_copy(ageing.house.vault, copy_key(bakery.id, case_id, 3), data) == case
    for key in (
        copy_key(bakery.id, case_id, 4),
        copy_key(bakery.id, case_id.replace("0", "1"), 3),
        copy_key(bakery.id.replace("0", "1"), case_id, 3),
        f"{bakery.id}/recordings/{case_id}/3",
    ):
        with pytest.raises(VerificationFailed):
            opened_copy(ageing.house.vault, key, data)


def test_a_case_too_large_for_a_copy_keeps_its_rules_there(
    ageing: Ageing, bakery: Tenant, empty: Callable[[str], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its recordings stand under holds of the store, and are found by them."""
    archived = ageing.archive(bakery)
    case_id = hold(ageing, bakery, archived)
    ruled(ageing, bakery, case_id, number=CALLER)
    case = case_changes.changed(ageing.worker, bakery.id, case_id).case
    whole = len(case_copy._CASE.dump_json(case))
    monkeypatch.setattr(case_copy, "COPY_BYTES_MAX", whole)
    assert case_copy.fitted(case) == case
    monkeypatch.setattr(case_copy, "COPY_BYTES_MAX", whole - 1)
    follow(ageing, bakery)
    after = lost(ageing, empty)
    assert rebuilt(after, empty("earwitness_operator")) == []
    found, _ = cases.page(after.portal, person(bakery, "anna"), 10, None)
    assert {each.opened_by for each in found} == {"user:anna", found_holds.ACTOR}
    assert on_hold(after, bakery, archived)
    assert on_hold(after, bakery, call(after, bakery, CALLER))


def test_a_key_that_names_no_copy_is_none() -> None:
    assert place_of("t/cases/c/12") == ("t", "c", 12)
    assert place_of(f"t/cases/c/{case_copy.NUMBER_MAX}") is not None
    long = f"t/cases/c/{case_copy.NUMBER_MAX + 1}"
    for key in ("t/cases/c/x", "t/cases/c", "t/cases/c/1/2", "t/exports/c/1", "t/r/audio", long):
        assert place_of(key) is None


def test_one_customer_sees_no_change_of_another(ageing: Ageing, bakery: Tenant, florist: Tenant) -> None:
    opened(ageing.portal, person(bakery, "anna"), ageing)
    assert case_changes.waiting(ageing.worker, florist.id, 10) == []
    assert len(case_changes.waiting(ageing.worker, bakery.id, 10)) == 1


@pytest.mark.parametrize("damage", ["one flipped bit", "lost", "under a delete marker"])
def test_the_copy_of_a_case_is_read_again_at_each_pass_and_written_anew_when_it_is_damaged(
    damage: str, ageing: Ageing, bakery: Tenant, database: Any
) -> None:
    """No key is needed to find it; the case it is of stands in the audit log."""
    case_id = hold(ageing, bakery, ageing.archive(bakery))
    follow(ageing, bakery)
    scrub = Scrub(ageing.store, ageing.worker, AuditWriter(ageing.worker, "worker/scrub"), ageing.house.clock)
    assert scrub.case_copies(bakery.id) == (1, [])
    [copy] = ageing.store.versions(f"{bakery.id}/cases/")
    if damage == "one flipped bit":
        octets = ageing.store.get(copy.key, copy.version_id)
        ageing.store.damage(copy.key, copy.version_id, octets[:-1] + bytes([octets[-1] ^ 1]))
    elif damage == "lost":
        ageing.store.lose(copy.key, copy.version_id)
    else:
        ageing.store.cover(copy.key, marker=True)
    [found] = scrub.batch(bakery.id, None).findings
    expected = "altered" if damage == "one flipped bit" else damage
    assert found == PackageFinding(f"case:{case_id}", "copy", expected)
    assert scrub.tally([bakery.id]).damaged_case_copies == 1
    [entry] = [
        each
        for each in of_object(ageing.portal, bakery.id, f"case:{case_id}")
        if each.action == "object.damaged"
    ]
    assert (entry.result, entry.body) == ("failed", {"kind": "copy", "finding": expected})
    follow(ageing, bakery)
    assert scrub.case_copies(bakery.id) == (1, [])
    assert scrub.tally([bakery.id]).damaged_case_copies == 0
    [pinned] = database.connect().execute("SELECT object_key, damage FROM case_copies").fetchall()
    assert pinned == (f"{bakery.id}/cases/{case_id}/2" if damage != "lost" else copy.key, None)


def test_the_pin_of_a_copy_goes_with_its_case(ageing: Ageing, bakery: Tenant, database: Any) -> None:
    case_id = hold(ageing, bakery, ageing.archive(bakery))
    follow(ageing, bakery)
    release(ageing, bakery, case_id)
    follow(ageing, bakery)
    assert database.connect().execute("SELECT count(*) FROM case_copies").fetchone() == (0,)
