"""The self-test of a locked bucket against real servers, by boto3 and by the minio SDK (R7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from moto.server import ThreadedMotoServer

from archive.embedded.signed_request import S3Endpoint
from archive.errors import StoreUnavailable
from archive.store.lock_client import lock_clients
from archive.store.s3 import ObjectStore
from archive.store.worm import PREFIX, PROBES, clear_canaries, verify_worm

CLIENTS = ["boto3", "minio"]
KNOWN_OF_MOTO = {"parts-locked", "shorten", "mode-change", "past", "suspend"}
"""What moto lets happen to a locked version; the self-test has to see each of them."""


@pytest.fixture
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_the_embedded_store_is_proved_by_both_clients(
    seaweed: S3Endpoint, open_store: Callable[..., ObjectStore]
) -> None:
    """R7: every probe; what was put to be tried out and is not locked is cleared away."""
    store = open_store(seaweed)
    store.ensure_bucket()
    clients = lock_clients(seaweed.url, store._bucket, seaweed.access_key, seaweed.secret_key, "us-east-1")
    report = verify_worm(clients, store.clock())
    assert report.faults == ()
    assert report.is_proved
    assert sorted({found.client for found in report.findings}) == CLIENTS
    assert len(report.findings) == len(CLIENTS) * len(PROBES)
    clear_canaries(store)
    left = store.versions(PREFIX)
    assert left
    assert not [version for version in left if version.is_delete_marker]
    assert all(store.head(version.key, version.version_id).mode for version in left)


def test_moto_fails_where_it_is_known_not_to_lock(moto: str) -> None:
    """R7: this pins that the probes see what they are made to see."""
    store = ObjectStore(moto, "bucket", "a", "s")
    store.ensure_bucket()
    report = verify_worm(lock_clients(moto, "bucket", "a", "s", "us-east-1"), store.clock())
    store.close()
    assert not report.is_proved
    assert {found.probe for found in report.faults if found.client == "boto3"} == KNOWN_OF_MOTO
    assert len(KNOWN_OF_MOTO) >= 5


def test_a_store_that_is_away_is_no_proof_of_anything() -> None:
    for client in lock_clients("http://127.0.0.1:9", "bucket", "a", "s", "us-east-1"):
        with pytest.raises(StoreUnavailable):
            client.put("key", b"x")
