"""`earwitness retention`: preview, sweep and trust-clock, as an operator runs them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from archive.catalogue import retention_clocks
from archive.catalogue.engine import Catalogue
from archive.catalogue.retention_clocks import GoodTime
from archive.cli.main import main
from archive.clock import SystemClock
from archive.data_key import expiry_day
from archive.model import Tenant
from retention import commands
from retention.commands import DAYS_MAX
from tests.unit.archive.evidence.conftest import OpenSslTimestampAuthority, timestamp_authority
from tests.unit.retention.ageing import ROOT, Ageing

__all__ = ["timestamp_authority"]


@pytest.fixture
def run(
    ageing: Ageing, database: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Return a function that runs a command with --json and returns what it printed."""
    monkeypatch.delenv("EARWITNESS_DATA", raising=False)
    monkeypatch.setattr(commands, "configure_logging", lambda settings, role: None)
    monkeypatch.setattr(commands, "open_store", lambda settings: Open(ageing))
    monkeypatch.setattr(commands, "open_vault", lambda settings: ageing.house.vault)
    monkeypatch.setattr(commands, "open_signatory", lambda settings, now: ageing.signatory())

    def run(*arguments: str, role: str = "worker", code: int = 0) -> Any:
        monkeypatch.setenv("EARWITNESS_DATABASE_URL", database.url(f"earwitness_{role}"))
        capsys.readouterr()
        assert main(["retention", *arguments, "--json"]) == code
        printed = capsys.readouterr()
        told = "\n".join(line for line in printed.out.splitlines() if not line.startswith("20"))
        return printed.err if code else json.loads(told)

    return run


class Open:
    """The store of the archive, which a command closes."""

    def __init__(self, ageing: Ageing) -> None:
        self._store = ageing.store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def close(self) -> None:
        """Leave it open."""


def test_preview_tells_what_goes_by_tenant_and_class(
    run: Callable[..., Any], ageing: Ageing, bakery: Tenant
) -> None:
    ageing.house.clock.moment = SystemClock().now()
    archived = ageing.archive(bakery, days=20)
    (line,) = run("preview", "--days", "30", role="operator")
    assert (line["tenant"], line["class"], line["going"], line["held"]) == ("bakery.example", "90d", 1, 0)
    assert line["first"] == expiry_day(archived.recording.retain_until).isoformat()
    assert run("preview", "--days", "10", role="operator")[0]["going"] == 0
    (line,) = run("preview", "--licence", "7y-1000", "--days", str(DAYS_MAX), role="operator")
    assert (line["class"], line["going"]) == ("7y-1000", 1)
    assert main(["retention", "preview", "--days", str(DAYS_MAX + 1)]) == 2


def test_sweep_destroys_what_is_over_and_tells_how_many(
    run: Callable[..., Any], ageing: Ageing, database: Any, bakery: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "SystemClock", lambda: ageing.house.clock)
    ageing.house.clock.moment = SystemClock().now()
    database.connect().execute("TRUNCATE retention_clocks")
    run("sweep")  # of an archive that is empty: from now on the time is known
    for _ in range(3):
        ageing.archive(bakery, days=1)
    ageing.archive(bakery, days=10)
    (swept,) = run("sweep")
    assert (swept["destroyed"], swept["remaining"]) == (0, 0)
    ageing.house.clock.moment += timedelta(days=1)
    told = run("sweep", code=1)
    # The test's clock jumps by a day; the seconds the test itself took stand beside it, as on a real machine.
    assert re.search(
        r"retention: Nothing is deleted or locked: this machine's clock moved by 86[34]\d\d s that", told
    )
    run("trust-clock", role="operator")
    database.connect().execute(
        "UPDATE retention_clocks SET at = %s", (ageing.house.clock.moment,)
    )  # the command ran by the real clock
    (swept,) = run("sweep")
    assert (swept["destroyed"], swept["certificates"], swept["remaining"]) == (3, 3, 0)


def test_to_trust_the_clock_is_written_down(
    run: Callable[..., Any], ageing: Ageing, database: Any, worker: Catalogue
) -> None:
    database.connect().execute("TRUNCATE retention_clocks")  # it runs by the real clock
    run("trust-clock", role="operator")
    times = retention_clocks.good_times(worker)
    assert abs(times[0].at - SystemClock().now()) < timedelta(minutes=1)
    entries = database.connect().execute("SELECT action FROM audit_entries ORDER BY at").fetchall()
    assert ("retention.clock-trusted",) in entries


def test_a_clock_far_ahead_is_trusted_with_the_word_of_a_time_stamping_authority(
    run: Callable[..., Any],
    ageing: Ageing,
    worker: Catalogue,
    monkeypatch: pytest.MonkeyPatch,
    timestamp_authority: OpenSslTimestampAuthority,
) -> None:
    """The real time of the test is that of the authority, and years beyond that of the archive."""
    known = SystemClock().now() - timedelta(days=400)
    retention_clocks.keep(worker, GoodTime("one", known, "another start", 10.0))
    assert "EARWITNESS_TSA_URL" in run("trust-clock", role="operator", code=1)
    monkeypatch.setattr(commands, "authority_of", lambda settings: timestamp_authority)
    assert "EARWITNESS_TSA_CERTIFICATES" in run("trust-clock", role="operator", code=1)
    monkeypatch.setenv("EARWITNESS_TSA_CERTIFICATES", str(timestamp_authority.folder / "root.pem"))
    run("trust-clock", role="operator")
    assert abs(retention_clocks.good_times(worker)[0].at - SystemClock().now()) < timedelta(minutes=1)


def test_it_finds_a_service_by_its_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retention", "sweep", "--data", str(tmp_path)]) == 1
    assert "earwitness retention: " in capsys.readouterr().err
    assert ROOT is not None
