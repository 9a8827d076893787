"""Time stamps of an authority made by `openssl ts`, over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509

from archive.errors import Refused, VerificationFailed
from archive.settings import Settings
from archive.timestamp import (
    ANSWER_BYTES_MAX,
    HttpTimestampAuthority,
    TimeUnavailable,
    authority_of,
    certificates_in,
    stamped_at,
)
from tests.unit.archive.evidence.conftest import OpenSslTimestampAuthority, openssl, timestamp_authority

__all__ = ["timestamp_authority"]

Serve = Callable[[Callable[[bytes], bytes]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves answers to queries, and tells where."""
    running: list[tuple[HTTPServer, threading.Thread]] = []

    def begin(answer: Callable[[bytes], bytes]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = answer(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Keep the output of the tests clean."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/tsa"

    yield begin
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def reply(authority: OpenSslTimestampAuthority, query: bytes) -> bytes:
    (authority.folder / "asked").write_bytes(query)
    openssl(authority.folder, "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "asked", "-out", "answer")
    return (authority.folder / "answer").read_bytes()


@pytest.fixture
def roots(timestamp_authority: OpenSslTimestampAuthority) -> tuple[x509.Certificate, ...]:
    return certificates_in(timestamp_authority.folder / "root.pem")


def test_a_stamp_says_when_these_octets_were_there(
    timestamp_authority: OpenSslTimestampAuthority, serve: Serve, roots: tuple[x509.Certificate, ...]
) -> None:
    url = serve(lambda query: reply(timestamp_authority, query))
    token = HttpTimestampAuthority(url, roots).stamp(b"checkpoint")
    assert abs(stamped_at(token, b"checkpoint", roots) - datetime.now(UTC)) < timedelta(minutes=5)
    assert stamped_at(token, b"checkpoint") == stamped_at(token, b"checkpoint", roots)
    for forged in (token + b"x", token[:-1], b"", token * 20):
        with pytest.raises(VerificationFailed):
            stamped_at(forged, b"checkpoint", roots)
    with pytest.raises(VerificationFailed, match="something else"):
        stamped_at(token, b"another", roots)


def test_a_stamp_of_somebody_else_does_not_count(
    timestamp_authority: OpenSslTimestampAuthority, serve: Serve, tmp_path: Path
) -> None:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(tmp_path, "req", "-x509", *curve, "-keyout", "k", "-out", "other.pem", "-subj", "/CN=Other")
    others = certificates_in(tmp_path / "other.pem")
    url = serve(lambda query: reply(timestamp_authority, query))
    with pytest.raises(TimeUnavailable, match="nobody who is trusted"):
        HttpTimestampAuthority(url, others).stamp(b"checkpoint")


def test_an_authority_that_answers_something_else_is_as_good_as_away(
    timestamp_authority: OpenSslTimestampAuthority, serve: Serve
) -> None:
    """Rubbish, too much of it, the stamp of another question, or nothing at all."""
    old = timestamp_authority.stamp(b"checkpoint")
    for answer in (b"", b"<html>", b"x" * (ANSWER_BYTES_MAX + 10), old):
        url = serve(lambda _, answer=answer: answer)
        with pytest.raises(TimeUnavailable):
            HttpTimestampAuthority(url).stamp(b"checkpoint")
    with pytest.raises(TimeUnavailable, match="does not answer"):
        HttpTimestampAuthority("http://127.0.0.1:9/", timeout_s=2).stamp(b"checkpoint")


def test_settings_name_the_authority_and_whom_to_trust(tmp_path: Path) -> None:
    assert authority_of(Settings()) is None
    with pytest.raises(Refused, match="http or https"):
        authority_of(Settings(tsa_url="file:///etc/passwd"))
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(Refused, match="no certificates"):
        authority_of(Settings(tsa_url="http://tsa.example", tsa_certificates=tmp_path / "empty.pem"))
    assert authority_of(Settings(tsa_url="http://tsa.example")) is not None
