"""`service.json`: written by `up`, read by every command."""

from __future__ import annotations

from pathlib import Path

import pytest

from archive.embedded.service_file import NAME, ServiceFile, read_service
from archive.errors import Refused

SERVICE = ServiceFile(
    sip="127.0.0.1:5060",
    portal_url="http://127.0.0.1:8080",
    recorder_admin="http://127.0.0.1:10240",
    environment={"EARWITNESS_S3_BUCKET": "b", "EARWITNESS_KEYRING_PASSPHRASE_FILE": "/data/passphrase"},
    database_urls={"operator": "postgresql://operator", "worker": "postgresql://worker"},
)


def test_what_was_written_is_read_and_nobody_else_can(tmp_path: Path) -> None:
    """It holds credentials."""
    SERVICE.write(tmp_path)
    assert read_service(tmp_path) == SERVICE
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    assert "postgresql://" not in repr(SERVICE)


def test_each_role_gets_the_database_as_its_own_database_role() -> None:
    """Row-level security depends on it."""
    assert SERVICE.environment_of("worker")["EARWITNESS_DATABASE_URL"] == "postgresql://worker"


def test_a_secret_of_the_surroundings_does_not_clash_with_ours() -> None:
    """A value and a file of one secret together are refused by the settings."""
    inherited = {
        "PATH": "/bin",
        "EARWITNESS_KEYRING_PASSPHRASE": "x",
        "EARWITNESS_DATABASE_URL_FILE": "/elsewhere",
    }
    made = SERVICE.operator_environment(inherited)
    assert made["PATH"] == "/bin"
    assert made["EARWITNESS_DATABASE_URL"] == "postgresql://operator"
    assert "EARWITNESS_KEYRING_PASSPHRASE" not in made
    assert "EARWITNESS_DATABASE_URL_FILE" not in made


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 2}'])
def test_a_damaged_or_foreign_file_is_refused_with_what_to_do(tmp_path: Path, content: str) -> None:
    """Never a traceback."""
    (tmp_path / NAME).write_text(content)
    with pytest.raises(Refused, match="earwitness up"):
        read_service(tmp_path)


def test_a_folder_without_service_says_how_to_start_one(tmp_path: Path) -> None:
    """The commonest mistake."""
    with pytest.raises(Refused, match="earwitness up --data"):
        read_service(tmp_path)
