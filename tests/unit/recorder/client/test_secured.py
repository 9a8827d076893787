"""A call placed over TLS: whom the client believes, whom it shows itself as, and what it says otherwise."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path

import pytest

from recorder.client import cli
from tests.certificates import Authority, Issued
from tests.unit.recorder.test_sip_listener import listening, taken

PARTIES = ["--caller", "+31201234567", "--callee", "+31612345678", "--seconds", "0.2", "--transport", "tls"]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def serving(issued: Issued) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.chain, issued.key)
    return context


async def run(port: int, *options: object) -> int:
    arguments = ["--to", f"127.0.0.1:{port}", *PARTIES, *map(str, options)]
    return await asyncio.to_thread(cli.run_call, arguments)


async def test_a_call_over_tls_is_placed_and_says_so_in_every_request(
    start_recorder: object, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = await start_recorder("tls", serving(authority.issue("recorder")))
    assert await run(recorder.port, "--tls-ca", authority.file, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["status"], result["ending"]) == (200, "hung up")
    assert [stream["packets"] for stream in result["streams"]] == [10, 10]
    assert recorder.methods() == ["INVITE", "ACK", "BYE"]
    assert all(str(request.top_via).startswith("SIP/2.0/TLS ") for request in recorder.requests)
    assert all(";transport=tls" in request.headers.first("Contact") for request in recorder.requests)


async def test_a_recorder_nobody_vouches_for_gets_no_call(
    authority: Authority, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Neither by default, nor by another authority, nor where its certificate names another host."""
    other = Authority(tmp_path, "other authority")
    async with listening(taken(authority.issue("recorder"))) as (server, (_, port)):
        for options in ((), ("--tls-ca", other.file)):
            assert await run(port, *options) == 1
            assert "503 the server's certificate is not trusted: " in capsys.readouterr().out
        named = ["--to", f"localhost:{port}", *PARTIES, "--tls-ca", str(authority.file)]
        assert await asyncio.to_thread(cli.run_call, named) == 1
        assert "not valid for 'localhost'" in capsys.readouterr().out
        assert not server.events


async def test_a_recorder_that_asks_for_a_certificate_gets_it(
    authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without one the call is refused at once, not after half a minute."""
    shown = authority.issue("exchange")
    own = ("--tls-cert", shown.chain, "--tls-key", shown.key)
    async with listening(taken(authority.issue("recorder"), authority.file)) as (server, (_, port)):
        async with asyncio.timeout(10):
            assert await run(port, "--tls-ca", authority.file) == 1
        assert "Refused: 503" in capsys.readouterr().out
        assert not server.events
        assert await run(port, "--tls-ca", authority.file, *own) == 0


async def test_files_that_cannot_be_used_are_told(
    authority: Authority, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In one line, before anything is connected."""
    shown, other = authority.issue("exchange"), authority.issue("other")
    for wrong in (
        ("--tls-ca", tmp_path / "missing"),
        ("--tls-ca", shown.key),
        ("--tls-cert", shown.chain, "--tls-key", other.key),
    ):
        assert await run(9, *wrong) == 1
        told = capsys.readouterr().err
        assert told.startswith(
            "earwitness call: the files of --tls-ca, --tls-cert or --tls-key can't be used: "
        )
        assert told.count("\n") == 1
    with pytest.raises(SystemExit):
        await run(9, "--tls-cert", shown.chain)
    assert "belong together" in capsys.readouterr().err
