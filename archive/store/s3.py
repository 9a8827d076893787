"""The object store over S3, by boto3 in the calling thread (the client is thread-safe).

Rules: every put is conditional (`If-None-Match: *`), carries its SHA-256 and an
explicit retain-until, never the default of a bucket; every read and delete names
its version. Faults of the store or the network become `StoreUnavailable`, so that
callers know one word for "try again later".
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from archive.errors import NotFound, Refused, StoreUnavailable, VerificationFailed
from archive.store.barrier import sync_filesystem
from archive.store.client import s3_client
from archive.store.object import (
    GOVERNANCE,
    OBJECT_BYTES_MAX,
    KeyTaken,
    LockMode,
    ObjectFacts,
    ObjectTooLarge,
    ObjectVersion,
    place_of,
    whole_second,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import (
        CreateBucketRequestTypeDef,
        DeleteObjectRequestTypeDef,
        GetObjectOutputTypeDef,
        GetObjectRequestTypeDef,
        HeadObjectOutputTypeDef,
        ListObjectVersionsRequestTypeDef,
        PutObjectRequestTypeDef,
    )

# Eight finaliser threads and the portal's readers share one client.
CONNECTIONS_MAX = 16

DEFAULT_REGION = "us-east-1"

# Answers that mean our settings are wrong, not that a lock held: every caller has to wait for a human.
_CREDENTIAL_CODES = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"})


class ObjectStore:
    """One bucket of an S3 server, made with Object Lock unless `lock` is off.

    `sync_dir` is the data directory of a store on this machine, for `barrier`; a store
    elsewhere keeps its own promise. `timeout_s` bounds connecting and each read;
    `attempts` is the number of tries before a fault is reported.
    """

    def __init__(  # noqa: PLR0917 - the settings of one S3 server, in their documented order
        self,
        endpoint: str,
        bucket: str,
        access_key: str,
        secret_key: str,
        region: str = DEFAULT_REGION,
        sync_dir: Path | None = None,
        lock: bool = True,  # noqa: FBT001, FBT002
        *,
        timeout_s: float = 20.0,
        attempts: int = 3,
    ) -> None:
        self._bucket = bucket
        self._place = place_of(endpoint, bucket)
        self._region = region
        self._sync_dir = sync_dir
        self._lock = lock
        self._client = s3_client(
            endpoint,
            access_key,
            secret_key,
            region=region,
            timeout_s=timeout_s,
            attempts=attempts,
            connections_max=CONNECTIONS_MAX,
        )

    def close(self) -> None:
        """Close the connections to the store."""
        self._client.close()

    @property
    def locks(self) -> bool:
        """Whether versions are put under a lock."""
        return self._lock

    @property
    def place(self) -> str:
        """Which bucket of which server this is."""
        return self._place

    def ensure_bucket(self) -> None:
        """Make the bucket if it is missing, with Object Lock and versions, and check that it has them.

        Raises `Refused` when the bucket exists without Object Lock: it can't be added by us.
        """
        with _reaching("the bucket"):
            if not self._bucket_exists():
                self._client.create_bucket(**self._new_bucket())
            # S3 turns versions on with the lock; not every server that says so does.
            if self._client.get_bucket_versioning(Bucket=self._bucket).get("Status") != "Enabled":
                self._client.put_bucket_versioning(
                    Bucket=self._bucket, VersioningConfiguration={"Status": "Enabled"}
                )
            if self._lock and not self._bucket_locks():
                raise Refused(
                    f"The bucket {self._bucket} exists without Object Lock. "
                    "Make a new bucket with Object Lock, or set EARWITNESS_S3_LOCK to false."
                )

    def _new_bucket(self) -> CreateBucketRequestTypeDef:
        wanted: CreateBucketRequestTypeDef = {
            "Bucket": self._bucket,
            "ObjectLockEnabledForBucket": self._lock,
        }
        if self._region != DEFAULT_REGION:
            # S3 refuses a bucket outside its first region unless the region is said once more.
            wanted["CreateBucketConfiguration"] = {"LocationConstraint": self._region}  # type: ignore[typeddict-item]
        return wanted

    def _bucket_exists(self) -> bool:
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if _status(error) == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    def _bucket_locks(self) -> bool:
        try:
            answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError as error:
            if _status(error) == HTTPStatus.NOT_FOUND:
                return False
            raise
        return answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"

    def put(
        self,
        key: str,
        data: bytes,
        retain_until: datetime | None,
        mode: LockMode = GOVERNANCE,
        *,
        sha256: str,
    ) -> str:
        """Store `data` under a free `key` and return its version id (see `Store.put`).

        A retain-until is rounded up to the whole second of S3, never down. Without
        one (or with `lock` off) the version is not locked. Raises `KeyTaken`,
        `ObjectTooLarge`, `StoreUnavailable`.
        """
        if len(data) > OBJECT_BYTES_MAX:
            raise ObjectTooLarge(
                f"The object has {len(data)} bytes; at most {OBJECT_BYTES_MAX} can be stored."
            )
        request: PutObjectRequestTypeDef = {
            "Bucket": self._bucket,
            "Key": key,
            "Body": data,
            "ContentType": "application/octet-stream",
            "ChecksumAlgorithm": "SHA256",
            "ChecksumSHA256": base64.b64encode(bytes.fromhex(sha256)).decode(),
            "IfNoneMatch": "*",
        }
        if retain_until is not None and self._lock:
            request["ObjectLockMode"] = mode
            request["ObjectLockRetainUntilDate"] = whole_second(retain_until)
        with _reaching(key):
            version_id = self._client.put_object(**request).get("VersionId")
        if not version_id or version_id == "null":
            raise StoreUnavailable("The object store keeps no versions: turn versioning on for the bucket.")
        return version_id

    def get(
        self, key: str, version_id: str, first: int | None = None, last_exclusive: int | None = None
    ) -> bytes:
        """Return one version, or the bytes `first` to `last_exclusive` of it.

        Raises `NotFound`, `StoreUnavailable` (a body that ends early included) and
        `VerificationFailed` when the version is shorter than the asked range.
        """
        request: GetObjectRequestTypeDef = {"Bucket": self._bucket, "Key": key, "VersionId": version_id}
        if first is not None and last_exclusive is not None:
            request["Range"] = f"bytes={first}-{last_exclusive - 1}"
        with _reaching(key):
            answer = self._client.get_object(**request)
            with answer["Body"] as body:
                data = body.read()
        if first is not None and last_exclusive is not None and len(data) != last_exclusive - first:
            raise VerificationFailed(
                f"The store gave {len(data)} of {last_exclusive - first} bytes asked for."
            )
        return data

    def fetch(self, key: str, version_id: str) -> tuple[bytes, ObjectFacts]:
        """Return one whole version and its facts; raises `NotFound`, `StoreUnavailable`."""
        with _reaching(key):
            answer = self._client.get_object(
                Bucket=self._bucket, Key=key, VersionId=version_id, ChecksumMode="ENABLED"
            )
            with answer["Body"] as body:
                return body.read(), _facts(key, version_id, answer)

    def head(self, key: str, version_id: str) -> ObjectFacts:
        """Return what the store knows of one version; raises `NotFound`, `StoreUnavailable`."""
        with _reaching(key):
            answer = self._client.head_object(
                Bucket=self._bucket, Key=key, VersionId=version_id, ChecksumMode="ENABLED"
            )
        return _facts(key, version_id, answer)

    def versions(self, prefix: str, after: str = "") -> list[ObjectVersion]:
        """Return every version and delete marker under `prefix` behind `after`, in the order of the store."""
        found: list[ObjectVersion] = []
        request: ListObjectVersionsRequestTypeDef = {"Bucket": self._bucket, "Prefix": prefix}
        if after:
            request["KeyMarker"] = after
        while True:
            with _reaching(prefix):
                page = self._client.list_object_versions(**request)
            found += [
                ObjectVersion(item["Key"], item["VersionId"], item["Size"], item["IsLatest"], False)
                for item in page.get("Versions", [])
            ]
            found += [
                ObjectVersion(item["Key"], item["VersionId"], 0, item["IsLatest"], True)
                for item in page.get("DeleteMarkers", [])
            ]
            if not page.get("IsTruncated"):
                return found
            request["KeyMarker"] = page["NextKeyMarker"]
            request["VersionIdMarker"] = page["NextVersionIdMarker"]

    def delete(self, key: str, version_id: str) -> None:
        """Delete one version; raises `Refused` while it is locked, `StoreUnavailable`."""
        self._delete({"Bucket": self._bucket, "Key": key, "VersionId": version_id})

    def delete_governed(self, key: str, version_id: str) -> None:
        """Delete one version before its lock of GOVERNANCE ends; raises as `delete`.

        The store lets only credentials do it that have the right (`s3:BypassGovernanceRetention`).
        """
        request: DeleteObjectRequestTypeDef = {"Bucket": self._bucket, "Key": key, "VersionId": version_id}
        self._delete({**request, "BypassGovernanceRetention": True} if self._lock else request)

    def _delete(self, request: DeleteObjectRequestTypeDef) -> None:
        key = request["Key"]
        with _refusing(f"The store keeps {key} locked; it was not deleted."), _reaching(key):
            self._client.delete_object(**request)

    def lengthen(self, key: str, version_id: str, until: datetime, mode: LockMode) -> None:
        """Let the lock of one version end later; raises `Refused` when that would loosen it, `NotFound`."""
        with _refusing(f"The store keeps {key} locked as it is."), _reaching(key):
            self._client.put_object_retention(
                Bucket=self._bucket,
                Key=key,
                VersionId=version_id,
                Retention={"Mode": mode, "RetainUntilDate": whole_second(until)},
            )

    def set_legal_hold(self, key: str, version_id: str, *, held: bool) -> None:
        """Put a hold of the store on one version, or take it off; raises `NotFound`, `StoreUnavailable`."""
        with _reaching(key):
            self._client.put_object_legal_hold(
                Bucket=self._bucket,
                Key=key,
                VersionId=version_id,
                LegalHold={"Status": "ON" if held else "OFF"},
            )

    def legal_hold(self, key: str, version_id: str) -> bool:
        """Return whether a hold of the store stands on one version; raises `NotFound`, `StoreUnavailable`."""
        return self.head(key, version_id).held

    def clock(self) -> datetime:
        """Return the time of the store from the Date header of its answer, to the second.

        A refused request has a Date too, so a clock that is hours off is still read.
        """
        try:
            with _reaching("the clock"):
                headers = self._client.head_bucket(Bucket=self._bucket)["ResponseMetadata"]["HTTPHeaders"]
        except (StoreUnavailable, NotFound) as error:
            if not isinstance(error.__cause__, ClientError):
                raise
            headers = error.__cause__.response["ResponseMetadata"]["HTTPHeaders"]
        try:
            return parsedate_to_datetime(headers["date"]).astimezone(UTC)
        except (KeyError, ValueError) as error:
            raise StoreUnavailable("The object store does not tell its time (no Date header).") from error

    def barrier(self) -> None:
        """Return once everything put so far survives a power cut of a store on this machine."""
        if self._sync_dir is not None:
            sync_filesystem(self._sync_dir)

    def healthy(self) -> bool:
        """Tell whether the bucket answers now."""
        try:
            with _reaching("the bucket"):
                self._client.head_bucket(Bucket=self._bucket)
        except (StoreUnavailable, NotFound):
            return False
        return True


def _facts(
    key: str, version_id: str, answer: HeadObjectOutputTypeDef | GetObjectOutputTypeDef
) -> ObjectFacts:
    checksum = answer.get("ChecksumSHA256")
    retain_until = answer.get("ObjectLockRetainUntilDate")
    return ObjectFacts(
        key=key,
        version_id=version_id,
        size_bytes=answer["ContentLength"],
        sha256=base64.b64decode(checksum).hex() if checksum else None,
        mode=answer.get("ObjectLockMode"),
        retain_until=retain_until.astimezone(UTC) if retain_until else None,
        held=answer.get("ObjectLockLegalHoldStatus") == "ON",
    )


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


@contextmanager
def _refusing(why: str) -> Iterator[None]:
    """Tell a lock that held from a store that is away."""
    try:
        yield
    except StoreUnavailable as error:
        if isinstance(error.__cause__, ClientError) and _code(error.__cause__) == "AccessDenied":
            raise Refused(why) from error
        raise


@contextmanager
def _reaching(what: str) -> Iterator[None]:
    """Turn what botocore raises into this package's few words."""
    try:
        yield
    except ClientError as error:
        raise _translate(error, what) from error
    except (BotoCoreError, HTTPError, OSError) as error:
        # The class says enough; the text of the error may hold an address with secrets in it.
        raise StoreUnavailable(
            f"The object store can't be reached ({type(error).__name__}); it is tried again."
        ) from error


def _translate(error: ClientError, what: str) -> Exception:
    status, code = _status(error), _code(error)
    if status == HTTPStatus.NOT_FOUND and code != "NoSuchBucket":
        return NotFound(f"The store has no such version of {what}.")
    if status == HTTPStatus.PRECONDITION_FAILED:
        return KeyTaken(f"An object stands at {what} already.")
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return VerificationFailed(f"The object at {what} is shorter than its record says.")
    if code in _CREDENTIAL_CODES:
        return StoreUnavailable(f"The object store refuses our credentials ({code}): check EARWITNESS_S3_*.")
    return StoreUnavailable(f"The object store answered {status} {code} for {what}.")
