"""A real catalogue and real keys behind the portal; the bucket is a dictionary that can be taken away."""

from __future__ import annotations

import dataclasses
import io
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import pytest
import soundfile
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from psycopg import sql
from sqlalchemy import make_url, update

from archive.access import CLIENT_SCOPES, AccessScope, Scope
from archive.audit import AuditEntry, AuditWriter
from archive.catalogue import (
    accounts,
    audit_entries,
    commands,
    directory,
    keep_next,
    live_calls,
    migrate,
    portal_sessions,
    recorder_nodes,
    recordings,
    sessions,
    tables,
)
from archive.catalogue.call_events import CallEvent, EventKind
from archive.catalogue.commands import Command
from archive.catalogue.engine import Catalogue
from archive.catalogue.live_calls import LiveCall
from archive.catalogue.portal_sessions import Proof, Stage
from archive.embedded.postgres import EmbeddedPostgres
from archive.errors import NotFound, StoreUnavailable
from archive.evidence.exports import Downloads
from archive.ingest import Ingest
from archive.model import (
    CallGroupId,
    Direction,
    FinishedRecording,
    Layout,
    OutcomeKind,
    PacketCounts,
    Party,
    Recording,
    RecordingId,
    RecordingMode,
    RecordingState,
    RetentionClass,
    Role,
    SessionId,
    SessionOutcome,
    Span,
    SpanKind,
    TenantId,
    User,
    new_id,
)
from archive.playback import Playback
from archive.post import Letter
from archive.shared import Derivatives
from archive.store.object import KeyTaken, ObjectFacts, ObjectVersion, sha256_hex, whole_second
from keys.envelope import new_key
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from playback_portal import browser_session
from playback_portal.app import create_app
from playback_portal.services import Services
from tests import made_recordings
from tests.made_recordings import finished_of, made_recording

NOW = datetime(2026, 11, 22, 9, 30, 0, 123000, tzinfo=UTC)
PASSWORDS = {role: f"{role}-s3cret" for role in migrate.ROLES}
AUDIO_S = 40
EVERY_SCOPE = CLIENT_SCOPES
PERSONAL_SCOPES = (Scope.RECORDINGS_READ, Scope.CALLS_READ, Scope.CALLS_CONTROL, Scope.SETTINGS)
PEOPLE: dict[str, directory.UserFields] = {
    "anna": {
        "numbers": ("+31201230001",),
        "broadworks_id": "anna@bw.example",
        "licence": RetentionClass.DAYS_90,
        "mode": RecordingMode.ON_DEMAND,
        "own_modes": (RecordingMode.ON_DEMAND, RecordingMode.ALWAYS_PAUSE),
    },
    "bert": {
        "numbers": ("+31201230002",),
        "licence": RetentionClass.DAYS_365,
        "mode": RecordingMode.ALWAYS_PAUSE,
    },
    "ada": {"role": Role.ADMINISTRATOR, "access": "none"},
}


class FixedClock:
    """A clock that stands still, `earlier` than NOW."""

    def __init__(self, earlier: timedelta = timedelta()) -> None:
        self.earlier = earlier

    def now(self) -> datetime:
        return NOW - self.earlier

    def monotonic(self) -> float:
        return 0.0


class MemoryStore:
    """A bucket in memory: counts what is fetched, and can be away or give back altered octets."""

    locks = True
    place = "memory/portal"

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], tuple[bytes, datetime | None]] = {}
        self.fetched: list[tuple[str, int, int]] = []
        self.away_after: int | None = None
        self.alter: dict[str, int] = {}

    def put(
        self, key: str, data: bytes, retain_until: datetime | None, mode: str = "GOVERNANCE", *, sha256: str
    ) -> str:
        if any(known == key for known, _ in self.objects):
            raise KeyTaken(key)
        assert sha256 == sha256_hex(data)
        self.objects[key, "v1"] = (data, None if retain_until is None else whole_second(retain_until))
        return "v1"

    def get(
        self, key: str, version_id: str, first: int | None = None, last_exclusive: int | None = None
    ) -> bytes:
        if self.away_after is not None and len(self.fetched) >= self.away_after:
            raise StoreUnavailable("The store is away.")
        data = self._find(key, version_id)[0][first:last_exclusive]
        start = first or 0
        self.fetched.append((key, start, start + len(data)))
        position = self.alter.get(key)
        if position is not None and start <= position < start + len(data):
            altered = bytearray(data)
            altered[position - start] ^= 1
            data = bytes(altered)
        return data

    def fetch(self, key: str, version_id: str) -> tuple[bytes, ObjectFacts]:
        return self.get(key, version_id), self.head(key, version_id)

    def head(self, key: str, version_id: str) -> ObjectFacts:
        data, retain_until = self._find(key, version_id)
        return ObjectFacts(key, version_id, len(data), None, "GOVERNANCE", retain_until)

    def versions(self, prefix: str) -> list[ObjectVersion]:
        return [
            ObjectVersion(key, version, len(data), True, False)
            for (key, version), (data, _) in self.objects.items()
            if key.startswith(prefix)
        ]

    def delete(self, key: str, version_id: str) -> None:
        raise AssertionError("The portal deletes nothing.")

    def clock(self) -> datetime:
        return NOW

    def barrier(self) -> None:
        return

    def healthy(self) -> bool:
        return self.away_after is None

    def _find(self, key: str, version_id: str) -> tuple[bytes, datetime | None]:
        try:
            return self.objects[key, version_id]
        except KeyError:
            raise NotFound("There is no such version.") from None


class Letterbox:
    """Takes mails in and keeps those that were handed over."""

    def __init__(self) -> None:
        self.sent: list[Letter] = []
        self._written: dict[str, Letter] = {}

    def queue(self, connection: Any, letter: Letter) -> str:
        mail_id = new_id(NOW)
        self._written[mail_id] = letter
        return mail_id

    def hand_over(self, tenant_id: str, mail_id: str) -> None:
        self.sent.append(self._written.pop(mail_id))


@dataclasses.dataclass
class House:
    """What the portal serves in these tests, made once and only read, but for the audit log."""

    portal: Catalogue
    recorder: Catalogue
    worker: Catalogue
    operator: Catalogue
    store: MemoryStore
    vault: KekVault
    root: LocalKeyring
    post: Letterbox
    tenant_id: TenantId
    stranger_id: TenantId
    samples: npt.NDArray[np.int16]
    flac: bytes
    recordings: dict[str, Recording]
    keys: dict[str, str]
    people: dict[str, User]
    url: str = ""
    first: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    """The ids of what it began with, by the tables of TIDIED."""

    def services(self, **changes: Any) -> Services:
        audit = AuditWriter(self.portal, "portal/test")
        playback = Playback(self.store, self.vault, self.portal, audit, FixedClock())
        services = Services(
            catalogue=self.portal,
            playback=playback,
            derivatives=Derivatives(self.store, self.vault, self.portal),
            downloads=Downloads(self.store, self.vault, self.portal, playback),
            audit=audit,
            clock=FixedClock(),
            checks={"database": self.portal.healthy, "store": self.store.healthy},
            root=self.root,
            post=self.post,
        )
        return dataclasses.replace(services, **changes)

    def signed_in(self, user: User, now: datetime = NOW) -> dict[str, str]:
        """Return what the browser of somebody who signed in sends, a page of ours being open in it."""
        with self.portal.transaction(user.tenant_id) as connection:
            token, _ = portal_sessions.open_session(
                connection,
                user.tenant_id,
                user.id,
                stage=Stage.SIGNED_IN,
                proofs=[Proof.PASSWORD, Proof.TOTP],
                now=now,
            )
        csrf = browser_session.csrf_of(token)
        return {"Cookie": f"{browser_session.COOKIE}={token}", browser_session.HEADER: csrf}

    def history(self, name: str) -> list[AuditEntry]:
        recording = self.recordings[name]
        return audit_entries.of_object(self.portal, recording.tenant_id, f"recording:{recording.id}")

    def events(self, name: str) -> list[tuple[str, str]]:
        return [(entry.action, entry.result) for entry in self.history(name)]


def encoded(samples: npt.NDArray[np.int16]) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def finished(
    tenant_id: TenantId, samples: npt.NDArray[np.int16], minute: int, **changes: Any
) -> FinishedRecording:
    started = NOW - timedelta(hours=2) + timedelta(minutes=minute)
    duration_ms = len(samples) // 8
    told: dict[str, Any] = {
        "call_id": f"call-{minute}@192.0.2.7",
        "parties": (Party("a", "+31612345678", "Jansen, M."), Party("b", "+31201234567", "", None, 40, 900)),
        "spans": (Span(SpanKind.LOSS, "a", 100, 120), Span(SpanKind.PAUSE, "both", 200, 300, "user:1")),
        "packets": PacketCounts(2000, 1, 2, 3),
        "flags": ("late-start",),
    }
    recording = made_recording(tenant_id, started, duration_ms, **{**told, **changes})
    levels = [np.arange(duration_ms // 50, dtype=np.int32) * 100 for _ in range(samples.shape[1])]
    return finished_of(recording, encoded(samples), levels)


def outcome_of(recording: Recording) -> SessionOutcome:
    return made_recordings.outcome_of(recording, "peer sbc-1")


TIDIED = ("recordings", "sessions")


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """Start PostgreSQL, archive some recordings of two tenants, and stop it at the end."""
    # Not below pytest's own folder: another run that starts closes that one to PostgreSQL's user.
    with tempfile.TemporaryDirectory(prefix="earwitness-portal-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        opened: list[Catalogue] = []
        try:
            url = server.start()
            forget_durability(url)
            migrate.prepare(url, PASSWORDS)
            opened += [
                Catalogue(server.url(role, PASSWORDS[role], migrate.DATABASE)) for role in migrate.ROLES
            ]
            made = furnished(Path(folder), *opened)
            yield dataclasses.replace(made, url=url, first={table: rows_of(url, table) for table in TIDIED})
        finally:
            for catalogue in opened:
                catalogue.close()
            server.stop()


@pytest.fixture(scope="module")
def as_furnished(house: House) -> None:
    """Take away what tests of other modules put beside the recordings of the house: here they are counted."""
    for table in TIDIED:
        rows_of(house.url, table, keep=house.first[table])


def rows_of(url: str, table: str, keep: list[str] | None = None) -> list[str]:
    """Return the ids of a table, after all but those to `keep` were taken away."""
    made = make_url(url).set(database=migrate.DATABASE)
    name = sql.Identifier(table)
    with psycopg.connect(**made.get_dialect()().create_connect_args(made)[1], autocommit=True) as admin:
        if keep is not None:
            # No trigger asks whether one of them is held.
            admin.execute("SET session_replication_role TO replica")
            admin.execute(sql.SQL("DELETE FROM {} WHERE id <> ALL (%s)").format(name), (keep,))
        return [row[0] for row in admin.execute(sql.SQL("SELECT id FROM {}").format(name))]


def forget_durability(url: str) -> None:
    """Let the server skip syncing: no test here cuts the power, and every answer waits for its audit entry."""
    made = make_url(url)
    with psycopg.connect(**made.get_dialect()().create_connect_args(made)[1], autocommit=True) as admin:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            admin.execute(sql.SQL("ALTER SYSTEM SET {} TO off").format(sql.Identifier(setting)))
        admin.execute("SELECT pg_reload_conf()")


def furnished(
    path: Path, recorder: Catalogue, portal: Catalogue, worker: Catalogue, operator: Catalogue
) -> House:
    bakery = directory.add_tenant(operator, "De Warme Bakker", "bakery.example", now=NOW)
    florist = directory.add_tenant(operator, "Bloem & Blad", "florist.example", now=NOW)
    (path / "keys").mkdir()
    root = LocalKeyring(new_key())
    vault = KekVault(root, DirectoryKeyStore(path / "keys"))
    store = MemoryStore()
    ingest = Ingest(
        store,
        vault,
        recorder,
        AuditWriter(recorder, "recorder/test"),
        path / "intents",
        FixedClock(timedelta(seconds=5)),
    )
    generator = np.random.default_rng(2026)
    # Noise does not compress, so that the FLAC has some twenty sealed segments.
    samples = generator.integers(-30000, 30000, (AUDIO_S * 8000, 2), dtype=np.int16)
    short = samples[:8000]
    wanted = {
        "two-party": finished(bakery.id, samples, 3),
        "mixed": finished(
            bakery.id, short[:, :1], 2, layout=Layout.MIXED, channels=("mixed",), direction=Direction.OUT
        ),
        "multi": finished(
            bakery.id,
            generator.integers(-30000, 30000, (8000, 3), dtype=np.int16),
            1,
            layout=Layout.MULTI,
            channels=("1", "2", "3"),
        ),
        "strangers": finished(florist.id, short, 0),
        "damaged": finished(bakery.id, samples, -1),
    }
    archived = {
        name: ingest.archive(item, outcome_of(item.recording)).recording for name, item in wanted.items()
    }
    unfinished = finished(bakery.id, short, -2).recording
    store.put(f"{bakery.id}/{unfinished.id}/audio", b"x", None, sha256=sha256_hex(b"x"))
    with recorder.transaction(bakery.id) as connection:
        pattern = recordings.get(portal, everything(bakery.id), archived["two-party"].id)
        recordings.insert_recording(connection, dataclasses.replace(pattern, recording=unfinished))
        sessions.insert_outcome(
            connection,
            dataclasses.replace(
                outcome_of(unfinished),
                session_id=SessionId(new_id(NOW)),
                kind=OutcomeKind.FAILED,
                reason="no media",
            ),
        )
    scopes = {
        "all": EVERY_SCOPE,
        "reader": (Scope.RECORDINGS_READ,),
        "player": (Scope.RECORDINGS_READ, Scope.RECORDINGS_PLAY),
        "sessions": (Scope.SESSIONS_READ,),
    }
    keys = {
        name: accounts.add_api_client(operator, bakery.id, name, scopes[name], now=NOW).key for name in scopes
    }
    keys["watcher"] = accounts.add_api_client(
        operator,
        bakery.id,
        "watcher",
        PERSONAL_SCOPES,
        now=NOW,
        user_id=directory.add_user(operator, bakery.id, "auditor", now=NOW, role=Role.AUDITOR).id,
    ).key
    keys["strangers"] = accounts.add_api_client(operator, florist.id, "all", EVERY_SCOPE, now=NOW).key
    people = {
        name: directory.add_user(operator, bakery.id, name, now=NOW - timedelta(days=1), **fields)
        for name, fields in PEOPLE.items()
    }
    keys |= {
        name: accounts.add_api_client(
            operator, bakery.id, f"{name}'s app", PERSONAL_SCOPES, now=NOW, user_id=user.id
        ).key
        for name, user in people.items()
    }
    return House(
        portal=portal,
        recorder=recorder,
        worker=worker,
        operator=operator,
        store=store,
        vault=vault,
        root=root,
        post=Letterbox(),
        tenant_id=bakery.id,
        stranger_id=florist.id,
        samples=samples,
        flac=wanted["two-party"].audio,
        recordings={**archived, "unfinished": unfinished},
        keys=keys,
        people=people,
    )


def everything(tenant_id: TenantId) -> AccessScope:
    return AccessScope(tenant_id, "api-client:test", scopes=frozenset(EVERY_SCOPE))


class Api:
    """A client of the portal that asks with a key and a path below `/v1`."""

    def __init__(self, client: TestClient[Any, Any], house: House) -> None:
        self.client = client
        self.house = house

    async def get(
        self, path: str, key: str | None = "all", headers: dict[str, str] | None = None
    ) -> ClientResponse:
        return await self.send("GET", path, key, headers=headers)

    async def send(
        self,
        method: str,
        path: str,
        key: str | None = "all",
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> ClientResponse:
        """Send a request with a JSON body, if any."""
        sent = {} if key is None else {"Authorization": f"Bearer {self.house.keys[key]}"}
        return await self.client.request(method, path, json=body, headers={**sent, **(headers or {})})

    def path(self, name: str, rest: str = "") -> str:
        return f"/v1/recordings/{self.house.recordings[name].id}{rest}"

    async def audio(
        self, name: str, query: str = "", key: str | None = "all", headers: dict[str, str] | None = None
    ) -> ClientResponse:
        return await self.get(self.path(name, f"/audio{query}"), key, headers)


@pytest.fixture
async def api(house: House) -> AsyncIterator[Api]:
    """The portal over a real socket; afterwards the store is whole again and nobody has promised anything."""
    house.store.fetched.clear()
    async with TestClient(TestServer(create_app(house.services()))) as client:
        yield Api(client, house)
    house.store.away_after = None
    house.store.alter.clear()
    for person in house.people.values():
        keep_next.clear(house.portal, house.tenant_id, person.id)


NODE = "recorder-1"
Answer = Callable[[Command], tuple[bool, str] | None]


class Exchange:
    """Calls under way, and the recorder that holds them: it takes commands and answers as told.

    `answer` returns whether a command is obeyed and why not, or None to take it and stay
    silent; without one nobody takes anything, as when the recorder is gone.
    """

    effective_at = NOW + timedelta(milliseconds=20)

    def __init__(self, house: House) -> None:
        self.house = house
        self.answer: Answer | None = lambda command: (True, "")
        self.taken: list[Command] = []
        self.there = True
        self._beating = threading.Lock()
        self._published: list[LiveCall] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder")

    def call(self, owner: str | None = "anna", **changes: Any) -> LiveCall:
        """Put a call of `owner` under way."""
        person = None if owner is None else self.house.people[owner]
        started = NOW + timedelta(seconds=len(self._published))
        call = LiveCall(
            recording_id=RecordingId(new_id(started)),
            tenant_id=self.house.tenant_id,
            session_id=SessionId(new_id(started)),
            call_id="3848276298220188511@atlanta.example.com",
            call_group=CallGroupId(new_id(started)),
            node=NODE,
            owner=None if person is None else person.id,
            mode=RecordingMode.ALWAYS if person is None else person.mode,
            state=RecordingState.RECORDING,
            capture="recording",
            direction=Direction.IN,
            layout=Layout.TWO_PARTY,
            started_at=started,
            parties=(Party("a", "+31612345678"), Party("b", "+31201230001", "Anna", None, 20)),
        )
        call = dataclasses.replace(call, **changes)
        self.publish(call)
        return call

    def publish(self, call: LiveCall, *events: CallEvent) -> None:
        self._published.append(call)
        live_calls.publish(self.house.recorder, NODE, [call], events=events)

    def hang_up(self, call: LiveCall, *events: CallEvent) -> None:
        live_calls.publish(self.house.recorder, NODE, gone=[call.recording_id], events=events)

    def erase(self, call: LiveCall) -> None:
        live_calls.publish(self.house.recorder, NODE, erased=[call.recording_id])

    def event(self, call: LiveCall, kind: EventKind, **body: Any) -> CallEvent:
        state = {"state": call.state.value}
        return CallEvent(call.tenant_id, NOW, kind, call.recording_id, call.owner, {**state, **body})

    def start(self) -> None:
        recorder_nodes.beat(self.house.recorder, NODE)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()
        live_calls.publish(self.house.recorder, NODE, erased=[call.recording_id for call in self._published])

    def lose(self) -> None:
        """Fall silent, as a recorder that was killed some time ago."""
        past = {"heard_at": NOW - timedelta(days=300)}
        with self._beating:
            self.answer, self.there = None, False
            with self.house.recorder.transaction() as connection:
                connection.execute(update(tables.recorder_nodes).values(past))

    def _run(self) -> None:
        beaten = time.monotonic()
        with self.house.recorder.listen(commands.COMMANDS_CHANNEL) as listener:
            while not self._stopped.is_set():
                with self._beating:
                    if self.there and time.monotonic() - beaten > recorder_nodes.BEAT_S:
                        recorder_nodes.beat(self.house.recorder, NODE)
                        beaten = time.monotonic()
                if self.answer is not None:
                    for command in commands.claim(self.house.recorder, NODE):
                        self._obey(command, self.answer)
                listener.wait(0.02)

    def _obey(self, command: Command, answer: Answer) -> None:
        self.taken.append(command)
        told = answer(command)
        if told is not None:
            obeyed, reason = told
            commands.answer(
                self.house.recorder,
                command.id,
                command.tenant_id,
                obeyed=obeyed,
                reason=reason,
                effective_at=self.effective_at,
            )


@pytest.fixture
def exchange(house: House) -> Iterator[Exchange]:
    """A recorder with its calls; afterwards there is nothing of them left."""
    made = Exchange(house)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def clock() -> FixedClock:
    """The clock the portal goes by in these tests."""
    return FixedClock()


@pytest.fixture(scope="session")
def archive(house: House, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Recording]:
    """Return what archives a second or more of a call, `minute` minutes after the first of `house`."""
    ingest = Ingest(
        house.store,
        house.vault,
        house.recorder,
        AuditWriter(house.recorder, "recorder/test"),
        tmp_path_factory.mktemp("archive") / "intents",
        FixedClock(timedelta(seconds=5)),
    )

    def made(tenant_id: TenantId, minute: int, seconds: int = 1, **changes: Any) -> Recording:
        item = finished(tenant_id, house.samples[: seconds * 8000], minute, **changes)
        return ingest.archive(item, outcome_of(item.recording)).recording

    return made


@pytest.fixture(scope="session")
def insert(house: House) -> Callable[..., Recording]:
    """Return what puts a recording without sound into the catalogue, in any state."""

    def made(tenant_id: TenantId, minute: int, **changes: Any) -> Recording:
        recording = finished(tenant_id, house.samples[:8000], minute, **changes).recording
        pattern = house.recordings["two-party"]
        archived = recordings.get(house.portal, everything(pattern.tenant_id), pattern.id)
        with house.recorder.transaction(tenant_id) as connection:
            recordings.insert_recording(
                connection, dataclasses.replace(archived, recording=recording, objects=())
            )
            sessions.insert_outcome(connection, outcome_of(recording))
        return recording

    return made
