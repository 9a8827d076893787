"""What others trust is handed out to everyone, and the page that checks packages asks nobody who they are."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from archive.errors import NotFound
from archive.evidence.authorities import Authorities
from keys.errors import KeyStoreUnavailable
from keys.key_store import DirectoryKeyStore
from keys.signatory import load_authority, load_or_create
from playback_portal.app import create_app
from playback_portal.pages.verification import spelled

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def known(house: Any, tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    """Return an authority, with another one in the place of who stamps time."""
    store = DirectoryKeyStore(tmp_path_factory.mktemp("keys"))
    other = DirectoryKeyStore(tmp_path_factory.mktemp("others"))
    stamping = load_authority(other, house.root, "Time", NOW).public_bytes(Encoding.PEM)
    return Authorities(load_authority(store, house.root, "Voorbeeld BV", NOW), stamping)


@pytest.fixture
async def client(house: Any, known: Authorities) -> AsyncIterator[TestClient[Any, Any]]:
    services = house.services(authorities=lambda: known)
    async with TestClient(TestServer(create_app(services))) as opened:
        yield opened


async def test_the_certificate_is_the_one_packages_are_signed_under(
    client: TestClient[Any, Any], known: Authorities, house: Any, tmp_path: Any
) -> None:
    answer = await client.get("/verify/authority.pem")
    assert (answer.status, answer.content_type) == (200, "application/x-pem-file")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="authority.pem"'
    assert x509.load_pem_x509_certificate(await answer.read()) == known.authority
    signatory = load_or_create(DirectoryKeyStore(tmp_path), house.root, "Voorbeeld BV", NOW)
    again = load_authority(DirectoryKeyStore(tmp_path), house.root, "Voorbeeld BV", NOW)
    assert signatory.authority == again, "who signs and what is published are of one authority"


async def test_the_script_and_who_stamps_time_are_handed_out_too(
    client: TestClient[Any, Any], known: Authorities
) -> None:
    script = await (await client.get("/verify/verify.sh")).read()
    assert script == (files("archive.evidence") / "verify.sh").read_bytes()
    stamping = await (await client.get("/verify/timestamp-authority.pem")).read()
    assert stamping == known.stamping_pem


async def test_the_page_tells_fingerprints_and_brings_the_certificates_along(
    client: TestClient[Any, Any], known: Authorities
) -> None:
    answer = await client.get("/verify", headers={"Accept-Language": "nl"})
    page = await answer.text()
    assert answer.status == 200
    assert spelled(known.fingerprint()) in page
    assert hashlib.sha256((files("archive.evidence") / "verify.sh").read_bytes()).hexdigest() in page
    der = base64.b64encode(known.authority.public_bytes(Encoding.DER)).decode()
    assert f'data-authority="{der}"' in page
    assert "Bewijspakket controleren" in page
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "connect-src 'self'" in policy


async def test_the_page_takes_no_package(client: TestClient[Any, Any]) -> None:
    for path in ("/verify", "/verify/authority.pem"):
        assert (await client.post(path, data=b"PK")).status == 405


async def test_without_an_authority_of_time_there_is_none_to_fetch(house: Any, known: Authorities) -> None:
    services = house.services(authorities=lambda: Authorities(known.authority))
    async with TestClient(TestServer(create_app(services))) as client:
        assert (await client.get("/verify/timestamp-authority.pem")).status == 404
        assert "timestamp-authority.pem" not in await (await client.get("/verify")).text()


@pytest.mark.parametrize(("error", "status"), [(NotFound("none"), 404), (KeyStoreUnavailable("away"), 503)])
async def test_what_can_not_be_told_is_told(house: Any, error: Exception, status: int) -> None:
    def away() -> Authorities:
        raise error

    async with TestClient(TestServer(create_app(house.services(authorities=away)))) as client:
        assert (await client.get("/verify/authority.pem")).status == status


def test_a_fingerprint_is_spelled_as_openssl_does() -> None:
    assert spelled("00ff7a") == "00:FF:7A"
