"""One organisation with people of every role and real calls, and a second one where nothing happened yet.

Everything is as in use: calls come by SIP and RTP, people have passwords and, where their
role needs one, an authenticator. Tests leave people, passwords and calls as they are;
what they add has a name of its own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
from sqlalchemy import insert

from archive import approval, roster
from archive.access import AccessScope, Right, Scope
from archive.allowance import month_of
from archive.catalogue import (
    accounts,
    departures,
    destructions,
    directory,
    identities,
    invitations,
    passwords,
    peers,
    proposals,
    recordings,
    report_subscriptions,
    rights,
    roster_imports,
    trash,
)
from archive.catalogue.destructions import DestroyedObject, Signed
from archive.catalogue.directory import Capacity
from archive.catalogue.engine import Catalogue
from archive.catalogue.identities import Account
from archive.catalogue.invitations import Kind
from archive.catalogue.peers import PeerFields
from archive.catalogue.tables import minute_months
from archive.model import (
    RecordingId,
    RecordingMode,
    RecordingState,
    RetentionClass,
    Role,
    SessionId,
    TenantId,
    UserId,
    new_id,
)
from archive.reports.period import Frequency
from archive.reports.report import Name
from archive.roster import RosterResult, RosterRow
from recorder.client.call import SAMPLE_RATE_HZ, SILENCE, CallPlan, Delivery, StreamPlan
from recorder.client.session import SessionRecordingClient
from recorder.client.speech import conversation
from tests.behaviour.customer import operating
from tests.browser import letterbox
from tests.browser.letterbox import Letterbox
from tests.running_service import RunningService, eventually

PASSWORD = "correct horse battery"
DOMAIN, EMPTY_DOMAIN = "lindekade.example", "leeg.example"
PROVIDER_DOMAIN = "aanbieder.example"
SALES, SERVICE = "Verkoop", "Binnendienst"
JANSEN, GARAGE = "+31612340078", "+31612340079"
STEP_S = 30

HOSTILE = (
    '<script>alert("naam")</script>',
    "\u202egnp.exe\u202c omgekeerd",
    '=HYPERLINK("http://evil.example","klik")',
    "'\"><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} ${7*7} %(login)s",
    "regel\u2028twee javascript:alert(2)",
)
"""Names that are a script, turn the text around, are a formula, leave an attribute, or are a template."""


@dataclass(frozen=True)
class Person:
    """Somebody with an account; `login` is also what pages call them."""

    login: str
    number: str = ""
    mode: str = "always"
    role: Role = Role.USER
    access: str = "own"
    domain: str = DOMAIN

    @property
    def address(self) -> str:
        """What is typed to sign in."""
        return f"{self.login}@{self.domain}"

    @property
    def needs_second_factor(self) -> bool:
        """Whether the role asks for one."""
        return self.role is not Role.USER


SANNE = Person("sanne", "+31200123401", "always-pause")
DAAN = Person("daan", "+31200123402")
NOOR = Person("noor", "+31200123403")
MARK = Person("mark", access="none")
ILSE = Person("ilse", access="none")
BEHEER = Person("beheer", role=Role.ADMINISTRATOR, access="none")
TOEZICHT = Person("toezicht", role=Role.AUDITOR, access="none")
UNENROLLED = Person("nieuw", role=Role.ADMINISTRATOR, access="none")
LOTTE = Person("lotte", "+31200123407")
PIET = Person("piet", "+31200123408")
EVA = Person("eva", "+31200123409", domain=EMPTY_DOMAIN)
LEEGBEHEER = Person("baas", role=Role.ADMINISTRATOR, access="none", domain=EMPTY_DOMAIN)
BEDRIJF = Person("bedrijf", role=Role.OPERATOR, access="none", domain=PROVIDER_DOMAIN)
PEOPLE = (SANNE, DAAN, NOOR, MARK, ILSE, BEHEER, TOEZICHT, UNENROLLED, LOTTE, PIET, EVA, LEEGBEHEER)

MEMBERS = (
    (SALES, SANNE, Capacity.CONTRIBUTOR),
    (SALES, DAAN, Capacity.CONTRIBUTOR),
    (SALES, MARK, Capacity.LISTENER),
    (SALES, ILSE, Capacity.MANAGER),
    (SERVICE, NOOR, Capacity.CONTRIBUTOR),
)


@dataclass(frozen=True)
class SampleCall:
    """A call to place; `paused` are the seconds of a pause, `lost` those in which no packet of one side came.

    `length_s` is that of the conversation with its first second of quiet; nobody speaks for `quiet_s` at its end.
    """

    caller: str
    callee: str
    length_s: float
    recorded: str = "caller"
    name: str = ""
    paused: tuple[float, float] | None = None
    lost: tuple[float, float] | None = None
    quiet_s: int = 1


CALLS = (
    SampleCall(SANNE.number, JANSEN, 14.0, name="Bouwbedrijf Jansen", paused=(5.0, 8.0)),
    SampleCall(GARAGE, DAAN.number, 6.0, "callee", name="Garage De Vries", lost=(2.0, 3.0), quiet_s=12),
    SampleCall(DAAN.number, NOOR.number, 5.0, name="noor"),
    *(SampleCall(f"+3161234010{n}", SANNE.number, 4.0, "callee", name) for n, name in enumerate(HOSTILE)),
)


@dataclass
class House:
    """The service, its people and recordings, and the second factors that were set up."""

    service: RunningService
    tenant_id: TenantId
    letterbox: Letterbox
    ids: dict[str, UserId] = field(default_factory=dict)
    recordings: list[dict[str, Any]] = field(default_factory=list)
    authenticators: dict[str, Authenticator] = field(default_factory=dict)
    states: dict[str, Any] = field(default_factory=dict)
    entered: dict[str, float] = field(default_factory=dict)
    teams: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    cases: dict[str, str] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    evaluations: dict[str, str] = field(default_factory=dict)
    asking: dict[str, str] = field(default_factory=dict)
    invitation: str = ""
    destroyed: str = ""
    exchange: str = ""
    imported: str = ""

    @property
    def url(self) -> str:
        """The address of the portal."""
        return f"http://localhost:{self.service.portal_port}"

    def says(self, person: Person | None, method: str, path: str, **body: Any) -> Any:
        """Ask the API as a person, or as a program of the organisation; returns what it answered."""
        key = self.keys[person.login] if person else self.service.api_key
        answer = self.service.send(method, path, body, key)
        assert answer.status < 300, (path, answer.status, answer.body)
        return answer.json() if answer.body else None

    def invite(self, person: Person) -> str:
        """Return the token of a link by which somebody chooses a password; it ends the one before."""
        account = Account(self.tenant_id, self.ids[person.login])
        with operating(self.service) as catalogue, catalogue.transaction(self.tenant_id) as connection:
            return invitations.make(connection, account, Kind.INVITATION, now=datetime.now(UTC))

    def recording_with(self, number: str) -> dict[str, Any]:
        """Return the recording of the call with a number."""
        return next(
            each
            for each in self.recordings
            if any(number in str(party.get("number")) for party in each["parties"])
        )


class Authenticator:
    """An app that shows codes; each it tells counts once, so it tells the next when asked again."""

    def __init__(self, secret: str) -> None:
        """Take the secret of the page."""
        self._code = pyotp.TOTP(secret.replace(" ", ""))
        self._step = 0

    def code(self) -> str:
        """Return a code that was not told before and that the portal takes by now."""
        self._step = max(self._step + 1, int(time.time()) // STEP_S)
        # The portal takes the code of the step to come as well, and no later one.
        eventually(lambda: self._step <= time.time() // STEP_S + 1, "the next code may be used")
        return self._code.at(self._step * STEP_S)


@contextmanager
def furnished(path: Path, calls: tuple[SampleCall, ...] = CALLS, **settings: str) -> Iterator[House]:
    """Start a service below `path`, enter everybody, place the calls, and end it afterwards."""
    with letterbox.opened() as box:
        mail = {"smtp_url": f"smtp://127.0.0.1:{box.port}", "smtp_from": f"opname@{DOMAIN}"}
        service = RunningService(path / "data", media_silence_s="20", **mail, **settings)
        yield from _furnished(service, box, calls)


def _furnished(service: RunningService, box: Letterbox, calls: tuple[SampleCall, ...]) -> Iterator[House]:
    service.start()
    try:
        with operating(service) as catalogue:
            house = _entered(service, catalogue, box)
            # In a thread, for Playwright has the loop of this one.
            with ThreadPoolExecutor(1) as pool:
                placing = pool.submit(asyncio.run, _place(service, calls))
                _let_in(catalogue, house)
                placed = placing.result()
            house.recordings = _archived(service, placed)
            _enter_the_empty(catalogue, house)
        write_on(house)
        hold_some(house)
        ask_for_privacy(house)
        put_one_in_the_trash(house)
        leave_one_destroyed(house)
        have_a_report_mailed(house)
        import_people(house)
        yield house
        code = service.stop()
        assert code == 0, f"up ended with {code}"
    finally:
        service.kill_everything()


def _entered(service: RunningService, catalogue: Catalogue, box: Letterbox) -> House:
    now = datetime.now(UTC)
    tenant = directory.add_tenant(catalogue, "Lindekade Techniek", DOMAIN, now=now)
    house = House(service, tenant.id, box)
    here = ("127.0.0.0/8", "::1/128")
    exchange = peers.add_peer(
        catalogue, "Centrale Lindekade", here, now=now, tenant_id=tenant.id, star_codes=True
    )
    house.exchange = exchange.id
    for person in PEOPLE:
        if person.domain == DOMAIN:
            _enter(catalogue, house, tenant.id, person)
    for name in (SALES, SERVICE):
        house.teams[name] = directory.add_team(catalogue, tenant.id, name, now=now)
    for name, person, capacity in MEMBERS:
        directory.set_team_member(catalogue, tenant.id, name, person.login, capacity, now=now)
    service.tenant_id = tenant.id
    service.api_key = accounts.add_api_client(catalogue, tenant.id, "tests", tuple(Scope), now=now).key
    for each in (SANNE, MARK):
        scopes = tuple(Scope)
        client = accounts.add_api_client(
            catalogue, tenant.id, f"app van {each.login}", scopes, now=now, user_id=house.ids[each.login]
        )
        house.keys[each.login] = client.key
    _use_minutes(catalogue, house, LOTTE)
    with catalogue.transaction(tenant.id) as connection:
        departures.leave(connection, tenant.id, house.ids[PIET.login], now=datetime.now(UTC))
    rights.set_rights(catalogue, tenant.id, house.ids[SANNE.login], {Right.SHARE: True, Right.EMAIL: True})
    return house


def _enter(catalogue: Catalogue, house: House, tenant_id: TenantId, person: Person) -> None:
    user = directory.add_user(
        catalogue,
        tenant_id,
        person.login,
        now=datetime.now(UTC),
        numbers=(person.number,) if person.number else (),
        mode=RecordingMode(person.mode if person.number else "never"),
        licence=RetentionClass.DAYS_365 if person.number else None,
        role=person.role,
        access=person.access,
    )
    house.ids[person.login] = user.id


def _use_minutes(catalogue: Catalogue, house: House, person: Person) -> None:
    """Give somebody a licence with minutes, of which most of this month's are used."""
    now, tenant_id = datetime.now(UTC), house.tenant_id
    directory.set_user(catalogue, tenant_id, person.login, now=now, licence=RetentionClass.YEARS_7_1000)
    booked = {"month": month_of(now), "booked_s": 743 * 60}
    with catalogue.transaction(tenant_id) as connection:
        connection.execute(
            insert(minute_months), {"tenant_id": tenant_id, "user_id": house.ids[person.login], **booked}
        )


def staffed(house: House, name: str, people: int) -> Person:
    """Add an organisation of so many people without a licence; return its administrator, who has one."""
    boss = Person(f"chef.{name}", role=Role.ADMINISTRATOR, access="none", domain=f"{name}.example")
    with operating(house.service) as catalogue:
        tenant = directory.add_tenant(catalogue, name, boss.domain, now=datetime.now(UTC))
        _enter(catalogue, house, tenant.id, boss)
        directory.set_user(
            catalogue, tenant.id, boss.login, now=datetime.now(UTC), licence=RetentionClass.DAYS_90
        )
        passwords.set_password(catalogue, tenant.id, boss.login, PASSWORD)
        for number in range(1, people + 1):
            directory.add_user(catalogue, tenant.id, f"collega{number:02}", now=datetime.now(UTC))
    return boss


def _let_in(catalogue: Catalogue, house: House) -> None:
    """Give everybody a password, and one of them an invitation nobody takes up."""
    for person in PEOPLE:
        if person.domain == DOMAIN:
            passwords.set_password(catalogue, house.tenant_id, person.login, PASSWORD)
    house.invitation = house.invite(MARK)


def _enter_the_empty(catalogue: Catalogue, house: House) -> None:
    """Add the organisation without calls, an exchange that several share, and the provider with an operator."""
    tenant = directory.add_tenant(catalogue, "Nog leeg", EMPTY_DOMAIN, now=datetime.now(UTC))
    for person in PEOPLE:
        if person.domain == EMPTY_DOMAIN:
            _enter(catalogue, house, tenant.id, person)
            passwords.set_password(catalogue, tenant.id, person.login, PASSWORD)
    _leave_one_unknown(catalogue, house, tenant.id)
    shared = peers.add_peer(catalogue, "Gedeelde centrale", ["192.0.2.0/28"], now=datetime.now(UTC))
    with catalogue.transaction() as connection:
        peers.change_within(connection, shared.id, PeerFields(enabled=False))
    provider = directory.add_tenant(
        catalogue, "De aanbieder", PROVIDER_DOMAIN, now=datetime.now(UTC), operates=True
    )
    _enter(catalogue, house, provider.id, BEDRIJF)
    passwords.set_password(catalogue, provider.id, BEDRIJF.login, PASSWORD)


def _leave_one_unknown(catalogue: Catalogue, house: House, tenant_id: TenantId) -> None:
    """Put a recording of nobody we know into the other organisation's quarantine, without sound."""
    now = datetime.now(UTC)
    program = AccessScope(house.tenant_id, "tests", scopes=frozenset({Scope.RECORDINGS_READ}))
    like = recordings.get(catalogue, program, RecordingId(house.recordings[0]["id"]))
    recording = dataclasses.replace(
        like.recording,
        id=RecordingId(new_id(now)),
        session_id=SessionId(new_id(now)),
        tenant_id=tenant_id,
        owner=None,
        state=RecordingState.QUARANTINED,
        retain_until=now + timedelta(days=6),
    )
    with catalogue.transaction(tenant_id) as connection:
        recordings.insert_recording(connection, dataclasses.replace(like, recording=recording, objects=()))


async def _place(service: RunningService, calls: tuple[SampleCall, ...]) -> list[str]:
    client = SessionRecordingClient()
    placed = await asyncio.gather(*(client.place(_plan(service, each)) for each in calls))
    assert [each.status for each in placed] == [200] * len(calls)
    return [each.call_id for each in placed]


def _plan(service: RunningService, call: SampleCall) -> CallPlan:
    caller, callee = conversation(call.length_s - 1)
    quiet = SILENCE * SAMPLE_RATE_HZ * call.quiet_s
    lost = frozenset(range(int(call.lost[0] * 50), int(call.lost[1] * 50))) if call.lost else frozenset()
    outgoing = call.recorded == "caller"
    return CallPlan(
        "127.0.0.1",
        service.sip_port,
        call.caller,
        call.callee,
        StreamPlan(caller + quiet, Delivery(lost=lost)),
        StreamPlan(callee + quiet),
        pause_at_s=call.paused[0] if call.paused else None,
        resume_at_s=call.paused[1] if call.paused else None,
        caller_name="" if outgoing else call.name,
        callee_name=call.name if outgoing else "",
        recorded=call.recorded,
    )


def _archived(service: RunningService, call_ids: list[str]) -> list[dict[str, Any]]:
    """Return the recordings once there is one of each call, newest first."""

    def look() -> list[dict[str, Any]]:
        found = service.recordings()
        return found if set(call_ids) <= {each["callId"] for each in found} else []

    return eventually(look, "every call is archived")[::-1]


def write_on(house: House) -> None:
    """Comment on a call, note, label and share it, as its people do."""
    path = f"/v1/recordings/{house.recording_with(JANSEN)['id']}"
    asked = house.says(
        SANNE, "POST", f"{path}/comments", text="Hier noemt hij het nieuwe bezorgadres.", atMs=3200
    )
    house.says(MARK, "POST", f"{path}/comments/{asked['id']}/replies", text="Staat in het systeem.")
    house.says(SANNE, "PUT", f"{path}/note", text="Levering verschoven naar week 48. Bel donderdag terug.")
    house.says(SANNE, "POST", f"{path}/labels", name="Terugbellen", colour="orange", shape="triangle")
    house.says(MARK, "POST", f"{path}/labels", name="Voorbeeld")
    house.says(SANNE, "PUT", f"{path}/favourite")
    house.links["open"] = house.says(SANNE, "POST", f"{path}/shares", title="Levering week 48", toMs=12_000)[
        "link"
    ]
    pin = house.says(SANNE, "POST", f"{path}/shares", title="Levering", proof="pin", pin="27182818")
    house.links["pin"] = pin["link"]


def hold_some(house: House) -> None:
    """Open a case with one call in it, and let the later ones with its number come there."""
    garage = next((each for each in house.recordings if GARAGE in str(each["parties"])), house.recordings[0])
    opened = house.says(
        None, "POST", "/v1/cases", name="Garage De Vries", reason="Klacht 88", recordingIds=[garage["id"]]
    )
    house.cases["garage"] = opened["id"]
    house.says(None, "POST", f"/v1/cases/{opened['id']}/rules", number=GARAGE)
    _propose(house)


def _propose(house: House) -> None:
    """Let the administrator and the auditor have proposed something each that waits, and one thing refused."""
    now = datetime.now(UTC)
    boss, auditor = _supervisors(house)
    role = approval.Wanted(
        approval.Kind.ROLE_GRANT, f"user:{house.ids[ILSE.login]}", {"role": "auditor"}, "Vervangt Toezicht"
    )
    policy = approval.Wanted(
        approval.Kind.POLICY_CHANGE, f"tenant:{house.tenant_id}", {"exportsAloneMax": 5000}
    )
    asked = {
        "reference": "zaak 12",
        "purpose": "Jaarcontrole",
        "recordingIds": [house.recordings[0]["id"]] * 3,
    }
    export = approval.Wanted(approval.Kind.MASS_EXPORT, "export:x", asked, "Jaarcontrole")
    with operating(house.service) as catalogue, catalogue.transaction(house.tenant_id) as connection:
        proposals.propose(connection, boss, role, now=now)
        proposals.propose(connection, auditor, export, now=now)
        refused = proposals.propose(connection, boss, policy, now=now)
        proposals.decide(connection, auditor, refused.id, approval.Event.REFUSE, now=now)


def _supervisors(house: House) -> tuple[AccessScope, AccessScope]:
    """Return the administrator and the auditor as they are when they signed in."""
    boss, auditor = (
        AccessScope(house.tenant_id, f"user:{house.ids[each.login]}", each.role, house.ids[each.login])
        for each in (BEHEER, TOEZICHT)
    )
    return boss, auditor


def put_one_in_the_trash(house: House) -> None:
    """Let the two approve the destruction of a call nothing else is shown of; it is heard as before meanwhile."""
    now = datetime.now(UTC)
    boss, auditor = _supervisors(house)
    shown = (JANSEN, GARAGE)
    plain = [each for each in house.recordings if not any(number in str(each["parties"]) for number in shown)]
    if not plain:
        return
    subject = f"recording:{plain[-1]['id']}"
    wanted = approval.Wanted(approval.Kind.EARLY_DESTRUCTION, subject, {}, "Verkeerd verbonden")
    with (
        operating(house.service, "portal") as catalogue,
        catalogue.transaction(house.tenant_id) as connection,
    ):
        proposed = proposals.propose(connection, boss, wanted, now=now)
        approved = proposals.decide(connection, auditor, proposed.id, approval.Event.APPROVE, now=now)
        trash.put(connection, approved, now=now)


def ask_for_privacy(house: House) -> None:
    """Take in a privacy request, find its calls and leave one decision open; and one that was only taken in."""
    path = "/v1/data-subject-requests"
    asked = house.says(None, "POST", path, kind="erasure", name="Garage De Vries", contact="Kade 3, Goes")
    house.says(None, "POST", f"{path}/{asked['id']}/identifications", how="called back")
    house.says(None, "POST", f"{path}/{asked['id']}/searches", by="number", text=GARAGE)
    house.requests["garage"] = asked["id"]
    fresh = house.says(None, "POST", path, kind="objection", name="M. Bos", contact="bos@mail.example")
    house.requests["fresh"] = fresh["id"]


def have_a_report_mailed(house: House) -> None:
    """Prove the addresses of two people, one of whom gets a report every month, and two come no more.

    One of those is of a team she managed until a while ago, one of the whole organisation.
    """
    now = datetime.now(UTC)
    with (
        operating(house.service, "portal") as catalogue,
        catalogue.transaction(house.tenant_id) as connection,
    ):
        for person in (ILSE, NOOR):
            account = Account(house.tenant_id, house.ids[person.login])
            identities.set_email(connection, account, person.address)
            identities.prove_email(connection, account, now=now)
    with operating(house.service, "portal") as catalogue:
        scope = accounts.scope_of_user(catalogue, house.tenant_id, house.ids[ILSE.login])
        then = dataclasses.replace(scope, managed_team_ids=scope.managed_team_ids | {house.teams[SERVICE]})
        with catalogue.transaction(house.tenant_id) as connection:
            for wanted in (
                report_subscriptions.Wanted(Name.USAGE, Frequency.MONTHLY, house.teams[SALES]),
                report_subscriptions.Wanted(Name.PAUSES, Frequency.WEEKLY, house.teams[SERVICE]),
                report_subscriptions.Wanted(Name.COMPLETENESS, Frequency.DAILY, form="pdf"),
            ):
                report_subscriptions.set_one(connection, then, wanted, now=now)


def import_people(house: House) -> None:
    """Take a file of two people in and settle its rows as a worker does; nobody is added by that."""
    now, boss = datetime.now(UTC), house.ids[BEHEER.login]
    named = [f"{SANNE.login}@{DOMAIN}", "roos@elders.example"]
    rows = [RosterRow(line, login, {}) for line, login in enumerate(named, 2)]
    became = [
        RosterResult(2, named[0], roster.UNCHANGED),
        RosterResult(3, named[1], roster.REFUSED, f"Logins of this tenant end on @{DOMAIN}."),
    ]
    with (
        operating(house.service, "portal") as catalogue,
        catalogue.transaction(house.tenant_id) as connection,
    ):
        house.imported = roster_imports.begin(connection, house.tenant_id, boss, rows, now=now)
    with operating(house.service, "worker") as catalogue:
        found = roster_imports.get(catalogue, house.tenant_id, house.imported)
        with catalogue.transaction(house.tenant_id) as connection:
            for place, each in enumerate(became):
                roster_imports.settle(connection, found, place, each)
            roster_imports.end(connection, house.tenant_id, house.imported, now=now)


def leave_one_destroyed(house: House) -> None:
    """Enter a recording like another, and destroy it as a sweep does; no key goes, for the other hangs from it."""
    now = datetime.now(UTC)
    # No sweep of the service's own comes to it before.
    over = now + timedelta(minutes=1)
    program = AccessScope(house.tenant_id, "tests", scopes=frozenset({Scope.RECORDINGS_READ}))
    house.destroyed = recording_id = RecordingId(new_id(now))
    with operating(house.service, "worker") as catalogue:
        like = recordings.get(catalogue, program, RecordingId(house.recordings[0]["id"]))
        recording = dataclasses.replace(
            like.recording,
            id=recording_id,
            session_id=SessionId(new_id(now)),
            retain_until=over,
            parties=(),
        )
        with catalogue.transaction(house.tenant_id) as connection:
            recordings.insert_recording(
                connection, dataclasses.replace(like, recording=recording, objects=())
            )
            claimed = destructions.claim(
                connection, house.tenant_id, recording_id, claim="house", until=over, now=now
            )
            assert claimed is not None
            found = [DestroyedObject(name, "1") for name in ("audio", "peaks")]
            planned = destructions.plan(connection, claimed, found)
            destructions.erase(connection, planned, now=now)
            destructions.finish(connection, planned, Signed(b"{}", b"\x30\x80"), now=now)
