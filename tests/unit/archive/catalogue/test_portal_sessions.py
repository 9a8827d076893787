"""Sessions of browsers: how far somebody is, how many there are, and what stands of a token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archive.catalogue import directory, portal_sessions
from archive.catalogue.engine import Catalogue
from archive.catalogue.portal_sessions import (
    AGENT_CHARS_MAX,
    SESSIONS_PER_USER_MAX,
    STEP_S_MAX,
    Proof,
    Stage,
    stage_after,
)
from archive.model import Role, Tenant, User

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.fixture
def anna(operator: Catalogue, bakery: Tenant) -> User:
    return directory.add_user(operator, bakery.id, "anna", now=NOW)


def opened(portal: Catalogue, user: User, *, now: datetime = NOW, **changes: Any) -> tuple[str, Any]:
    fields = {"stage": Stage.SIGNED_IN, "proofs": {Proof.PASSWORD}, "now": now, **changes}
    with portal.transaction(user.tenant_id) as connection:
        return portal_sessions.open_session(connection, user.tenant_id, user.id, **fields)


@pytest.mark.parametrize(
    ("proofs", "role", "has", "stage"),
    [
        ({Proof.PASSWORD}, Role.USER, False, Stage.SIGNED_IN),
        ({Proof.PASSWORD}, Role.USER, True, Stage.SECOND_FACTOR),
        ({Proof.PASSWORD, Proof.TOTP}, Role.USER, True, Stage.SIGNED_IN),
        ({Proof.PASSWORD}, Role.ADMINISTRATOR, False, Stage.ENROLMENT),
        ({Proof.PASSWORD}, Role.AUDITOR, False, Stage.ENROLMENT),
        ({Proof.PASSWORD}, Role.AUDITOR, True, Stage.SECOND_FACTOR),
        ({Proof.PASSWORD, Proof.PASSKEY}, Role.AUDITOR, True, Stage.SIGNED_IN),
        ({Proof.VERIFIED_PASSKEY}, Role.ADMINISTRATOR, True, Stage.SIGNED_IN),
        ({Proof.MAIL}, Role.ADMINISTRATOR, False, Stage.ENROLMENT),
        ({Proof.MAIL}, Role.USER, True, Stage.SECOND_FACTOR),
        ({Proof.PROVIDER}, Role.AUDITOR, True, Stage.SECOND_FACTOR),
        ({Proof.PROVIDER}, Role.AUDITOR, False, Stage.ENROLMENT),
        ({Proof.PROVIDER, Proof.VERIFIED_PROVIDER}, Role.AUDITOR, False, Stage.SIGNED_IN),
        ({Proof.PASSWORD, Proof.RECOVERY_CODE}, Role.ADMINISTRATOR, False, Stage.ENROLMENT),
        (set(), Role.ADMINISTRATOR, False, Stage.ENROLMENT),
    ],
)
def test_how_far_somebody_is(proofs: set[Proof], role: Role, has: bool, stage: Stage) -> None:
    assert stage_after(proofs, role, has_second_factor=has) is stage


def test_a_token_opens_its_session_in_its_tenant_and_is_not_stored(
    portal: Catalogue, anna: User, florist: Tenant, database: Any
) -> None:
    token, session = opened(portal, anna)
    visit = portal_sessions.find(portal, token, now=NOW)
    assert visit is not None
    assert (visit.session, visit.login, visit.domain) == (session, "anna", "bakery.example")
    assert portal_sessions.find(portal, token.replace(anna.tenant_id, florist.id), now=NOW) is None
    row = database.connect().execute("SELECT portal_sessions::text FROM portal_sessions").fetchone()
    assert token.partition(".")[2] not in row[0]


@pytest.mark.parametrize("token", ["", "x", "a" * 200, "é", "../..", "\0"])
def test_what_is_no_token_opens_nothing(portal: Catalogue, anna: User, token: str) -> None:
    assert portal_sessions.find(portal, token, now=NOW) is None


def test_a_step_has_less_time_than_a_session(portal: Catalogue, anna: User) -> None:
    token, _ = opened(portal, anna, stage=Stage.SECOND_FACTOR)
    last = NOW + timedelta(seconds=STEP_S_MAX)
    assert portal_sessions.find(portal, token, now=last - timedelta(seconds=1)) is not None
    assert portal_sessions.find(portal, token, now=last) is None


def test_the_oldest_ends_above_the_limit(portal: Catalogue, anna: User) -> None:
    moments = [NOW + timedelta(seconds=n) for n in range(SESSIONS_PER_USER_MAX + 1)]
    tokens = [opened(portal, anna, now=moment)[0] for moment in moments]
    alive = [portal_sessions.find(portal, token, now=moments[-1]) is not None for token in tokens]
    assert alive == [False] + [True] * SESSIONS_PER_USER_MAX


def test_what_a_browser_calls_itself_is_cut_and_can_be_shown(portal: Catalogue, anna: User) -> None:
    _, session = opened(portal, anna, agent="x\0\n\u202e" * 300, address="y" * 100)
    assert session.agent == "x" * AGENT_CHARS_MAX
    assert len(session.address) == portal_sessions.ADDRESS_CHARS_MAX
