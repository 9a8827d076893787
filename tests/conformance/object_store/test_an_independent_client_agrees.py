"""What our client says of the lock, seen with the minio SDK, with bare HTTP, and against a bad server."""

from __future__ import annotations

import io
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import minio
import pytest
from botocore.exceptions import ClientError
from minio.error import S3Error
from moto.server import ThreadedMotoServer

from archive.embedded.signed_request import S3Endpoint
from archive.errors import NotFound, Refused, StoreUnavailable
from archive.store.object import COMPLIANCE, GOVERNANCE, sha256_hex, whole_second
from archive.store.s3 import ObjectStore

DATA = b"sealed bytes " * 100
UNTIL = datetime.now(UTC) + timedelta(days=2)


@pytest.fixture
def store(seaweed: S3Endpoint, open_store: Callable[..., ObjectStore]) -> ObjectStore:
    made = open_store(seaweed)
    made.ensure_bucket()
    return made


@pytest.fixture
def other_client(seaweed: S3Endpoint) -> minio.Minio:
    address = urlsplit(seaweed.url).netloc
    return minio.Minio(address, access_key=seaweed.access_key, secret_key=seaweed.secret_key, secure=False)


def put(store: ObjectStore, key: str = "t/r/audio", until: datetime | None = UNTIL) -> str:
    return store.put(key, DATA, until, sha256=sha256_hex(DATA))


def test_minio_sees_the_retention_of_every_version(store: ObjectStore, other_client: minio.Minio) -> None:
    for key in ("t/r/audio", "t/r/peaks", "t/r/record"):
        version = put(store, key)
        retention = other_client.get_object_retention(store._bucket, key, version_id=version)
        assert retention.mode == GOVERNANCE
        assert retention.retain_until_date == whole_second(UNTIL)


def test_minio_cannot_delete_a_locked_version(store: ObjectStore, other_client: minio.Minio) -> None:
    version = put(store)
    with pytest.raises(S3Error, match="AccessDenied"):
        other_client.remove_object(store._bucket, "t/r/audio", version_id=version)
    assert store.get("t/r/audio", version) == DATA


def test_a_delete_marker_and_an_overwrite_by_others_leave_the_pinned_version(
    store: ObjectStore, other_client: minio.Minio
) -> None:
    version = put(store)
    other_client.put_object(store._bucket, "t/r/audio", io.BytesIO(b"forged"), 6)
    other_client.remove_object(store._bucket, "t/r/audio")
    assert store.get("t/r/audio", version) == DATA
    listed = store.versions("t/r/audio")
    assert [item.is_delete_marker for item in listed].count(True) == 1
    assert len(listed) == 3


def test_nobody_reads_without_credentials(seaweed: S3Endpoint, store: ObjectStore) -> None:
    version = put(store)
    url = f"{seaweed.url}/{store._bucket}/t/r/audio?versionId={version}"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=10)
    refused.value.close()
    assert refused.value.code == 403


def test_a_bucket_without_object_lock_is_refused(
    store: ObjectStore, other_client: minio.Minio, seaweed: S3Endpoint, open_store: Callable[..., ObjectStore]
) -> None:
    plain = open_store(seaweed)
    other_client.make_bucket(plain._bucket)
    with pytest.raises(Refused, match="without Object Lock"):
        plain.ensure_bucket()
    unlocked = open_store(seaweed, plain._bucket, lock=False)
    unlocked.ensure_bucket()
    version = unlocked.put("k", DATA, UNTIL, sha256=sha256_hex(DATA))
    assert unlocked.head("k", version).retain_until is None


def test_a_bucket_is_made_in_the_region_of_the_settings(seaweed: S3Endpoint) -> None:
    """Amazon's first region must not be named in the request, and every other one must."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        strict = (f"http://{host}:{port}", "a", "s")
        for url, access_key, secret_key in (strict, (seaweed.url, seaweed.access_key, seaweed.secret_key)):
            for region in ("us-east-1", "eu-central-1"):
                made = ObjectStore(url, f"bucket-{region}", access_key, secret_key, region)
                made.ensure_bucket()
                assert made.healthy()
                made.close()
    finally:
        server.stop()


def test_ensure_bucket_can_be_repeated(store: ObjectStore) -> None:
    store.ensure_bucket()
    assert store.healthy()


def test_wrong_credentials_are_a_store_that_is_away(seaweed: S3Endpoint, store: ObjectStore) -> None:
    stranger = ObjectStore(seaweed.url, store._bucket, seaweed.access_key, "wrong-secret-key", attempts=1)
    with pytest.raises(StoreUnavailable, match="credentials"):
        put(stranger)
    assert not stranger.healthy()
    assert abs((stranger.clock() - datetime.now(UTC)).total_seconds()) < 60
    stranger.close()


def test_a_missing_bucket_is_a_store_that_is_away(
    seaweed: S3Endpoint, open_store: Callable[..., ObjectStore]
) -> None:
    missing = open_store(seaweed, attempts=1)
    assert not missing.healthy()
    with pytest.raises(StoreUnavailable):
        put(missing)


def test_a_dead_address_is_a_store_that_is_away() -> None:
    dead = ObjectStore("http://127.0.0.1:9", "bucket", "a", "b", timeout_s=1, attempts=1)
    for attempt in (dead.clock, dead.ensure_bucket, lambda: dead.versions(""), lambda: dead.get("k", "v")):
        with pytest.raises(StoreUnavailable):
            attempt()
    assert not dead.healthy()
    dead.close()


# --- The same probes on a good and on a bad server: the probes work. -----------------------------


def _refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except (ClientError, StoreUnavailable, Refused, NotFound):
        return True
    return False


def lock_failures(store: ObjectStore) -> set[str]:
    """Return the names of the lock's promises that the server behind `store` breaks."""
    client, bucket = store._client, store._bucket
    version = store.put("probe", DATA, UNTIL, COMPLIANCE, sha256=sha256_hex(DATA))
    sooner = {"Mode": COMPLIANCE, "RetainUntilDate": UNTIL - timedelta(days=1)}
    weaker = {"Mode": GOVERNANCE, "RetainUntilDate": UNTIL}
    where = {"Bucket": bucket, "Key": "probe", "VersionId": version}
    probes = {
        "delete": lambda: store.delete("probe", version),
        "shorten": lambda: client.put_object_retention(**where, Retention=sooner),
        "weaken": lambda: client.put_object_retention(**where, Retention=weaker),
        "past date": lambda: put(store, "past", UNTIL - timedelta(days=9)),
        "wrong checksum": lambda: store.put("wrong", DATA, UNTIL, sha256=sha256_hex(b"")),
        # Last, because without versions nothing can be put any more.
        "suspend versions": lambda: client.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
        ),
    }
    return {name for name, probe in probes.items() if not _refused(probe)}


@pytest.fixture
def moto_store() -> Iterator[ObjectStore]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        made = ObjectStore(f"http://{host}:{port}", "bucket", "any", "thing")
        made.ensure_bucket()
        yield made
        made.close()
    finally:
        server.stop()


def test_seaweedfs_breaks_none_of_the_probed_promises(store: ObjectStore) -> None:
    assert lock_failures(store) == set()


def test_the_probes_catch_a_server_whose_lock_is_wrong(moto_store: ObjectStore) -> None:
    assert {"shorten", "suspend versions", "past date", "wrong checksum"} <= lock_failures(moto_store)
