"""What a data directory gets at its first start, and keeps at every other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from archive.catalogue.engine import Catalogue
from archive.embedded.installation import Installation, Listening
from archive.embedded.service_file import ServiceFile, read_service
from archive.errors import Refused
from archive.settings import Settings
from keys.root import open_root
from tests.unit.archive.conftest import PASSWORDS

PASSWORD_FILE = "database-passwords.json"
LISTENING = Listening("127.0.0.1:5060", "127.0.0.1:8080", "20000-29999")


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def settings(postgres_url: str, s3_endpoint: str) -> Settings:
    return Settings(database_url=postgres_url, s3_endpoint=s3_endpoint, s3_access_key="a", s3_secret_key="s")


@pytest.fixture(autouse=True)
def passwords(tmp_path: Path) -> None:
    """Keep the passwords of the shared server's roles, which its other users know."""
    (tmp_path / PASSWORD_FILE).write_text(json.dumps(PASSWORDS))
    (tmp_path / PASSWORD_FILE).chmod(0o600)


def prepare(directory: Path, settings: Settings) -> ServiceFile:
    return Installation(directory, settings, lambda _: None).prepare(LISTENING)


def test_a_fresh_directory_gets_keys_passwords_and_addresses(tmp_path: Path, settings: Settings) -> None:
    """Everything a role needs stands in service.json, and every secret is ours alone."""
    service = prepare(tmp_path, settings)
    assert read_service(tmp_path) == service
    environment = service.environment
    passphrase = Path(environment["EARWITNESS_KEYRING_PASSPHRASE_FILE"]).read_bytes()
    root = open_root(environment["EARWITNESS_KEYRING"], passphrase)
    assert root.unwrap(root.wrap(b"key", b"context"), b"context") == b"key"
    assert set(service.database_urls) == {"recorder", "portal", "worker", "operator"}
    assert environment["EARWITNESS_TRUST_LOOPBACK"] == "true"
    port = LISTENING.portal.rpartition(":")[2]
    assert environment["EARWITNESS_PORTAL_URL"] == service.portal_url == f"http://localhost:{port}"
    for name in ("keyring", "keyring-passphrase", "database-passwords.json", "service.json"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600, name
    for name in ("journal", "keys", "log"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o700, name


def test_each_role_can_use_the_database(tmp_path: Path, settings: Settings) -> None:
    """With the password that was made for it."""
    for url in prepare(tmp_path, settings).database_urls.values():
        catalogue = Catalogue(url)
        assert catalogue.healthy()
        catalogue.close()


def test_a_second_start_replaces_nothing(tmp_path: Path, settings: Settings) -> None:
    """A new root key would leave the archive unreadable."""
    first = prepare(tmp_path, settings)
    keyring = (tmp_path / "keyring").read_bytes()
    assert prepare(tmp_path, settings) == first
    assert (tmp_path / "keyring").read_bytes() == keyring


def test_a_lost_passphrase_stops_the_start(tmp_path: Path, settings: Settings) -> None:
    """A new one would not open the keyring; silence would hide the loss."""
    prepare(tmp_path, settings)
    (tmp_path / "keyring-passphrase").unlink()
    with pytest.raises(Refused, match="restore it"):
        prepare(tmp_path, settings)


def test_a_database_role_added_by_a_later_release_gets_a_password(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others keep theirs."""
    monkeypatch.setattr("archive.embedded.installation.prepare", lambda url, passwords: None)
    first = prepare(tmp_path, settings)
    path = tmp_path / PASSWORD_FILE
    known = json.loads(path.read_text())
    del known["earwitness_operator"]
    path.write_text(json.dumps(known))
    second = prepare(tmp_path, settings)
    assert path.stat().st_mode & 0o777 == 0o600
    assert second.database_urls["worker"] == first.database_urls["worker"]
    assert second.database_urls["operator"] != first.database_urls["operator"]


@pytest.mark.parametrize(
    ("sip", "set_address", "expected"),
    [
        ("192.0.2.7:5060", None, "192.0.2.7"),
        ("0.0.0.0:5060", None, "127.0.0.1"),
        ("0.0.0.0:5060", "192.0.2.9", "192.0.2.9"),
        ("[::1]:5060", None, "::1"),
        ("udp:192.0.2.7:5060, tls:192.0.2.8:5061", None, "192.0.2.7"),
    ],
)
def test_media_uses_the_address_of_sip_unless_another_is_set(
    tmp_path: Path, settings: Settings, sip: str, set_address: str | None, expected: str
) -> None:
    """The address in an SDP answer must be one that reaches us."""
    given = {
        **settings.model_dump(exclude_unset=True),
        **({"rtp_address": set_address} if set_address else {}),
    }
    installation = Installation(tmp_path, Settings(**given), lambda _: None)
    service = installation.prepare(Listening(sip, LISTENING.portal, LISTENING.rtp_ports))
    assert service.environment["EARWITNESS_RTP_ADDRESS"] == expected


def test_what_was_set_from_outside_reaches_the_roles_but_not_what_up_settles(
    tmp_path: Path, settings: Settings
) -> None:
    """`up --config FILE` is read by `up` alone."""
    given = {
        **settings.model_dump(exclude_unset=True),
        "sessions_max": 77,
        "smtp_url": "smtp://mail",
        "portal_listen": "127.0.0.1:9",
        "keyring_passphrase": "unused",
    }
    environment = prepare(tmp_path, Settings(**given)).environment
    assert environment["EARWITNESS_SESSIONS_MAX"] == "77"
    assert environment["EARWITNESS_SMTP_URL"] == "smtp://mail"
    assert environment["EARWITNESS_PORTAL_LISTEN"] == LISTENING.portal
    assert "EARWITNESS_KEYRING_PASSPHRASE" not in environment
    assert "EARWITNESS_DATABASE_URL" not in environment


def test_keyring_and_key_store_of_the_settings_are_used(tmp_path: Path, settings: Settings) -> None:
    """An operator who brings keys gets no second root."""
    given = {
        **settings.model_dump(exclude_unset=True),
        "keyring": "file:/elsewhere/keyring",
        "keyring_passphrase": "p",
        "key_store": "dir:/elsewhere/keys",
    }
    environment = prepare(tmp_path, Settings(**given)).environment
    assert environment["EARWITNESS_KEYRING"] == "file:/elsewhere/keyring"
    assert environment["EARWITNESS_KEY_STORE"] == "dir:/elsewhere/keys"
    assert not (tmp_path / "keyring").exists()
