"""Changing tenants, peers and people: one row, one rule and one announcement at a time."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert

from archive.catalogue import (
    directory,
    do_not_record,
    exempt_numbers,
    grounds,
    keep_next,
    peers,
    policies,
    tables,
)
from archive.catalogue.directory import (
    NAME_CHARS_MAX,
    NUMBERS_PER_USER_MAX,
    Capacity,
    load_directory,
)
from archive.catalogue.engine import Catalogue
from archive.clock import SystemClock
from archive.errors import Conflict, NotFound, Refused
from archive.model import (
    AboveCap,
    RecordingMode,
    RetentionClass,
    Role,
    Tenant,
    TenantId,
    TenantPolicy,
    User,
    UserId,
)

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ALWAYS, NEVER = RecordingMode.ALWAYS, RecordingMode.NEVER
DAYS_90 = RetentionClass.DAYS_90


def test_what_was_added_is_what_a_recorder_carries(operator: Catalogue, recorder: Catalogue) -> None:
    tenant = directory.add_tenant(
        operator,
        " De Warme Bakker ",
        "Bakery.Example",
        now=NOW,
        broadworks_service_provider="bw",
        broadworks_group="shop",
    )
    peer = peers.add_peer(
        operator, "sbc", ["192.0.2.9/24", "2001:db8::/32"], now=NOW, tenant_id=tenant.id, star_codes=True
    )
    user = directory.add_user(
        operator,
        tenant.id,
        "Anna",
        now=NOW,
        numbers=["+31201234500-599", "06 12345678", "101", "sip:Anna@pbx.example"],
        broadworks_id="Anna@BW.example",
        role=Role.ADMINISTRATOR,
        access="none",
        site="Goes",
        licence=RetentionClass.YEARS_7_1000,
        mode=RecordingMode.ON_DEMAND,
        own_modes=[RecordingMode.NEVER, RecordingMode.ON_DEMAND],
    )
    loaded = load_directory(recorder)
    assert (loaded.tenants, loaded.peers, loaded.users) == ((tenant,), (peer,), (user,))
    assert tenant == Tenant(tenant.id, "De Warme Bakker", "bakery.example")
    assert peer.addresses == ("192.0.2.0/24", "2001:db8::/32")
    numbers = ("+31201234500-+31201234599", "+31612345678", "101", "anna@pbx.example")
    assert (user.login, user.numbers) == ("anna", numbers)
    assert user.own_modes == (RecordingMode.ON_DEMAND, RecordingMode.NEVER)
    assert loaded.user_by_number(tenant.id, "sip:anna@PBX.example;user=phone") == user
    assert loaded.user_by_number(tenant.id, "020-1234542") == user
    assert loaded.user_by_broadworks_id(tenant.id, "ANNA@bw.example") == user
    assert loaded.peer_of("192.0.2.200") == peer
    assert loaded.tenant_of(None, "bw", "shop") == tenant
    assert directory.list_tenants(operator) == [tenant]
    assert peers.list_peers(operator) == [peer]
    assert directory.list_users(operator, tenant.id) == [user]
    assert directory.tenant_by_domain(operator, "BAKERY.example") == tenant


def book(catalogue: Catalogue, user: User, month: date, booked_s: int) -> None:
    """Book minutes as the worker does."""
    row = {"tenant_id": user.tenant_id, "user_id": user.id, "month": month, "booked_s": booked_s}
    with catalogue.transaction(user.tenant_id) as connection:
        connection.execute(insert(tables.minute_months), row)


def test_a_recorder_carries_what_decides_on_a_call(
    operator: Catalogue, recorder: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    now = SystemClock().now()
    anna, bob = (directory.add_user(operator, bakery.id, login, now=NOW) for login in ("anna", "bob"))
    policies.set_policy(operator, bakery.id, keep_grace_h=24, above_cap=AboveCap.STOP)
    until = now + timedelta(days=1)
    keep_next.set_until(operator, bakery.id, anna.id, until, now=now)
    keep_next.set_until(operator, bakery.id, bob.id, now - timedelta(days=1), now=now - timedelta(days=2))
    for month, booked_s in ((10, 3600), (11, 60), (9, 7200)):
        book(operator, anna, date(2026, month, 1), booked_s)
    do_not_record.add(operator, bakery.id, "010-7000000", "lawyer", now=NOW)
    exempt_numbers.add(operator, None, "116117", now=NOW)
    exempt_numbers.add(operator, florist.id, "116111", now=NOW)
    loaded = load_directory(recorder)
    tenants = {tenant.id: tenant.policy for tenant in loaded.tenants}
    assert tenants == {bakery.id: TenantPolicy(24, AboveCap.STOP), florist.id: TenantPolicy()}
    carried = loaded.user(anna.id)
    assert carried is not None
    assert (carried.keep_next_until, carried.booked_month, carried.booked_s) == (until, date(2026, 11, 1), 60)
    assert loaded.user(bob.id) == bob
    assert (bob.keep_next_until, bob.booked_month, bob.booked_s) == (None, None, 0)
    assert loaded.barred(bakery.id, ["+31107000000"]) == "lawyer"
    assert loaded.barred(florist.id, ["+31107000000"]) is None
    assert loaded.exempt_additions(bakery.id) == {"116117"}
    assert loaded.exempt_additions(florist.id) == {"116117", "116111"}
    assert directory.user_by_id(operator, bakery.id, anna.id) == carried
    assert directory.Directory.from_json(loaded.to_json()) == loaded


def test_loading_takes_a_handful_of_statements_however_many_people_there_are(
    operator: Catalogue, recorder: Catalogue, bakery: Tenant
) -> None:
    for n in range(12):
        directory.add_user(operator, bakery.id, f"user{n}", now=NOW, numbers=[f"{n + 100}"], licence=DAYS_90)
    statements: list[str] = []

    def count(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    event.listen(Engine, "before_cursor_execute", count)
    try:
        loaded = load_directory(recorder)
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert len(loaded.users) == 12
    assert len(statements) <= 7


def choose(portal: Catalogue, tenant: Tenant, user_id: UserId, mode: RecordingMode) -> User:
    """Change a person's mode as they do themselves."""
    with portal.transaction(tenant.id) as connection:
        user = directory.lock_user(connection, tenant.id, user_id)
        return directory.set_own_mode(connection, user, mode, now=NOW)


def test_a_person_chooses_only_from_the_modes_the_administrator_allows(
    operator: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    anna = directory.add_user(operator, bakery.id, "anna", now=NOW, licence=DAYS_90, mode=ALWAYS)
    with pytest.raises(Refused, match="these modes: none"):
        choose(portal, bakery, anna.id, NEVER)
    directory.set_user(portal, bakery.id, "anna", now=NOW, own_modes=[NEVER, ALWAYS])
    assert choose(portal, bakery, anna.id, NEVER).mode is NEVER
    with pytest.raises(Refused, match="always, never"):
        choose(portal, bakery, anna.id, RecordingMode.ON_DEMAND)
    assert directory.user_by_id(portal, bakery.id, anna.id).mode is NEVER
    with pytest.raises(NotFound):
        choose(portal, bakery, UserId("nobody"), NEVER)


def test_a_person_without_a_licence_chooses_no_mode_that_records(
    operator: Catalogue, portal: Catalogue, bakery: Tenant
) -> None:
    anna = directory.add_user(operator, bakery.id, "anna", now=NOW, own_modes=[ALWAYS, NEVER])
    with pytest.raises(Refused, match="needs a licence"):
        choose(portal, bakery, anna.id, ALWAYS)


def test_a_person_is_found_by_id_within_the_tenant(
    operator: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    anna = directory.add_user(operator, bakery.id, "anna", now=NOW)
    assert directory.user_by_id(operator, bakery.id, anna.id) == anna
    with pytest.raises(NotFound):
        directory.user_by_id(operator, florist.id, anna.id)


def test_an_address_of_record_belongs_to_one_user_of_a_tenant(
    operator: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    directory.add_user(operator, bakery.id, "anna", now=NOW, numbers=["sip:desk@pbx.example"])
    with pytest.raises(Conflict, match="another user"):
        directory.add_user(operator, bakery.id, "bob", now=NOW, numbers=["Desk@pbx.example"])
    directory.add_user(operator, florist.id, "bob", now=NOW, numbers=["Desk@pbx.example"])


def test_a_number_that_was_made_exempt_belongs_to_nobody(
    operator: Catalogue, bakery: Tenant, florist: Tenant
) -> None:
    exempt_numbers.add(operator, None, "116117", now=NOW)
    exempt_numbers.add(operator, bakery.id, "+31201234550", now=NOW)
    for number in ("116117", "020-1234550"):
        with pytest.raises(Refused, match="exempt"):
            directory.add_user(operator, bakery.id, "anna", now=NOW, numbers=[number])
    directory.add_user(operator, florist.id, "anna", now=NOW, numbers=["020-1234550"])
    # A confidential desk behind a trunk that records everyone else.
    directory.add_user(operator, bakery.id, "trunk", now=NOW, numbers=["+31201234500-599"])


def test_a_user_added_with_nothing_is_never_recorded(operator: Catalogue, bakery: Tenant) -> None:
    user = directory.add_user(operator, bakery.id, "bob", now=NOW)
    assert (user.mode, user.licence, user.role, user.access) == (NEVER, None, Role.USER, "own")


def test_what_is_not_given_stays(operator: Catalogue, bakery: Tenant) -> None:
    user = directory.add_user(
        operator, bakery.id, "bob", now=NOW, numbers=["101"], site="Goes", licence=DAYS_90, mode=ALWAYS
    )
    changed = directory.set_user(operator, bakery.id, "BOB", now=NOW, site=None)
    assert (changed.id, changed.numbers, changed.site, changed.mode) == (user.id, ("101",), None, ALWAYS)
    moved = directory.set_user(operator, bakery.id, "bob", now=NOW, numbers=["102"])
    assert moved.numbers == ("102",)
    assert moved.licence is DAYS_90


@pytest.mark.parametrize("mode", [mode for mode in RecordingMode if mode is not NEVER])
def test_a_mode_that_records_needs_a_licence(
    operator: Catalogue, bakery: Tenant, mode: RecordingMode
) -> None:
    with pytest.raises(Refused, match="needs a licence"):
        directory.add_user(operator, bakery.id, "bob", now=NOW, mode=mode)
    assert directory.list_users(operator, bakery.id) == []
    directory.add_user(operator, bakery.id, "bob", now=NOW, mode=mode, licence=DAYS_90)
    with pytest.raises(Refused, match="needs a licence"):
        directory.set_user(operator, bakery.id, "bob", now=NOW, licence=None)
    directory.set_user(operator, bakery.id, "bob", now=NOW + timedelta(1), licence=None, mode=NEVER)


def test_the_history_of_licences_tells_which_was_in_force(
    operator: Catalogue, recorder: Catalogue, bakery: Tenant, database: Any
) -> None:
    days = [NOW + timedelta(days=n) for n in range(4)]
    user = directory.add_user(operator, bakery.id, "bob", now=days[1], licence=DAYS_90)
    directory.set_user(operator, bakery.id, "bob", now=days[2], licence=RetentionClass.YEARS_7_3500)
    directory.set_user(operator, bakery.id, "bob", now=days[2], licence=RetentionClass.YEARS_7_3500)
    directory.set_user(operator, bakery.id, "bob", now=days[3], licence=None)
    found = [directory.licence_at(recorder, bakery.id, user.id, day) for day in days]
    assert found == [None, DAYS_90, RetentionClass.YEARS_7_3500, None]
    assert database.connect().execute("SELECT count(*) FROM user_licences").fetchone() == (3,)


def test_a_licence_of_the_past_is_not_rewritten(operator: Catalogue, bakery: Tenant, database: Any) -> None:
    import psycopg

    directory.add_user(operator, bakery.id, "bob", now=NOW, licence=DAYS_90)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        database.connect().execute("UPDATE user_licences SET licence = '365d'")


@pytest.mark.parametrize(
    "taken", ["+31201234550", "+31201234590-699", "+31201234400-500", "+31201234000-999"]
)
def test_a_number_belongs_to_one_user_of_a_tenant(
    operator: Catalogue, bakery: Tenant, florist: Tenant, taken: str
) -> None:
    directory.add_user(operator, bakery.id, "anna", now=NOW, numbers=["+31201234500-599"])
    with pytest.raises(Conflict, match="another user"):
        directory.add_user(operator, bakery.id, "bob", now=NOW, numbers=["101", taken])
    directory.add_user(operator, florist.id, "bob", now=NOW, numbers=[taken])
    assert [user.login for user in directory.list_users(operator, bakery.id)] == ["anna"]


def test_a_user_may_keep_the_numbers_they_have(operator: Catalogue, bakery: Tenant) -> None:
    directory.add_user(operator, bakery.id, "anna", now=NOW, numbers=["+31201234500-599"])
    changed = directory.set_user(operator, bakery.id, "anna", now=NOW, numbers=["+31201234500-549", "101"])
    assert changed.numbers == ("+31201234500-+31201234549", "101")


def test_two_who_claim_a_number_at_once_do_not_both_get_it(operator: Catalogue, bakery: Tenant) -> None:
    outcomes: list[str] = []

    def claim(login: str) -> None:
        try:
            directory.add_user(operator, bakery.id, login, now=NOW, numbers=["+31201234500-599"])
            outcomes.append("got")
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=claim, args=(f"user{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["conflict"] * 5 + ["got"]


@pytest.mark.parametrize("number", ["112", "113", "0800-0113", "+31112", "100-112"])
def test_an_emergency_number_belongs_to_nobody(operator: Catalogue, bakery: Tenant, number: str) -> None:
    with pytest.raises(Refused, match="never recorded"):
        directory.add_user(operator, bakery.id, "anna", now=NOW, numbers=[number])


def test_login_domain_peer_and_team_names_are_taken_once(operator: Catalogue, bakery: Tenant) -> None:
    directory.add_user(operator, bakery.id, "anna", now=NOW, broadworks_id="a@bw")
    peers.add_peer(operator, "sbc", ["192.0.2.1"], now=NOW)
    directory.add_team(operator, bakery.id, "Sales", now=NOW)
    with pytest.raises(Conflict):
        directory.add_user(operator, bakery.id, "ANNA", now=NOW)
    with pytest.raises(Conflict):
        directory.add_user(operator, bakery.id, "bob", now=NOW, broadworks_id="A@bw")
    with pytest.raises(Conflict):
        directory.add_tenant(operator, "X", "bakery.example", now=NOW)
    with pytest.raises(Conflict):
        peers.add_peer(operator, "sbc", ["192.0.2.2"], now=NOW)
    with pytest.raises(Conflict, match="belongs to another peer"):
        peers.add_peer(operator, "other", ["192.0.2.1/32"], now=NOW)
    with pytest.raises(Conflict):
        directory.add_team(operator, bakery.id, "Sales", now=NOW)


def test_a_broadworks_group_is_one_tenants(operator: Catalogue) -> None:
    directory.add_tenant(operator, "A", "a.example", now=NOW, broadworks_service_provider="bw")
    directory.add_tenant(
        operator, "B", "b.example", now=NOW, broadworks_service_provider="bw", broadworks_group="b"
    )
    with pytest.raises(Conflict):
        directory.add_tenant(operator, "C", "c.example", now=NOW, broadworks_service_provider="bw")
    with pytest.raises(Refused, match="service provider"):
        directory.add_tenant(operator, "D", "d.example", now=NOW, broadworks_group="b")


@pytest.mark.parametrize("domain", ["", "bakery example", "-x.example", "x..example", "a@b", "x" * 201])
def test_what_is_no_domain_is_refused(operator: Catalogue, domain: str) -> None:
    with pytest.raises(Refused, match="not a domain"):
        directory.add_tenant(operator, "X", domain, now=NOW)


@pytest.mark.parametrize("login", ["", "a b", "a@b", "é", "x" * 201, "a\0"])
def test_what_is_no_login_is_refused(operator: Catalogue, bakery: Tenant, login: str) -> None:
    with pytest.raises(Refused, match="not a login"):
        directory.add_user(operator, bakery.id, login, now=NOW)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\0b", "x" * (NAME_CHARS_MAX + 1)])
def test_what_is_no_name_is_refused(operator: Catalogue, bakery: Tenant, name: str) -> None:
    with pytest.raises(Refused, match="printable"):
        directory.add_team(operator, bakery.id, name, now=NOW)


def test_a_name_may_be_as_long_as_its_limit(operator: Catalogue, bakery: Tenant) -> None:
    assert directory.add_team(operator, bakery.id, "x" * NAME_CHARS_MAX, now=NOW)


@pytest.mark.parametrize("address", ["", "x", "192.0.2.1/33", "0.0.0.0/0", "::/0"])
def test_what_is_no_address_of_a_peer_is_refused(operator: Catalogue, address: str) -> None:
    with pytest.raises(Refused):
        peers.add_peer(operator, "sbc", [address], now=NOW)


def test_a_peer_has_a_bounded_number_of_addresses(operator: Catalogue) -> None:
    addresses = [f"192.0.2.{n}" for n in range(peers.ADDRESSES_PER_PEER_MAX + 1)]
    for wrong in ([], addresses):
        with pytest.raises(Refused, match="1 to 64"):
            peers.add_peer(operator, "sbc", wrong, now=NOW)
    assert (
        len(peers.add_peer(operator, "sbc", addresses[1:], now=NOW).addresses) == peers.ADDRESSES_PER_PEER_MAX
    )


@pytest.mark.parametrize("wrong", [{"dialect": "esperanto"}, {"srtp": "maybe"}])
def test_an_unknown_dialect_or_srtp_policy_is_refused(operator: Catalogue, wrong: Any) -> None:
    with pytest.raises(Refused, match="one of"):
        peers.add_peer(operator, "sbc", ["192.0.2.1"], now=NOW, **wrong)


@pytest.mark.parametrize("wrong", [{"site": "a\0"}, {"broadworks_id": ""}, {"broadworks_id": "x" * 201}])
def test_a_site_and_a_broadworks_id_are_printable_and_bounded(
    operator: Catalogue, bakery: Tenant, wrong: Any
) -> None:
    with pytest.raises(Refused, match="printable"):
        directory.add_user(operator, bakery.id, "bob", now=NOW, **wrong)


def test_a_user_has_a_bounded_number_of_numbers(operator: Catalogue, bakery: Tenant) -> None:
    numbers = [f"+3120{n:07}" for n in range(1_000_000, 1_000_000 + NUMBERS_PER_USER_MAX + 1)]
    with pytest.raises(Refused, match="at most 200"):
        directory.add_user(operator, bakery.id, "bob", now=NOW, numbers=numbers)
    assert len(directory.add_user(operator, bakery.id, "bob", now=NOW, numbers=numbers[1:]).numbers) == 200


def test_who_is_not_there_is_not_found(operator: Catalogue, bakery: Tenant) -> None:
    with pytest.raises(NotFound, match="no user"):
        directory.set_user(operator, bakery.id, "nobody", now=NOW)
    with pytest.raises(NotFound, match="no team"):
        directory.set_team_member(operator, bakery.id, "Sales", "nobody", Capacity.LISTENER, now=NOW)
    directory.add_team(operator, bakery.id, "Sales", now=NOW)
    with pytest.raises(NotFound, match="no user"):
        directory.set_team_member(operator, bakery.id, "Sales", "nobody", Capacity.LISTENER, now=NOW)
    with pytest.raises(NotFound, match="tenant list"):
        directory.tenant_by_domain(operator, "nowhere.example")


def test_access_is_one_of_two_words(operator: Catalogue, bakery: Tenant) -> None:
    with pytest.raises(Refused, match="none or own"):
        directory.add_user(operator, bakery.id, "bob", now=NOW, access="all")


def test_a_rebuilt_catalogue_begins_with_its_tenants(operator: Catalogue, database: Any) -> None:
    tenant = Tenant(TenantId("0193"), "De Warme Bakker", "bakery.example")
    for _ in range(2):
        with operator.transaction(tenant.id) as connection:
            directory.ensure_tenant(connection, tenant, now=NOW)
    assert directory.list_tenants(operator) == [tenant]


def test_a_rebuilt_tenant_records_for_the_reasons_of_its_provider_until_it_writes_its_own(
    operator: Catalogue, recorder: Catalogue
) -> None:
    """It recorded before its database was lost: calls of people who are not known again yet are quarantined."""
    tenant = Tenant(TenantId("0193"), "De Warme Bakker", "bakery.example")
    for _ in range(2):
        with operator.transaction(tenant.id) as connection:
            directory.ensure_tenant(connection, tenant, now=NOW)
    assert load_directory(recorder).is_switched_on(tenant.id)
    with operator.transaction(tenant.id) as connection:
        version = grounds.in_force(connection, tenant.id)
    assert version is not None
    assert version.standard


def test_every_change_is_announced(
    operator: Catalogue, portal: Catalogue, recorder: Catalogue, bakery: Tenant
) -> None:
    with recorder.listen(directory.CHANNEL) as listener:
        changes = (
            lambda: directory.add_tenant(operator, "X", "x.example", now=NOW),
            lambda: peers.add_peer(operator, "sbc", ["192.0.2.1"], now=NOW),
            lambda: directory.add_user(portal, bakery.id, "anna", now=NOW),
            lambda: directory.set_user(portal, bakery.id, "anna", now=NOW, site="Goes"),
            lambda: directory.add_team(portal, bakery.id, "Sales", now=NOW),
            lambda: directory.set_team_member(portal, bakery.id, "Sales", "anna", Capacity.LISTENER, now=NOW),
        )
        for change in changes:
            change()
            assert listener.wait(10)
