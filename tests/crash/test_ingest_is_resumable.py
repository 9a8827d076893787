"""An ingest may stop anywhere: afterwards one object set, one row and one audit entry count.

Stops are tried before and after every single effect (the second is a reply that got
lost), then several in a row, then as faults of a real object store on the wire.
"""

from __future__ import annotations

import http.client
import random
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import directory, migrate, recordings
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.clock import SystemClock
from archive.embedded.postgres import EmbeddedPostgres
from archive.embedded.seaweedfs import EmbeddedSeaweed
from archive.embedded.signed_request import S3Endpoint
from archive.errors import DependencyUnavailable
from archive.ingest import Ingest
from archive.intent import IntentDirectory
from archive.model import (
    ArchivedRecording,
    CallGroupId,
    Direction,
    FinishedRecording,
    Layout,
    ObjectKind,
    OutcomeKind,
    Recording,
    RecordingId,
    RecordingMode,
    RecordingState,
    RetentionClass,
    Role,
    SessionId,
    SessionOutcome,
    TenantId,
    new_id,
)
from archive.playback import Action, Playback
from archive.store.memory import MemoryStore
from archive.store.object import Store
from archive.store.s3 import ObjectStore
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring

AUDIO = b"fLaC" + bytes(range(256)) * 300


class Stopped(BaseException):
    """The process is gone."""


@dataclass
class Effects:
    """Counts effects and stops at one of them; `after` lets it happen first."""

    stop_at: int = 0
    after: bool = False
    count: int = 0

    def step(self, effect: Callable[[], object]) -> object:
        self.count += 1
        if self.count == self.stop_at and not self.after:
            raise Stopped
        result = effect()
        if self.count == self.stop_at:
            raise Stopped
        return result


class Stopping:
    """Any object whose listed methods are effects."""

    def __init__(self, inner: object, effects: Effects, *methods: str) -> None:
        self._inner, self._effects, self._methods = inner, effects, methods

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        if name not in self._methods:
            return found
        return lambda *args, **more: self._effects.step(lambda: found(*args, **more))


class StoppingAudit(AuditWriter):
    """An audit writer whose entry is an effect, and the moments before and after its commit."""

    def __init__(self, catalogue: Catalogue, effects: Effects) -> None:
        super().__init__(catalogue, "recorder/crash")
        self._effects = effects

    @contextmanager
    def transaction(self, tenant_id: TenantId | None) -> Iterator[object]:
        with super().transaction(tenant_id) as connection:
            yield connection
            # Stopped here nothing is committed, stopped below everything is.
            self._effects.step(lambda: None)
        self._effects.step(lambda: None)

    def append(self, *args: object, **fields: object) -> object:
        return self._effects.step(lambda: super(StoppingAudit, self).append(*args, **fields))


@dataclass
class House:
    """A database, a key store, an object store and a directory of intents, for any number of recordings."""

    recorder: Catalogue
    portal: Catalogue
    vault: KekVault
    store: Store
    directory: Path
    tenant_id: TenantId

    def ingest(self, effects: Effects | None = None) -> Ingest:
        """Return an ingest as a new process has it."""
        effects = effects or Effects()
        ingest = Ingest(
            Stopping(self.store, effects, "clock", "put", "versions", "fetch", "barrier"),
            Stopping(self.vault, effects, "current", "get"),
            self.recorder,
            StoppingAudit(self.recorder, effects),
            self.directory,
            SystemClock(),
        )
        ingest._intents = Stopping(IntentDirectory(self.directory), effects, "record", "remove")
        return ingest

    def finished(self) -> FinishedRecording:
        now = datetime.now(UTC)
        recording = Recording(
            id=RecordingId(new_id(now)),
            tenant_id=self.tenant_id,
            session_id=SessionId(new_id(now)),
            call_id=new_id(now),
            call_group=CallGroupId(new_id(now)),
            state=RecordingState.AVAILABLE,
            mode=RecordingMode.ALWAYS,
            owner=None,
            peer_id=None,
            direction=Direction.IN,
            layout=Layout.TWO_PARTY,
            started_at=now,
            ended_at=now,
            duration_ms=0,
            recorded_ms=0,
            parties=(),
            retention_class=RetentionClass.DAYS_90,
            retain_until=now + timedelta(days=90),
        )
        return FinishedRecording(recording, AUDIO, "audio/flac", b"peaks", b"{}", b"{}")

    def check(self, finished: FinishedRecording) -> ArchivedRecording:
        """Check that exactly one object set, row and entry count, and that everything opens."""
        recording = finished.recording
        scope = AccessScope(tenant_id=self.tenant_id, actor="user:1", role=Role.AUDITOR)
        archived = recordings.get(self.portal, scope, recording.id)
        assert [stored.kind for stored in archived.objects] == list(ObjectKind)
        found = {
            (item.key, item.version_id) for item in self.store.versions(f"{self.tenant_id}/{recording.id}/")
        }
        counted = {(stored.key, stored.version_id) for stored in archived.objects}
        assert counted == found
        entries = of_object(self.portal, self.tenant_id, f"recording:{recording.id}")
        assert [entry.action for entry in entries if entry.action == "recording.archived"] == [
            "recording.archived"
        ]
        assert list(self.directory.glob("*.intent")) == []
        playback = Playback(self.store, self.vault, self.portal, AuditWriter(self.portal, "portal/crash"))
        reader = playback.open_object(scope, recording.id, ObjectKind.AUDIO, Action.PLAY)
        assert reader.read(0, reader.length) == AUDIO
        return archived


def outcome_of(finished: FinishedRecording) -> SessionOutcome:
    recording = finished.recording
    return SessionOutcome(
        session_id=recording.session_id,
        call_id=recording.call_id,
        kind=OutcomeKind.RECORDED,
        reason="mode always",
        started_at=recording.started_at,
        ended_at=recording.ended_at,
        tenant_id=recording.tenant_id,
        recording_ids=(recording.id,),
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    keys = tmp_path_factory.mktemp("keys")
    try:
        url = server.start()
        migrate.prepare(url, dict.fromkeys(migrate.ROLES, "secret"))
        with (
            closing(Catalogue(server.url("earwitness_recorder", "secret", migrate.DATABASE))) as recorder,
            closing(Catalogue(server.url("earwitness_portal", "secret", migrate.DATABASE))) as portal,
            closing(Catalogue(server.url("earwitness_operator", "secret", migrate.DATABASE))) as operator,
        ):
            tenant = directory.add_tenant(operator, "Bakery", "bakery.example", now=datetime.now(UTC))
            vault = KekVault(LocalKeyring(secrets.token_bytes(32)), DirectoryKeyStore(keys))
            intents = tmp_path_factory.mktemp("intents")
            yield House(recorder, portal, vault, MemoryStore(), intents, tenant.id)
    finally:
        server.stop()


def run_to_stop(house: House, finished: FinishedRecording, effects: Effects) -> bool:
    """Return whether the ingest was stopped."""
    try:
        house.ingest(effects).archive(finished, outcome_of(finished))
    except Stopped:
        return True
    return False


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_stop_at_any_effect_leaves_one_object_set_one_row_one_entry(house: House, after: bool) -> None:
    for number in range(1, 100):
        finished = house.finished()
        if not run_to_stop(house, finished, Effects(number, after)):
            break
        house.ingest().archive(finished, outcome_of(finished))
        house.check(finished)
    # Key, intent, clock, five puts, the barrier, five reads, the entry, the commit, the intent's end.
    assert number - 1 >= 17
    house.check(finished)


def test_several_stops_in_a_row_change_nothing_either(house: House) -> None:
    random_ = random.Random(20261122)
    for _ in range(25):
        finished = house.finished()
        while run_to_stop(house, finished, Effects(random_.randint(1, 25), random_.random() < 0.5)):
            pass
        house.check(finished)


def test_two_finalisers_of_one_recording_archive_it_once(house: House) -> None:
    finished = house.finished()
    done: list[ArchivedRecording] = []
    threads = [
        threading.Thread(target=lambda: done.append(house.ingest().archive(finished, outcome_of(finished))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [house.check(finished)] * 4


# --- Faults on the wire to a real SeaweedFS ----------------------------------------------------


@dataclass
class Fault:
    """What the proxy does to the request with this number, counted from 1."""

    at: int = 0
    kind: str = ""
    count: int = 0


class FaultProxy(ThreadingHTTPServer):
    """Forwards to an S3 server, and spoils one request."""

    daemon_threads = True

    def __init__(self, server: S3Endpoint) -> None:
        super().__init__(("127.0.0.1", 0), FaultHandler)
        self.target = urlsplit(server.url).netloc
        self.fault = Fault()
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: half of what comes here hangs up on purpose."""


class FaultHandler(BaseHTTPRequestHandler):
    """One request through the proxy, each on a connection of its own."""

    # So that a client which waits for "100 Continue" before its body gets it.
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: FaultProxy = self.server
        self.close_connection = True
        with server.lock:
            server.fault.count += 1
            kind = server.fault.kind if server.fault.count == server.fault.at else ""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if kind == "500 before":
            self.send_error(500)
            return
        if kind == "hang-up before":
            return
        with closing(http.client.HTTPConnection(server.target, timeout=20)) as connection:
            headers = {name: value for name, value in self.headers.items() if name != "Expect"}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        if kind == "500 after":
            self.send_error(500)
        elif kind != "hang-up after":
            self._pass_on(answer, data, kind)

    do_PUT = do_HEAD = do_GET  # noqa: N815 - names of the standard library

    def _pass_on(self, answer: http.client.HTTPResponse, data: bytes, kind: str) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "transfer-encoding", "date", "server"}:
                self.send_header(name, value)
        if answer.getheader("Content-Length") is None:
            self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        if kind == "short body":
            data = data[: len(data) // 2]
        if kind == "corrupt body":
            data = data[:-1] + bytes([data[-1] ^ 1]) if data else data
        with suppress(OSError):
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Write no log."""


@dataclass
class Wire:
    """A faulty way to a store and a straight one."""

    proxy: FaultProxy
    straight: ObjectStore
    endpoint: S3Endpoint

    def faulty(self, attempts: int) -> ObjectStore:
        address = f"http://127.0.0.1:{self.proxy.server_address[1]}"
        names = ("archive", self.endpoint.access_key, self.endpoint.secret_key)
        return ObjectStore(address, *names, timeout_s=5, attempts=attempts)


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    seaweed = EmbeddedSeaweed(tmp_path_factory.mktemp("seaweed"))
    try:
        endpoint = seaweed.start()
        with FaultProxy(endpoint) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            names = ("archive", endpoint.access_key, endpoint.secret_key)
            with closing(ObjectStore(endpoint.url, *names, sync_dir=seaweed.volumes)) as straight:
                straight.ensure_bucket()
                yield Wire(server, straight, endpoint)
            server.shutdown()
    finally:
        seaweed.kill()


# A refused clock request still tells the time; only the five reads have a body to spoil.
FAILURES = {
    "500 before": 10,
    "500 after": 10,
    "hang-up before": 11,
    "hang-up after": 11,
    "short body": 5,
    "corrupt body": 5,
}


@pytest.mark.parametrize("kind", list(FAILURES))
def test_any_fault_of_the_store_parks_the_work_and_a_rerun_ends_it(
    house: House, wire: Wire, kind: str
) -> None:
    straight = replace(house, store=wire.straight)
    failed = 0
    for number in range(1, 100):
        finished = house.finished()
        wire.proxy.fault = Fault(number, kind)
        try:
            with closing(wire.faulty(attempts=1)) as store:
                replace(house, store=store).ingest().archive(finished, outcome_of(finished))
        except DependencyUnavailable:
            failed += 1
            assert list(house.directory.glob("*.intent")) != []
            straight.ingest().archive(finished, outcome_of(finished))
        straight.check(finished)
        if wire.proxy.fault.count < number:
            break
    # Eleven requests: the clock, five puts, five reads.
    assert number == 12
    assert failed == FAILURES[kind]


@pytest.mark.parametrize("kind", ["500 before", "500 after", "hang-up before", "hang-up after"])
def test_the_client_s_own_tries_hide_a_single_fault(house: House, wire: Wire, kind: str) -> None:
    """A put that was stored and not answered comes back as "taken", and is adopted."""
    wire.proxy.fault = Fault(3, kind)
    finished = house.finished()
    with closing(wire.faulty(attempts=3)) as store:
        replace(house, store=store).ingest().archive(finished, outcome_of(finished))
    replace(house, store=wire.straight).check(finished)
