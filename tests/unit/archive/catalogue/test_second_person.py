"""Who decides beside whom: nobody with somebody who might be them, by whichever way and however many steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from archive.access import AccessScope
from archive.approval import HELP_LASTS, NotYours
from archive.audit import AuditWriter
from archive.catalogue import second_person
from archive.catalogue.engine import Catalogue
from archive.catalogue.invitations import LIFE_S, Kind
from archive.model import Role, Tenant, UserId

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
A_MINUTE = timedelta(minutes=1)
ADA, BEN, CARL, DORA, EVE = (f"user:{name}" for name in ("ada", "ben", "carl", "dora", "eve"))
RESET = "second-factor.reset"
WAYS = sorted(second_person.HELPING - {second_person.LINKED})


class House:
    """A customer whose people help each other in, and ask whether two of them are two."""

    def __init__(self, portal: Catalogue, tenant: Tenant) -> None:
        self.portal = portal
        self.tenant_id = tenant.id
        self.audit = AuditWriter(portal, "portal/test")

    def helps(
        self, actor: str, helped: str, action: str = RESET, *, at: datetime = NOW, result: str = "ok"
    ) -> None:
        told = {"actor": actor, "object": helped, "action": action, "result": result}
        with self.audit.transaction(self.tenant_id) as connection:
            self.audit.append(connection, tenant_id=self.tenant_id, at=at, **told)

    def are_two(
        self, first: str, second: str, *, asked_at: datetime = NOW, now: datetime | None = None
    ) -> bool:
        user_id = UserId(second.removeprefix("user:"))
        scope = AccessScope(self.tenant_id, second, Role.ADMINISTRATOR, user_id)
        try:
            with self.portal.transaction(self.tenant_id) as connection:
                second_person.require_own_hand(connection, scope, first, asked_at, now or asked_at)
        except NotYours:
            return False
        return True


@pytest.fixture
def here(portal: Catalogue, bakery: Tenant) -> House:
    return House(portal, bakery)


@pytest.mark.parametrize("way", WAYS)
def test_by_each_way_of_helping_neither_approves_what_the_other_wants(here: House, way: str) -> None:
    here.helps(ADA, BEN, way)
    assert not here.are_two(ADA, BEN)
    assert not here.are_two(BEN, ADA)
    assert here.are_two(ADA, CARL)
    assert here.are_two(CARL, BEN)


def test_an_act_that_was_refused_or_lets_nobody_in_makes_no_one_of_two(here: House) -> None:
    here.helps(ADA, BEN, result="refused")
    for act in ("user.changed", "user.viewed", "sessions.ended", "user.left", "invitation.used"):
        here.helps(ADA, BEN, act)
    here.helps(ADA, ADA)
    assert here.are_two(ADA, BEN)
    assert here.are_two(BEN, ADA)


def test_help_goes_on_along_a_chain_in_any_order_of_asking(here: House) -> None:
    """Ada is Ben by a link, and as Ben lets Carl in, and as Carl Dora."""
    here.helps(ADA, BEN)
    here.helps(BEN, CARL, "user.invited")
    here.helps(CARL, DORA, "user.added")
    for first, second in permutations((ADA, BEN, CARL, DORA), 2):
        assert not here.are_two(first, second), (first, second)
    assert here.are_two(ADA, EVE)
    assert here.are_two(EVE, DORA)


def test_two_whom_a_third_let_in_are_no_two(here: House) -> None:
    here.helps(ADA, BEN)
    here.helps(ADA, CARL, "user.invited")
    assert not here.are_two(BEN, CARL)
    assert not here.are_two(CARL, BEN)


def test_two_who_helped_the_same_person_are_two_still(here: House) -> None:
    """Neither could be the other; else one forgetful person would keep two administrators from deciding."""
    here.helps(ADA, DORA)
    here.helps(BEN, DORA, "user.invited")
    assert here.are_two(ADA, BEN)
    assert not here.are_two(ADA, DORA)


def test_help_that_goes_round_comes_to_an_end(here: House) -> None:
    here.helps(ADA, BEN)
    here.helps(BEN, ADA)
    assert not here.are_two(ADA, BEN)
    assert here.are_two(CARL, ADA)


def test_a_week_after_the_help_they_are_two_again_for_what_is_asked_then(here: House) -> None:
    here.helps(ADA, BEN)
    here.helps(BEN, CARL)
    over = NOW + HELP_LASTS
    for first, second in ((ADA, BEN), (BEN, ADA), (ADA, CARL), (CARL, ADA)):
        assert not here.are_two(first, second, asked_at=over - A_MINUTE)
        assert here.are_two(first, second, asked_at=over)


def test_what_was_asked_within_the_week_is_not_approved_after_it(here: House) -> None:
    """Ada asks as Ben, whose second factor she reset, and waits until she may approve as herself."""
    here.helps(ADA, BEN)
    assert not here.are_two(BEN, ADA, asked_at=NOW + A_MINUTE, now=NOW + HELP_LASTS + A_MINUTE / 2)


def test_help_after_it_was_asked_for_counts_as_well(here: House) -> None:
    here.helps(ADA, BEN, at=NOW + A_MINUTE)
    assert not here.are_two(ADA, BEN, asked_at=NOW, now=NOW + 2 * A_MINUTE)


def test_a_link_that_waited_counts_from_the_day_it_was_used(here: House) -> None:
    here.helps(ADA, BEN, "user.invited")
    used = NOW + timedelta(seconds=LIFE_S[Kind.INVITATION]) - A_MINUTE
    here.helps(BEN, BEN, "invitation.used", at=used)
    assert not here.are_two(ADA, BEN, asked_at=used + HELP_LASTS - A_MINUTE)
    assert here.are_two(ADA, BEN, asked_at=used + HELP_LASTS)


def test_of_another_customer_nobody_counts(here: House, portal: Catalogue, florist: Tenant) -> None:
    House(portal, florist).helps(ADA, BEN)
    assert here.are_two(ADA, BEN)


def test_whom_operators_let_in_approves_nothing_of_theirs_nor_of_each_other(here: House) -> None:
    """Two accounts of one machine are one hand; the commands name people by their id alone."""
    here.helps("operator:0", "ben", "user.added")
    here.helps("operator:998", "carl", "user.password-set")
    assert not here.are_two("operator:1", BEN)
    assert not here.are_two(BEN, CARL)
    assert here.are_two("operator:1", ADA)
    assert here.are_two(ADA, BEN)
    here.helps(BEN, DORA)
    assert not here.are_two("operator:0", DORA)


@pytest.mark.parametrize("way", ["user.role-given", "identity.unlinked", "user.invited"])
def test_each_way_of_the_operator_counts(here: House, way: str) -> None:
    here.helps("operator:0", "ben", way)
    assert not here.are_two("operator:0", BEN)


def test_who_came_by_the_customers_provider_for_the_first_time_could_be_who_set_it(here: House) -> None:
    for each in (BEN, CARL):
        here.helps(each, each, second_person.LINKED)
    assert not here.are_two("operator:0", BEN)
    assert not here.are_two(BEN, CARL)
    assert here.are_two(ADA, BEN)


def test_in_the_first_week_of_a_customer_those_the_operator_added_decide_together(
    here: House,
) -> None:
    """Somebody adds the first two; of each other's own help, and of what operators want, it excuses nothing."""
    here.helps("operator:0", here.tenant_id, second_person.TENANT_ADDED, at=NOW - HELP_LASTS + A_MINUTE)
    for name in ("ada", "ben", "carl"):
        here.helps("operator:0", name, "user.added")
    here.helps(BEN, CARL)
    assert here.are_two(ADA, BEN)
    assert not here.are_two(BEN, CARL)
    assert not here.are_two("operator:0", ADA)
    assert not here.are_two(ADA, BEN, asked_at=NOW + A_MINUTE)
