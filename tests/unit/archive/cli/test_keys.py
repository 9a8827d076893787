"""`earwitness keys`: told as it is, rotated in one command, gone on with after a stop."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from archive.audit import AuditWriter
from archive.catalogue import audit_entries, identity_providers, keks
from archive.catalogue.engine import Catalogue
from archive.catalogue.identity_providers import Provider
from archive.cli import keys as verb
from archive.ingest import Ingest
from archive.model import ArchivedRecording, FinishedRecording, SessionOutcome, Tenant
from archive.rewrap import Rewrapping
from archive.settings import Settings
from archive.store.memory import MemoryStore
from keys import local_keyring, node_key
from keys.errors import SealBroken
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import PASSPHRASE_BYTES_MAX, LocalKeyring
from tests.unit.archive.sealed.conftest import clock, finish, key_directory, outcome_of

__all__ = ["clock", "key_directory", "outcome_of"]

OLD, NEW = b"correct horse", b"battery staple"


@pytest.fixture
def keyring(tmp_path: Path, key_directory: Path, monkeypatch: pytest.MonkeyPatch) -> LocalKeyring:
    """A keyring file with its settings in the environment, and a node key of a recorder."""
    monkeypatch.setattr(local_keyring, "SCRYPT_N", 2**4)
    (tmp_path / "journal").mkdir()
    for name, value in (
        ("KEYRING", f"file:{tmp_path / 'keyring'}"),
        ("KEYRING_PASSPHRASE", OLD.decode()),
        ("KEY_STORE", f"dir:{key_directory}"),
        ("JOURNAL_DIR", str(tmp_path / "journal")),
    ):
        monkeypatch.setenv(f"EARWITNESS_{name}", value)
    made = LocalKeyring.create(tmp_path / "keyring", OLD)
    node_key.load_or_create(tmp_path / "journal" / "node.key", made)
    return made


@pytest.fixture
def store(clock: object, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore(clock)
    store.close = lambda: None
    monkeypatch.setattr(verb, "open_store", lambda _settings: store)
    return store


@pytest.fixture
def archived(
    keyring: LocalKeyring,
    store: MemoryStore,
    recorder: Catalogue,
    bakery: Tenant,
    clock: object,
    key_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_recording: Callable[..., ArchivedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> ArchivedRecording:
    vault = KekVault(keyring, DirectoryKeyStore(key_directory))
    ingest = Ingest(store, vault, recorder, AuditWriter(recorder, "recorder/x"), tmp_path / "intents", clock)
    finished = finish(make_recording(bakery.id).recording)
    # The command has its own clock, which the store has to agree with.
    monkeypatch.setattr("archive.ingest.compare_clocks", lambda *_times: None)
    return ingest.archive(finished, outcome_of(finished))


def test_the_state_of_the_keys_is_told(archived: ArchivedRecording, data: Callable[..., Any]) -> None:
    told = data("keys", "status")
    day = archived.kek_id.split("/")[1]
    assert told == {
        "root": "file",
        "rootVersions": 1,
        "rootSince": datetime.now(UTC).date().isoformat(),
        "keyStore": "dir",
        "keks": 1,
        "otherKeys": 0,
        "oldestDay": day,
        "newestDay": day,
        "nextToExpire": day,
        "underFormerRoot": 0,
        "retiring": 0,
        "health": "good",
    }


def test_a_new_root_key_takes_over_everything_the_former_one_wrapped(
    archived: ArchivedRecording,
    keyring: LocalKeyring,
    operator: Catalogue,
    key_directory: Path,
    tmp_path: Path,
    bakery: Tenant,
    data: Callable[..., Any],
    run: Callable[..., str],
) -> None:
    """C7, for roots: key store, rows and node key; the former root key opens nothing then."""
    former = LocalKeyring(keyring._roots.keys[1])
    provider = Provider("https://idp.example", "earwitness", "s3cret", trusts_second_factor=False)
    with operator.transaction(bakery.id) as connection:
        identity_providers.set_provider(connection, keyring, bakery.id, provider)
    assert data("keys", "rotate") == {
        "root": "file",
        "rewrapped": 1,
        "already": 0,
        "rows": 1,
        "nodeKeys": 1,
    }
    assert data("keys", "rotate")["already"] == 1  # goes on with what there is, and makes no third
    assert data("keys", "rotate", "--drop-former") == {"root": "file", "dropped": 1}
    assert LocalKeyring.open(tmp_path / "keyring", OLD).versions == (2,)
    assert KekVault(keyring, DirectoryKeyStore(key_directory)).get(archived.kek_id)
    with pytest.raises(SealBroken):
        KekVault(former, DirectoryKeyStore(key_directory)).get(archived.kek_id)
    assert identity_providers.provider_of(operator, keyring, bakery.id) == provider


def test_a_root_key_that_is_needed_is_not_dropped(
    archived: ArchivedRecording,
    data: Callable[..., Any],
    run: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(2):
        assert data("keys", "rotate", "--prepare") == {"root": "file", "prepared": True}
    assert "not in use yet" in run("keys", "rotate", "--drop-former", code=1)
    assert "a root key is prepared and not in use" in run("keys", "status", code=1)
    with monkeypatch.context() as patch:
        patch.setattr("keys.rotation.rewrap", lambda *_: (_ for _ in ()).throw(OSError("stopped")))
        with pytest.raises(OSError, match="stopped"):
            run("keys", "rotate")
    assert "still needed" in run("keys", "rotate", "--drop-former", code=1)
    assert "wrapped by a former root key" in run("keys", "status", code=1)
    assert data("keys", "rotate")["rewrapped"] == 1
    assert data("keys", "status")["rootVersions"] == 2
    assert data("keys", "rotate", "--drop-former")["dropped"] == 1


def test_another_root_takes_over_while_the_former_one_is_named(
    archived: ArchivedRecording,
    keyring: LocalKeyring,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: Callable[..., Any],
    run: Callable[..., str],
) -> None:
    LocalKeyring.create(tmp_path / "new", NEW)
    monkeypatch.setenv("EARWITNESS_KEYRING", f"file:{tmp_path / 'new'}")
    monkeypatch.setenv("EARWITNESS_KEYRING_PASSPHRASE", NEW.decode())
    assert "KEYRING_FORMER" in run("keys", "rotate", code=1)
    monkeypatch.setenv("EARWITNESS_KEYRING_FORMER", f"file:{tmp_path / 'keyring'}")
    monkeypatch.setenv("EARWITNESS_KEYRING_FORMER_PASSPHRASE", OLD.decode())
    assert data("keys", "rotate")["rewrapped"] == 1
    assert "only without KEYRING_FORMER" in run("keys", "rotate", "--drop-former", code=1)
    monkeypatch.delenv("EARWITNESS_KEYRING_FORMER")
    assert data("keys", "status")["health"] == "good"


def test_the_keys_beneath_the_root_give_way_to_their_next_versions(
    archived: ArchivedRecording, operator: Catalogue, bakery: Tenant, data: Callable[..., Any]
) -> None:
    """C7: and not twice within a day, so that a run that was broken off goes on where it stopped."""
    assert data("keys", "rotate", "--keks") == {"keks": 1, "recordings": 1}
    assert keks.used(operator, bakery.id) == {archived.kek_id.removesuffix("1") + "2": 1}
    assert data("keys", "rotate", "--keks") == {"keks": 0, "recordings": 0}


def test_a_rotation_of_keks_that_was_broken_off_is_told_and_gone_on_with(
    archived: ArchivedRecording,
    operator: Catalogue,
    bakery: Tenant,
    data: Callable[..., Any],
    run: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(*_arguments: object) -> None:
        raise OSError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(Rewrapping, "_empty", stop)
        with pytest.raises(OSError, match="stopped"):
            run("keys", "rotate", "--keks")
    assert "1 keys wait to be destroyed" in run("keys", "status", code=1)
    assert data("keys", "rotate", "--keks") == {"keks": 1, "recordings": 1}
    assert data("keys", "status")["retiring"] == 0


def test_keys_of_recordings_the_database_does_not_know_are_not_rotated(
    archived: ArchivedRecording,
    database: Any,
    key_directory: Path,
    keyring: LocalKeyring,
    run: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A database of last night misses the calls since; destroying their key would lose them for ever."""
    monkeypatch.setattr(verb, "UNKNOWN_WAIT_S", 0.0)
    monkeypatch.setattr(verb, "_keks_to_rotate", lambda *_: [(archived.recording.tenant_id, archived.kek_id)])
    with database.connect() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("DELETE FROM recordings WHERE id = %s", (archived.recording.id,))
    assert "rebuild-catalogue first" in run("keys", "rotate", "--keks", code=1)
    assert KekVault(keyring, DirectoryKeyStore(key_directory)).get(archived.kek_id)


def test_a_rotation_broken_off_after_rows_were_handed_over_is_gone_on_with(
    archived: ArchivedRecording,
    data: Callable[..., Any],
    run: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its record names the old key, its row the next one: it is known."""
    monkeypatch.setattr(verb, "UNKNOWN_WAIT_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Rewrapping, "_destroy", lambda *_: (_ for _ in ()).throw(OSError("stopped")))
        with pytest.raises(OSError, match="stopped"):
            run("keys", "rotate", "--keks")
    assert data("keys", "rotate", "--keks") == {"keks": 1, "recordings": 0}


def test_a_recording_that_is_being_archived_just_now_is_waited_for(
    archived: ArchivedRecording, data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([{archived.kek_id: {"first", "second"}}, {archived.kek_id: {"third"}}])
    monkeypatch.setattr(verb, "UNKNOWN_WAIT_S", 0.0)
    monkeypatch.setattr(verb, "keks_of_unknown", lambda *_: next(looks))
    assert data("keys", "rotate", "--keks") == {"keks": 1, "recordings": 1}


def test_one_customer_or_day_is_rotated_alone(
    archived: ArchivedRecording, florist: Tenant, data: Callable[..., Any], run: Callable[..., str]
) -> None:
    nothing = {"keks": 0, "recordings": 0}
    assert data("keys", "rotate", "--keks", "--tenant", florist.domain) == nothing
    assert data("keys", "rotate", "--keks", "--day", "2026-11-22") == nothing
    assert "no customer" in run("keys", "rotate", "--keks", "--tenant", "nowhere.example", code=1)
    day = archived.kek_id.split("/")[1]
    assert data("keys", "rotate", "--keks", "--day", day) == {"keks": 1, "recordings": 1}


def test_a_lost_passphrase_is_replaced_by_shares(
    keyring: LocalKeyring, tmp_path: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = run("keys", "recovery-shares", "--needed", "2", "--of", "3").splitlines()
    assert len(shares) == 3
    (tmp_path / "new-passphrase").write_bytes(NEW + b"\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(shares[1:])))
    run("keys", "recover", "--new-passphrase-file", str(tmp_path / "new-passphrase"))
    assert LocalKeyring.open(tmp_path / "keyring", NEW).versions == (1,)
    for wrong in ("", "not a share"):
        monkeypatch.setattr("sys.stdin", io.StringIO(wrong))
        run("keys", "recover", "--new-passphrase-file", str(tmp_path / "new-passphrase"), code=1)
    monkeypatch.setenv("EARWITNESS_KEYRING_PASSPHRASE", NEW.decode())
    assert "2 to 16" in run("keys", "recovery-shares", "--needed", "9", "--of", "3", code=1)


def test_a_passphrase_is_changed(
    keyring: LocalKeyring, tmp_path: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new-passphrase").write_bytes(NEW)
    run("keys", "passphrase", "--new-passphrase-file", str(tmp_path / "new-passphrase"))
    wrapped = keyring.wrap(b"kek", b"c")
    assert LocalKeyring.open(tmp_path / "keyring", NEW).unwrap(wrapped, b"c") == b"kek"
    monkeypatch.setenv("EARWITNESS_KEYRING_PASSPHRASE", NEW.decode())
    (tmp_path / "empty").write_bytes(b"\n")
    assert "does not hold" in run(
        "keys", "passphrase", "--new-passphrase-file", str(tmp_path / "empty"), code=1
    )


@pytest.mark.parametrize("secret", [b"\xff" * 32, b"x" * (PASSPHRASE_BYTES_MAX + 1)])
def test_a_passphrase_the_settings_could_not_read_seals_nothing(
    keyring: LocalKeyring, tmp_path: Path, run: Callable[..., str], secret: bytes
) -> None:
    (tmp_path / "new").write_bytes(secret)
    assert "--new-passphrase-file" in run(
        "keys", "passphrase", "--new-passphrase-file", str(tmp_path / "new"), code=1
    )
    assert LocalKeyring.open(tmp_path / "keyring", OLD).versions == (1,)


def test_what_gives_away_or_changes_the_root_is_in_the_log_before_it_happens(
    keyring: LocalKeyring,
    database: Any,
    tmp_path: Path,
    run: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "new").write_bytes(NEW)
    shares = run("keys", "recovery-shares", "--needed", "2", "--of", "2")
    run("keys", "passphrase", "--new-passphrase-file", str(tmp_path / "new"))
    monkeypatch.setattr("sys.stdin", io.StringIO(shares))
    run("keys", "recover", "--new-passphrase-file", str(tmp_path / "new"))
    with database.connect() as admin:
        rows = admin.execute(
            "SELECT action FROM audit_entries WHERE action LIKE 'key.%' ORDER BY at"
        ).fetchall()
    assert [row[0] for row in rows] == ["key.shares-made", "key.passphrase-changed", "key.recovered"]


def test_without_the_log_no_shares_are_shown_and_recovering_goes_on(
    keyring: LocalKeyring, tmp_path: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").write_bytes(NEW)
    shares = run("keys", "recovery-shares", "--needed", "2", "--of", "2")
    with monkeypatch.context() as patch:
        patch.setenv("EARWITNESS_DATABASE_URL", "postgresql+psycopg://nobody:x@127.0.0.1:1/none")
        told = run("keys", "recovery-shares", "--needed", "2", "--of", "2", code=1)
        assert not set(shares.split()) & set(told.split())
        assert len(told.splitlines()) == 1
        monkeypatch.setattr("sys.stdin", io.StringIO(shares))
        run("keys", "recover", "--new-passphrase-file", str(tmp_path / "new"))
    assert LocalKeyring.open(tmp_path / "keyring", NEW).versions == (1,)


def test_what_belongs_to_a_file_is_refused_for_a_service(
    keyring: LocalKeyring, tmp_path: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARWITNESS_KEYRING", "kms:arn:aws:kms:eu-west-1:123456789012:key/1")
    (tmp_path / "new").write_bytes(NEW)
    for action in (
        ("passphrase", "--new-passphrase-file", str(tmp_path / "new")),
        ("recover", "--new-passphrase-file", str(tmp_path / "new")),
        ("recovery-shares", "--needed", "2", "--of", "3"),
    ):
        assert "keyring file" in run("keys", *action, code=1)


def test_the_log_tells_of_a_rotation_and_of_no_key(
    archived: ArchivedRecording, database: Any, run: Callable[..., str]
) -> None:
    run("keys", "rotate")
    run("keys", "rotate", "--drop-former")
    with database.connect() as admin:
        rows = admin.execute("SELECT action, object FROM audit_entries WHERE action LIKE 'key.%' ORDER BY at")
        assert rows.fetchall() == [
            ("key.root-made", "root:file"),
            ("key.root-rotated", "root:file"),
            ("key.root-dropped", "root:file"),
        ]


def test_a_credential_of_systemd_is_a_secret_file(
    keyring: LocalKeyring, tmp_path: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EARWITNESS_KEYRING_PASSPHRASE")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "EARWITNESS_KEYRING_PASSPHRASE").write_bytes(OLD + b"\n")
    assert "KEYRING_PASSPHRASE_FILE" in run("keys", "status", code=1)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert json.loads(run("keys", "status", "--json"))["health"] == "good"
    assert OLD.decode() not in repr(Settings())


def test_the_destruction_of_keys_is_only_proposed_and_only_of_keys_that_hold_something(
    archived: ArchivedRecording,
    operator: Catalogue,
    bakery: Tenant,
    data: Callable[..., Any],
    run: Callable[..., str],
) -> None:
    """The second person is somebody of the customer: two operators of one machine can't be told apart."""
    day = archived.kek_id.split("/")[1]
    wanted = ("keys", "destroy", "--tenant", bakery.domain, "--day", day)
    made = data(*wanted, "--reason", "They leave")
    assert (made["state"], made["recordings"], made["onHold"], made["byDuty"]) == ("waiting", 1, 0, 0)
    (entry,) = audit_entries.of_object(operator, bakery.id, f"proposal:{made['id']}")
    assert (entry.action, entry.actor.partition(":")[0]) == ("proposal.made", "operator")
    assert keks.used(operator, bakery.id) == {archived.kek_id: 1}
    assert "already" in run(*wanted, "--reason", "Again", code=1)
    assert "Say why" in run(*wanted, "--reason", " ", code=1)
    empty = ("keys", "destroy", "--tenant", bakery.domain, "--day", "2020-01-01", "--reason", "x")
    assert "go by themselves" in run(*empty, code=1)
