"""What the doctor finds wrong, and what it says to change."""

from __future__ import annotations

import resource
from datetime import date
from pathlib import Path

import pytest

from archive.cli import doctor
from archive.cli.doctor import Verdict
from archive.cli.main import main
from archive.settings import Settings
from keys import local_keyring
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [
        (1024, Verdict.WRONG),
        (8511, Verdict.WRONG),
        (8512, Verdict.FINE),
        (resource.RLIM_INFINITY, Verdict.FINE),
    ],
)
def test_four_files_a_call_are_needed(limit: int, verdict: Verdict) -> None:
    """RTP and RTCP of two streams, and some for the rest."""
    finding = doctor.open_files(limit, 2000)
    assert finding.verdict is verdict
    assert ("LimitNOFILE=8512" in finding.advice) == (verdict is Verdict.WRONG)


@pytest.mark.parametrize(
    ("media", "verdict"),
    [
        ((20000, 29999), Verdict.FINE),
        ((20000, 32767), Verdict.FINE),
        ((20000, 32768), Verdict.WRONG),
        ((60999, 65000), Verdict.WRONG),
        ((61000, 65000), Verdict.FINE),
        ((20000, 20003), Verdict.NOTE),
    ],
)
def test_media_ports_stay_clear_of_outgoing_connections_and_are_enough(
    media: tuple[int, int], verdict: Verdict
) -> None:
    """The kernel would give our ports to others."""
    assert doctor.ports(media, (32768, 60999), set(), 1000).verdict is verdict


def test_media_ports_among_those_of_outgoing_connections_are_fine_once_they_are_reserved() -> None:
    """What the advice says to do counts."""
    media, outgoing = (40000, 49999), (32768, 60999)
    assert doctor.ports(media, outgoing, set(range(40000, 49999)), 1000).verdict is Verdict.WRONG
    assert doctor.ports(media, outgoing, set(range(40000, 50000)), 1000).verdict is Verdict.FINE


@pytest.mark.parametrize(
    ("found", "verdict"), [(None, Verdict.NOTE), (212_992, Verdict.NOTE), (1024 * 1024, Verdict.FINE)]
)
def test_the_receive_buffer_decides_how_long_a_stall_may_be(found: int | None, verdict: Verdict) -> None:
    """Five seconds with the default of Debian."""
    assert doctor.receive_buffer(found).verdict is verdict


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(0.0, Verdict.FINE), (2.0, Verdict.FINE), (60.0, Verdict.NOTE), (60.1, Verdict.WRONG)],
)
def test_clocks_more_than_a_minute_apart_stop_archiving(seconds: float, verdict: Verdict) -> None:
    """Nothing is locked by a wrong clock."""
    assert doctor.clock_difference(seconds).verdict is verdict


def test_room_on_the_disk_and_encryption_below_it_are_told() -> None:
    """A full disk refuses calls; PostgreSQL holds names in clear."""
    assert doctor.free_space(Path("/"), doctor.FREE_BYTES_MIN).verdict is Verdict.FINE
    assert doctor.free_space(Path("/"), doctor.FREE_BYTES_MIN - 1).verdict is Verdict.WRONG
    assert doctor.encryption(Path("/"), ["LVM-abc", "CRYPT-LUKS2-abc"]).verdict is Verdict.FINE
    assert "LUKS" in doctor.encryption(Path("/"), ["LVM-abc"]).advice


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    """Also where a folder of the settings is not there yet."""
    findings = list(doctor.host(Settings(journal_dir=tmp_path / "not" / "yet")))
    assert [each.check for each in findings] == [
        "open files",
        "receive buffer",
        "media ports",
        "disk",
        "encrypted volume",
    ]


def test_services_that_are_away_are_wrong_and_the_exit_code_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with the setting to look at."""
    monkeypatch.delenv("EARWITNESS_DATA", raising=False)
    monkeypatch.setenv("EARWITNESS_DATABASE_URL", "postgresql+psycopg://x:y@127.0.0.1:9/none")
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "does not answer" in printed
    assert "EARWITNESS_S3_ENDPOINT" in printed
    assert "EARWITNESS_KEYRING" in printed


def test_a_role_that_is_not_ready_is_wrong() -> None:
    """Nobody listens there."""
    (finding,) = doctor.answering({"recorder": "http://127.0.0.1:9"})
    assert finding.verdict is Verdict.WRONG
    assert "recorder.log" in finding.advice


def test_the_root_is_asked_and_what_waits_for_a_rotation_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_keyring, "SCRYPT_N", 2**4)
    (tmp_path / "keys").mkdir()
    keyring = LocalKeyring.create(tmp_path / "keyring", b"p")
    settings = Settings(
        keyring=f"file:{tmp_path / 'keyring'}", keyring_passphrase="p", key_store=f"dir:{tmp_path / 'keys'}"
    )
    KekVault(keyring, DirectoryKeyStore(tmp_path / "keys")).current("tenant", date(2027, 2, 20))
    finding = doctor._keys(settings)
    assert (finding.verdict, "root (file) answers" in finding.found) == (Verdict.FINE, True)
    keyring.rotate()
    finding = doctor._keys(settings)
    assert finding.verdict is Verdict.NOTE
    assert finding.advice == "run earwitness keys rotate"


def test_a_root_that_is_away_is_wrong(tmp_path: Path) -> None:
    """C9: a service is asked, though nothing is opened by it at the start."""
    (tmp_path / "keys").mkdir()
    settings = Settings(
        keyring="vault:http://127.0.0.1:9/transit/x",
        keyring_passphrase="token",
        key_store=f"dir:{tmp_path / 'keys'}",
    )
    finding = doctor._tried("keys", "EARWITNESS_KEYRING", lambda: doctor._keys(settings))
    assert finding.verdict is Verdict.WRONG
    assert "can't be reached" in finding.found
