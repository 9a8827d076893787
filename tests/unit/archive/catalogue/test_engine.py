"""Transactions and listening: what goes wrong comes out as an error of ours, without values."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Never

import pytest
from sqlalchemy import insert, select, text

from archive.catalogue import directory
from archive.catalogue.engine import Catalogue
from archive.catalogue.tables import tenants
from archive.errors import CatalogueUnavailable, Conflict, Refused
from archive.model import Tenant

FD_SETSIZE = 1024
"""The first number of a file that select refuses."""


def test_a_database_that_is_away_is_unavailable_and_not_healthy(tmp_path: Path) -> None:
    catalogue = Catalogue(f"postgresql+psycopg://u:geheim@/d?host={tmp_path}", timeout_s=2)
    assert not catalogue.healthy()
    with pytest.raises(CatalogueUnavailable) as failure, catalogue.transaction():
        pass
    assert "geheim" not in str(failure.value)
    with pytest.raises(CatalogueUnavailable):
        catalogue.listen("directory_changed")
    catalogue.close()


def test_a_body_that_raises_leaves_nothing_behind(operator: Catalogue, bakery: Tenant) -> Never:
    def fail() -> None:
        with operator.transaction() as connection:
            connection.execute(insert(tenants), {"id": "x", "name": "X", "domain": "x.example"})
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [tenant.domain for tenant in directory.list_tenants(operator)] == ["bakery.example"]


def test_errors_name_the_rule_and_no_value(operator: Catalogue, portal: Catalogue, bakery: Tenant) -> None:
    with (
        pytest.raises(Conflict, match="tenants_domain_key") as conflict,
        operator.transaction() as connection,
    ):
        connection.execute(insert(tenants), {"id": "x", "name": "X", "domain": bakery.domain})
    with pytest.raises(Refused, match="permission denied") as refusal, portal.transaction() as connection:
        connection.execute(insert(tenants), {"id": "x", "name": "X", "domain": bakery.domain})
    assert bakery.domain not in f"{conflict.value}{refusal.value}"


def test_a_statement_that_takes_too_long_is_given_up(database: Any) -> None:
    catalogue = Catalogue(database.url("earwitness_worker"), timeout_s=0.2)
    with pytest.raises(CatalogueUnavailable), catalogue.transaction() as connection:
        connection.execute(text("SELECT pg_sleep(30)"))
    catalogue.close()


def test_a_connection_the_server_closed_is_replaced(database: Any, portal: Catalogue) -> None:
    with portal.transaction() as connection:
        process_id = connection.execute(text("SELECT pg_backend_pid()")).scalar()
    database.connect().execute("SELECT pg_terminate_backend(%s, 5000)", (process_id,))
    assert portal.healthy()


@pytest.fixture
def many_files() -> Iterator[None]:
    """So many files open that the next ones have numbers select can't look at."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FD_SETSIZE + 200
    assert limits[1] == resource.RLIM_INFINITY or limits[1] >= wanted, "This test needs 1224 open files."
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], wanted), limits[1]))
    opened = [os.open(os.devnull, os.O_RDONLY)]
    while opened[-1] < FD_SETSIZE:
        opened.append(os.dup(opened[0]))
    yield
    for each in opened:
        os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("many_files")
def test_a_process_with_many_open_files_still_asks_for_news(database: Any) -> None:
    catalogue = Catalogue(database.url("earwitness_portal"))
    with catalogue.transaction() as connection:
        process_id = connection.execute(text("SELECT pg_backend_pid()")).scalar()
    with catalogue.transaction() as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar() == process_id
    database.connect().execute("SELECT pg_terminate_backend(%s, 5000)", (process_id,))
    assert catalogue.healthy()
    catalogue.close()


def test_a_listener_hears_a_committed_change_and_nothing_else(
    operator: Catalogue, recorder: Catalogue
) -> Never:
    with recorder.listen(directory.CHANNEL) as listener:
        assert not listener.wait(0.01)
        with operator.transaction() as connection:
            directory.announce(connection)
            connection.rollback()
        assert not listener.wait(0.01)
        with operator.transaction() as connection:
            directory.announce(connection)
        assert listener.wait(10)
        assert not listener.wait(0.01)


def test_a_waiting_listener_wakes_up(operator: Catalogue, recorder: Catalogue) -> None:
    heard = threading.Event()
    with recorder.listen(directory.CHANNEL) as listener:
        thread = threading.Thread(target=lambda: listener.wait(20) and heard.set())
        thread.start()
        with operator.transaction() as connection:
            directory.announce(connection)
        thread.join(20)
    assert heard.is_set()


def test_a_listener_whose_server_went_away_says_so(database: Any, recorder: Catalogue) -> None:
    with recorder.listen(directory.CHANNEL) as listener:
        database.connect().execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        )
        with pytest.raises(CatalogueUnavailable):
            listener.wait(10)


def test_threads_share_a_catalogue(portal: Catalogue) -> None:
    answers: list[int] = []

    def ask() -> None:
        with portal.transaction() as connection:
            answers.append(connection.execute(select(1)).scalar_one())

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [1] * 20
