"""Only peers that were entered are recorded for; whatever address is right, the wrong one gets nothing.

A second recorder on a copy of the database, in which one peer is entered, runs beside the
service: there the loopback as a whole is trusted no more.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from sqlalchemy import make_url

from archive.catalogue.engine import Catalogue
from archive.catalogue.peers import PeerFields, add_peer, change_within, list_peers
from archive.embedded.service_file import read_service
from archive.model import TenantId
from tests import at_rest, rtp_ports
from tests.acceptance.test_what_was_said_is_what_is_heard import octets
from tests.conftest import ANNA
from tests.raw_peer import SDP, RawPeer, offer
from tests.running_service import ROOT, RunningService, eventually, free_port

CALLEE = "+31612345678"
PEER, NEIGHBOUR = "127.0.0.2", "127.0.0.3"
DATABASE = "strangers"


@dataclass
class SecondRecorder:
    """A recorder role of its own, and its database."""

    service: RunningService
    process: subprocess.Popen[bytes]
    sip_port: int
    rtp_first: int

    def bound(self) -> set[int]:
        """Return the RTP ports that it or a child of it has bound."""
        recorder = psutil.Process(self.process.pid)
        found = {
            item.laddr.port
            for process in (recorder, *recorder.children(recursive=True))
            for item in process.net_connections(kind="udp")
            if item.laddr
        }
        return {port for port in found if self.rtp_first <= port < self.rtp_first + 100}


def operating(service: RunningService) -> Catalogue:
    """Return the copied database as the operator has it."""
    url = make_url(read_service(service.directory).database_urls["operator"]).set(database=DATABASE)
    return Catalogue(url.render_as_string(hide_password=False))


def copied_database(service: RunningService) -> str:
    """Copy the database of the service, enter one peer, and return the recorder's URL of the copy."""
    with at_rest.connect(service, "postgres") as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}".encode())
    at_rest.load(service, DATABASE, at_rest.database_dump(service))
    file = read_service(service.directory)
    urls = {
        role: make_url(file.database_urls[role]).set(database=DATABASE).render_as_string(hide_password=False)
        for role in ("operator", "recorder")
    }
    catalogue = Catalogue(urls["operator"])
    try:
        tenant = at_rest.query(service, "SELECT id FROM tenants", DATABASE)[0][0]
        add_peer(
            catalogue, "exchange", [f"{PEER}/32"], now=datetime.now(UTC), tenant_id=TenantId(str(tenant))
        )
    finally:
        catalogue.close()
    return urls["recorder"]


@pytest.fixture(scope="module")
def second(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondRecorder]:
    """The recorder, started and ended."""
    journal = Path(tmp_path_factory.mktemp("second")) / "journal"
    sip_port, admin_port = free_port(), free_port()
    rtp_first = rtp_ports.claim().second
    settings = {
        **at_rest.environment(service),
        "EARWITNESS_DATABASE_URL": copied_database(service),
        "EARWITNESS_JOURNAL_DIR": str(journal),
        "EARWITNESS_SIP_LISTEN": f"127.0.0.1:{sip_port}",
        "EARWITNESS_RECORDER_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
        "EARWITNESS_RTP_PORTS": f"{rtp_first}-{rtp_first + 99}",
        "EARWITNESS_NODE_NAME": "second",
        "EARWITNESS_TRUST_LOOPBACK": "true",
        "EARWITNESS_HOLD_BACK_S": "1",
        "PYTHONPATH": str(ROOT),
    }
    output = journal.with_suffix(".out")
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "archive.cli.main", "recorder"],
            env={"PATH": os.environ["PATH"], **settings},
            stdout=file,
            stderr=file,
        )
    try:
        recorder = SecondRecorder(service, process, sip_port, rtp_first)
        eventually(
            lambda: b"recorder ready" in output.read_bytes(), f"the recorder is ready; see {output}", 30
        )
        yield recorder
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        with at_rest.connect(service, "postgres") as connection:
            connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)".encode())


def test_a_stranger_is_refused_and_no_port_is_opened(second: SecondRecorder) -> None:
    """Neither call nor question is answered with more than 403, over UDP as over TCP."""
    for transport in ("udp", "tcp"):
        with RawPeer(second.sip_port, transport=transport) as stranger:
            answer = stranger.call(ANNA, CALLEE)
            assert answer.status == 403
            assert not answer.body
            assert stranger.ask("INVITE", SDP, offer(*stranger.ports)).status == 403
            assert stranger.ask("OPTIONS").status == 403
            assert not second.bound()


def test_an_emergency_call_of_a_stranger_is_answered(second: SecondRecorder) -> None:
    """An exchange that was not entered yet must not lose it."""
    with RawPeer(second.sip_port) as stranger:
        assert stranger.call(ANNA, "112").status == 200
        assert stranger.answer_sdp.count(b"a=inactive") == 2
        assert not second.bound()
        assert stranger.ask("BYE").status == 200


def test_the_peer_is_recorded_and_nobody_talks_into_its_call(second: SecondRecorder) -> None:
    """Packets count from the peer's own network only, also before the first of it has come."""
    good, evil = [octets(0.02, 1)], octets(0.02, 2)
    with (
        RawPeer(second.sip_port, host=PEER) as peer,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as evil_one,
    ):
        evil_one.bind((NEIGHBOUR, 0))
        assert peer.call(ANNA, CALLEE).status == 200
        assert second.bound()
        for port in peer.destinations():
            for _ in range(20):
                peer.packet(evil_one, port, evil)
        peer.talk(good, 0.6)
        with RawPeer(second.sip_port, call_id=peer.call_id) as hijacker:
            # In a dialog it knows the tags of, but from an address that is nobody's.
            hijacker.from_tag, hijacker.to_tag, hijacker.cseq = peer.from_tag, peer.to_tag, 50
            assert hijacker.ask("UPDATE", SDP, offer(40000, 40002, version=9)).status == 403
            assert hijacker.ask("BYE").status == 403
        peer.talk(good, 0.4)
        assert peer.ask("BYE").status == 200
    found = f"SELECT packets_received, packets_lost FROM recordings WHERE call_id = '{peer.call_id}'"
    rows = eventually(lambda: at_rest.query(second.service, found, DATABASE), "the call is archived")
    assert rows == [(100, 0)]
    eventually(lambda: not second.bound(), "its ports are closed")


def test_a_peer_that_is_switched_off_is_a_stranger_within_seconds(second: SecondRecorder) -> None:
    """As a page of an operator does it; the recorder is never started anew."""
    catalogue = operating(second.service)
    try:
        (peer,) = list_peers(catalogue)
        for enabled, status in ((False, 403), (True, 200)):
            with catalogue.transaction() as connection:
                change_within(connection, peer.id, PeerFields(enabled=enabled))

            def answered(wanted: int = status) -> bool:
                with RawPeer(second.sip_port, host=PEER) as asking:
                    return asking.ask("OPTIONS").status == wanted

            eventually(answered, f"OPTIONS is answered with {status}", 5)
    finally:
        catalogue.close()
