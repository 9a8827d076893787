"""Only peers that were entered are recorded for; whatever address is right, the wrong one gets nothing.

Over TLS a certificate of the authorities that were named is asked for beside the address.

A second recorder on a copy of the database, in which one peer is entered, runs beside the
service: there the loopback as a whole is trusted no more.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
from tests.certificates import Authority, Issued
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
    tls_port: int
    admin_port: int
    rtp_first: int
    authority: Authority
    certificate: Issued

    def trusting(self, shown: Issued | None = None) -> ssl.SSLContext:
        """Return how a client meets it by TLS, showing a certificate or none."""
        context = ssl.create_default_context(cafile=self.authority.file)
        if shown is not None:
            context.load_cert_chain(shown.chain, shown.key)
        return context

    def counted(self, what: str) -> int:
        """Return how often something happened to SIP, by its metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        wanted = f'earwitness_sip_total{{what="{what}"}} '
        return sum(round(float(line.removeprefix(wanted))) for line in lines if line.startswith(wanted))

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
        add_peer(catalogue, "six", ["::1/128"], now=datetime.now(UTC), tenant_id=TenantId(str(tenant)))
    finally:
        catalogue.close()
    return urls["recorder"]


@pytest.fixture(scope="module")
def second(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondRecorder]:
    """The recorder, started and ended."""
    journal = Path(tmp_path_factory.mktemp("second")) / "journal"
    sip_port, tls_port, admin_port = free_port(), free_port(), free_port()
    rtp_first = rtp_ports.claim().second
    authority = Authority(Path(tmp_path_factory.mktemp("certificates")))
    certificate = authority.issue("recorder")
    settings = {
        **at_rest.environment(service),
        "EARWITNESS_DATABASE_URL": copied_database(service),
        "EARWITNESS_JOURNAL_DIR": str(journal),
        "EARWITNESS_SIP_LISTEN": f"127.0.0.1:{sip_port},tls:127.0.0.1:{tls_port},tls:[::1]:{tls_port}",
        "EARWITNESS_SIP_TLS_CERT": str(certificate.chain),
        "EARWITNESS_SIP_TLS_KEY": str(certificate.key),
        "EARWITNESS_SIP_TLS_CLIENT_CA": str(authority.file),
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
        recorder = SecondRecorder(
            service, process, sip_port, tls_port, admin_port, rtp_first, authority, certificate
        )
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


def test_a_peer_without_a_certificate_of_our_authorities_gets_no_word_in(
    second: SecondRecorder, tmp_path: Path
) -> None:
    """No recording, no socket, not even a refusal; operators see it counted. The next one is heard."""
    foreign = Authority(tmp_path, "foreign authority").issue("exchange")
    before = second.counted("client certificate refused")
    for shown in (None, foreign):
        with RawPeer(second.tls_port, host=PEER, transport="tls", tls=second.trusting(shown)) as peer:
            # By TLS 1.3 a client may say something before it learns that nobody listens.
            with contextlib.suppress(OSError):
                peer.send(peer.request("INVITE", SDP, offer(*peer.ports)))
            assert peer.maybe_final(0.5) is None
            assert not second.bound()
    assert second.counted("client certificate refused") == before + 2
    found = f"SELECT count(*) FROM sessions WHERE call_id = '{peer.call_id}'"
    assert at_rest.query(second.service, found, DATABASE) == [(0,)]


def test_a_certificate_alone_makes_no_peer(second: SecondRecorder) -> None:
    """Who it is, is said by the address (ADR 37)."""
    own = second.trusting(second.authority.issue("exchange"))
    with RawPeer(second.tls_port, host=NEIGHBOUR, transport="tls", tls=own) as neighbour:
        assert neighbour.call(ANNA, CALLEE).status == 403
        assert not second.bound()
        assert neighbour.call(ANNA, "112").status == 200


def test_a_call_goes_on_over_tls_while_the_certificate_is_renewed(second: SecondRecorder) -> None:
    """The next connection gets the new one, and so does the page that tells operators when it ends."""
    shown = second.trusting(second.authority.issue("exchange"))
    with RawPeer(second.tls_port, host=PEER, transport="tls", tls=shown) as peer:
        assert peer.call(ANNA, CALLEE).status == 200
        peer.talk([octets(0.02, 3)], 0.4)
        before = peer.socket.getpeercert()
        renewed = second.authority.issue("recorder", ends=timedelta(days=60))

        def is_taken() -> bool:
            with RawPeer(second.tls_port, host=PEER, transport="tls", tls=shown) as asking:
                return asking.ask("OPTIONS").status == 200 and asking.socket.getpeercert() != before

        eventually(is_taken, "a new connection gets the renewed certificate", 30)
        told = (
            "SELECT moment FROM known_moments WHERE name = 'sip-certificate-ends' AND node = 'second' "
            f"AND moment = '{renewed.ends_at.isoformat()}'"
        )
        eventually(lambda: at_rest.query(second.service, told, DATABASE), "its end is told", 30)
        peer.talk([octets(0.02, 3)], 0.4)
        answer = peer.ask("UPDATE", SDP, offer(*peer.ports, version=2))
        assert answer.status == 200
        assert f"<sip:srs@127.0.0.1:{second.tls_port};transport=tls>" in (
            answer.headers.first("Contact") or ""
        )
        assert peer.ask("BYE").status == 200
    found = f"SELECT packets_received, packets_lost FROM recordings WHERE call_id = '{peer.call_id}'"
    rows = eventually(lambda: at_rest.query(second.service, found, DATABASE), "the call is archived")
    assert rows == [(80, 0)]


def test_the_command_places_a_real_call_over_tls(second: SecondRecorder) -> None:
    """From `earwitness call` to a recording; without the authority it refuses to speak."""
    shown = second.authority.issue("exchange")
    command = [sys.executable, "-m", "archive.cli.main", "call", "--to", f"[::1]:{second.tls_port}"]
    command += ["--caller", ANNA, "--callee", CALLEE, "--seconds", "1", "--transport", "tls", "--json"]
    command += ["--tls-cert", str(shown.chain), "--tls-key", str(shown.key)]

    def placed(*more: str) -> dict[str, object]:
        ran = subprocess.run(
            [*command, *more],
            capture_output=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        return dict(json.loads(ran.stdout))

    refused = placed()
    assert (refused["status"], refused["ending"]) == (503, "refused")
    assert "certificate is not trusted" in str(refused["reason"])
    call = placed("--tls-ca", str(second.authority.file))
    assert (call["status"], call["ending"]) == (200, "hung up")
    found = f"SELECT packets_received, packets_lost FROM recordings WHERE call_id = '{call['callId']}'"
    rows = eventually(lambda: at_rest.query(second.service, found, DATABASE), "the call is archived")
    assert rows == [(100, 0)]


def test_a_peer_that_is_switched_off_is_a_stranger_within_seconds(second: SecondRecorder) -> None:
    """As a page of an operator does it; the recorder is never started anew."""
    catalogue = operating(second.service)
    try:
        (peer,) = [each for each in list_peers(catalogue) if each.name == "exchange"]
        for enabled, status in ((False, 403), (True, 200)):
            with catalogue.transaction() as connection:
                change_within(connection, peer.id, PeerFields(enabled=enabled))

            def answered(wanted: int = status) -> bool:
                with RawPeer(second.sip_port, host=PEER) as asking:
                    return asking.ask("OPTIONS").status == wanted

            eventually(answered, f"OPTIONS is answered with {status}", 5)
    finally:
        catalogue.close()
