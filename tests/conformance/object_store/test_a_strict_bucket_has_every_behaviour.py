"""R7b: our strict server has each of the 39 behaviours of Object Lock, and each can be switched off by itself.

A case of `tests.lock_behaviours` tries each behaviour from outside; the self-test of the product
is to see those that a locked archive stands on, by boto3 and by the minio SDK.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from moto.server import ThreadedMotoServer

from archive.errors import Refused
from archive.store.lock_client import LockClient, lock_clients
from archive.store.object import GOVERNANCE, KeyTaken, sha256_hex
from archive.store.s3 import ObjectStore
from archive.store.worm import verify_worm
from tests.lock_behaviours import CASES, House, failing, house_of
from tests.strict_bucket import BEHAVIOURS, MORE, now
from tests.strict_s3 import ACCESS_KEY, SECRET_KEY, StrictS3

BOTH = ("boto3", "minio")
RETENTION_ASKED = {"lock-kept", "parts-locked", "shorten", "mode-change", "lengthen", "overwrite"}
"""Probes by which the minio SDK asks for the retention of a version; boto3 asks for the version's head."""


def by_both(*probes: str) -> dict[str, set[str]]:
    """Return probes as both clients find them to fail."""
    return {client: set(probes) for client in BOTH}


PROBES_OF: dict[str, dict[str, set[str]]] = {
    "suspend_versioning": by_both("suspend"),
    "get_obj_retention": {"boto3": set(), "minio": RETENTION_ASKED},
    # A date that is none of ISO 8601 is read by boto3 all the same, and by the other SDK not at all.
    "get_obj_retention_iso8601": {"boto3": set(), "minio": RETENTION_ASKED},
    "put_obj_retention_increase_period": by_both("lengthen"),
    "put_obj_retention_shorten_period": by_both("shorten"),
    "delete_object_with_retention": by_both("delete"),
    "delete_multipart_object_with_retention": by_both("parts-locked"),
    "multi_delete_object_with_retention": by_both("batch-delete"),
    "delete_object_with_legal_hold_on": by_both("hold"),
    "delete_object_with_legal_hold_off": by_both("hold"),
    "get_obj_metadata": {"boto3": RETENTION_ASKED, "minio": set()},
    "uploading_obj": by_both(
        "lock-kept", "delete", "batch-delete", "bypass", "shorten", "mode-change", "overwrite"
    ),
    "changing_mode_from_compliance": by_both("mode-change"),
    "compliance_with_bypass": by_both("bypass"),
    "past_date": by_both("past"),
    "overwrite": by_both("overwrite"),
}
"""Which probes of the product fail when a behaviour is switched off, by client.

The others are none a locked archive stands on: it names every version and every date itself, and
leaves the rules of its bucket alone.
"""

KNOWN_OF_MOTO = {
    "put_obj_retention_shorten_period",
    "changing_mode_from_compliance",
    "suspend_versioning",
    "delete_multipart_object_with_retention",
    "past_date",
    "wrong_checksum",
}
"""Of what moto does not do, that which would cost a recording."""


@pytest.fixture(scope="module")
def server() -> Iterator[StrictS3]:
    with StrictS3() as made:
        yield made


@pytest.fixture(scope="module")
def house(server: StrictS3) -> Iterator[House]:
    made = house_of(server.url, ACCESS_KEY, SECRET_KEY)
    yield made
    made.client.close()


@pytest.fixture(scope="module")
def clients(server: StrictS3) -> tuple[LockClient, ...]:
    with closing(ObjectStore(server.url, "archive", ACCESS_KEY, SECRET_KEY)) as store:
        store.ensure_bucket()
    return lock_clients(server.url, "archive", ACCESS_KEY, SECRET_KEY, "us-east-1")


@pytest.fixture(autouse=True)
def strict_again(server: StrictS3) -> Iterator[None]:
    yield
    server.buckets.lenient = frozenset()


def test_there_is_a_case_for_each_of_the_39_behaviours() -> None:
    """R7b: and for those of ours beside them; none twice."""
    assert len(set(BEHAVIOURS)) == len(BEHAVIOURS) == 39
    assert set(CASES) == {*BEHAVIOURS, *MORE}


def test_the_strict_server_has_every_behaviour_and_is_proved_by_both_clients(
    house: House, clients: tuple[LockClient, ...]
) -> None:
    """R7: over a socket, by two SDKs that share no code."""
    assert failing(house) == {}
    report = verify_worm(clients, now())
    assert report.faults == ()
    assert report.is_proved


@pytest.mark.parametrize("behaviour", [*BEHAVIOURS, *MORE])
def test_a_behaviour_that_is_switched_off_fails_its_case_and_no_other(
    server: StrictS3, house: House, behaviour: str
) -> None:
    """R7b: this pins that each case sees what it is made to see, and that alone."""
    server.buckets.lenient = frozenset({behaviour})
    assert set(failing(house)) == {behaviour}


@pytest.mark.parametrize("behaviour", sorted(PROBES_OF))
def test_the_self_test_sees_what_a_locked_archive_stands_on(
    server: StrictS3, clients: tuple[LockClient, ...], behaviour: str
) -> None:
    """R7: exactly these probes, by exactly these clients; then the bucket is not WORM."""
    server.buckets.lenient = frozenset({behaviour})
    report = verify_worm(clients, now())
    found = {client: {fault.probe for fault in report.faults if fault.client == client} for client in BOTH}
    assert found == PROBES_OF[behaviour]
    assert not report.is_proved


def test_the_cases_see_what_moto_does_not_do() -> None:
    """R7b: on a server that is not ours, known to lock badly."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        house = house_of(f"http://{host}:{port}", "a", "s")
        found = set(failing(house))
        house.client.close()
    finally:
        server.stop()
    assert found >= KNOWN_OF_MOTO


@pytest.mark.parametrize("body", [b"sealed", b"sealed bytes " * 50_000])
def test_our_own_store_speaks_to_the_strict_server(server: StrictS3, body: bytes) -> None:
    """Conditional puts, ranges, listings and holds, as against SeaweedFS."""
    with closing(ObjectStore(server.url, "ours", ACCESS_KEY, SECRET_KEY)) as store:
        store.ensure_bucket()
        key = f"tenant/{len(body)}/audio"
        version = store.put(key, body, now() + timedelta(days=1), sha256=sha256_hex(body))
        assert store.fetch(key, version)[0] == body
        assert store.get(key, version, 1, 5) == body[1:5]
        assert store.head(key, version).mode == GOVERNANCE
        with pytest.raises(KeyTaken):
            store.put(key, body, now() + timedelta(days=1), sha256=sha256_hex(body))
        with pytest.raises(Refused):
            store.delete(key, version)
        assert [each.version_id for each in store.versions(key)] == [version]
