"""`audit verify`, `export` and `begin`, as an operator runs them."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from archive.audit import AuditWriter
from archive.catalogue.engine import Catalogue
from archive.clock import SystemClock
from archive.erased_bodies import ERASED, Numbers
from archive.store.s3 import ObjectStore
from archive.transparency.checkpoint import PublicKey
from archive.transparency.sequencer import Sequencer
from keys.signing_key import SigningKey
from tests.unit.archive.transparency.conftest import CUSTODY, KEY
from tests.unit.archive.transparency.test_verification import write_log


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def sequencer(
    s3_endpoint: str, worker: Catalogue, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Sequencer]:
    """The sequencer of a worker, on a bucket of its own that the commands know too."""
    bucket = f"bucket-{abs(hash(request.node.name))}"
    for name, value in {
        "S3_ENDPOINT": s3_endpoint,
        "S3_BUCKET": bucket,
        "S3_ACCESS_KEY": "a",
        "S3_SECRET_KEY": "s",
    }.items():
        monkeypatch.setenv(f"EARWITNESS_{name}", value)
    store = ObjectStore(s3_endpoint, bucket, "a", "s")
    store.ensure_bucket()
    audit = AuditWriter(worker, "worker/one")
    yield Sequencer(worker, store, lambda: KEY, audit, SystemClock(), CUSTODY, f"earwitness/{bucket}")
    store.close()


def test_an_intact_log_is_told_per_writer(run: Callable[..., str], data: Callable[..., Any]) -> None:
    """With the number of entries and the hash of the last one."""
    assert data("audit", "verify") == []
    run("tenant", "add", "Bakery", "--domain", "bakery.example")
    (head,) = data("audit", "verify")
    assert (head["entries"], head["result"], len(head["hash"])) == (1, "intact", 64)


def test_an_altered_entry_is_refused_with_its_place(run: Callable[..., str], database: Any) -> None:
    """Even when the administrator of the database did it, past the triggers."""
    run("tenant", "add", "Bakery", "--domain", "bakery.example")
    run("tenant", "add", "Florist", "--domain", "florist.example")
    admin = database.connect()
    admin.execute("SET session_replication_role TO replica")
    admin.execute("UPDATE audit_entries SET action = 'tenant.listed' WHERE sequence = 1")
    assert "earwitness audit: " in run("audit", "verify", code=1)


def test_an_altered_or_removed_body_is_refused_with_its_place(
    run: Callable[..., str], data: Callable[..., Any], database: Any, worker: Catalogue
) -> None:
    """The chain holds only the hash of a body, so each body is compared with it; one that is gone is named."""
    run("tenant", "add", "Bakery", "--domain", "bakery.example")
    run("tenant", "add", "Florist", "--domain", "florist.example")
    acting, admin = AuditWriter(worker, "worker/one"), database.connect()
    admin.execute("SET session_replication_role TO replica")
    admin.execute("DELETE FROM audit_bodies WHERE sequence = 1")
    assert "body of audit entry 1 of operator/" in run("audit", "verify", code=1)
    (tenant_id,) = admin.execute("SELECT tenant_id FROM audit_entries WHERE sequence = 1").fetchone()
    with acting.transaction(tenant_id) as connection:
        numbers = Numbers([(f"operator/{socket.gethostname()}", 1)])
        acting.append(
            connection,
            tenant_id=tenant_id,
            actor="service:worker",
            action=ERASED,
            object="log",
            at=SystemClock().now(),
            body=numbers.body(),
        )
    rows = {row["writer"].partition("/")[0]: row["erased"] for row in data("audit", "verify")}
    assert rows == {"operator": 1, "worker": 0}
    admin.execute('UPDATE audit_bodies SET body = \'{"who":"me"}\' WHERE sequence = 2')
    told = run("audit", "verify", code=1)
    assert "entry 2" in told
    assert "body" in told


def test_the_log_is_compared_with_the_bucket(
    run: Callable[..., str], data: Callable[..., Any], sequencer: Sequencer, database: Any
) -> None:
    """A4: a superuser removes an entry and mends the chain behind it; the place is told."""
    for name in ("bakery", "florist", "butcher"):
        run("tenant", "add", name, "--domain", f"{name}.example")
    sequencer.round()
    writers = {row["writer"]: row for row in data("audit", "verify")}
    assert writers["log 1"]["entries"] == 3
    assert writers["log 1"]["result"].startswith("sealed 20")
    admin = database.connect()
    admin.execute("SET session_replication_role TO replica")
    admin.execute("DELETE FROM audit_bodies")
    admin.execute("DELETE FROM audit_entries WHERE sequence = 3")
    admin.execute(
        "UPDATE audit_writers SET (sequence, hash) = (SELECT sequence, hash FROM audit_entries WHERE sequence = 2)"
    )
    assert "Log 1, leaf 2: entry 3 of operator/" in run("audit", "verify", code=1)


def test_without_a_bucket_it_is_said_that_nothing_was_compared(run: Callable[..., str]) -> None:
    from archive.cli.main import main

    run("tenant", "add", "bakery", "--domain", "bakery.example")
    assert main(["audit", "verify"]) == 0


def test_a_log_is_taken_along_and_verified_without_any_service(
    run: Callable[..., str],
    data: Callable[..., Any],
    sequencer: Sequencer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A1: nothing but the directory, and the key and checkpoint one was given by another way."""
    for name in ("bakery", "florist"):
        run("tenant", "add", name, "--domain", f"{name}.example")
    sequencer.round()
    assert data("audit", "export", str(tmp_path / "log"), "--bodies")["files"] == 4
    for name in ("DATABASE_URL", "S3_ENDPOINT", "S3_BUCKET", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.delenv(f"EARWITNESS_{name}")
    (found,) = data("audit", "verify", str(tmp_path / "log"))
    assert (found["leaves"], found["entries"], found["bodies"], found["checkpoints"]) == (2, 2, 2, 1)
    (note,) = (tmp_path / "log/1/checkpoints").iterdir()
    (key,) = (tmp_path / "log/keys").iterdir()
    given = ("--known", str(note), "--key", str(key), "--as-of", found["until"])
    assert data("audit", "verify", str(tmp_path / "log"), *given)[0]["leaves"] == 2
    (entries,) = (tmp_path / "log/1/entries").iterdir()
    entries.write_bytes(entries.read_bytes().replace(b"tenant.added", b"tenant.adder"))
    assert "Log 1, leaf 0: entry 1 of operator/" in run("audit", "verify", str(tmp_path / "log"), code=1)


def test_what_a_log_can_not_say_of_itself_is_asked_by_options(
    run: Callable[..., str], tmp_path: Path
) -> None:
    """Which key, how far it must reach, and when it was taken."""
    log = tmp_path / "log"
    notes = write_log(log)
    (tmp_path / "newest").write_bytes(notes[-1])
    for part in (
        "leaves/000000000077-000000000084",
        "entries/000000000077-000000000084",
        "checkpoints/000000000084",
    ):
        (log / "1" / part).unlink()
    assert "cut or set back" in run("audit", "verify", str(log), "--known", str(tmp_path / "newest"), code=1)
    assert "tail is missing" in run("audit", "verify", str(log), "--as-of", "2026-11-23T10:00", code=1)
    other = PublicKey("earwitness/test/1", SigningKey(b"x" * 32).public).line()
    assert "no known key" in run("audit", "verify", str(log), "--key", other, code=1)
    assert "can't be read" in run("audit", "verify", str(log), "--key", str(tmp_path / "nothing"), code=1)
    assert "is no time" in run("audit", "verify", str(log), "--as-of", "yesterday", code=1)
    assert "no directory" in run("audit", "verify", str(tmp_path / "nowhere"), code=1)


def test_a_new_log_is_begun_under_the_next_number(
    run: Callable[..., str], data: Callable[..., Any], sequencer: Sequencer
) -> None:
    """After a restore; the reason stands in the database, that it was begun stands in the log."""
    run("tenant", "add", "bakery", "--domain", "bakery.example")
    sequencer.round()
    assert data("audit", "begin", "--reason", "restored")["log"].endswith("/2")
    assert "1 to 512" in run("audit", "begin", "--reason", " ", code=1)
    sequencer.round()
    rows = {row["writer"]: row["entries"] for row in data("audit", "verify")}
    assert (rows["log 1"], rows["log 2"]) == (1, 2)
    assert json.loads(run("audit", "verify", "--json"))
