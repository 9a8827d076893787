"""The calls by which a lock is tried out, spoken by two clients that share no code: boto3 and minio.

`archive.store.worm` says what each call must do. Refused is whatever the store answers
with an error of its own; a store that does not answer is `StoreUnavailable`, so that an
outage is never taken for a lock that holds.

Rules: only for objects that were put to be tried out.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

import boto3.session
import minio
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from minio.commonconfig import ENABLED
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error
from minio.retention import Retention
from minio.versioningconfig import SUSPENDED, VersioningConfig

from archive.errors import Refused, StoreUnavailable
from archive.store.object import LockMode

PART_BYTES_MIN = 5 * 1024 * 1024
"""The least size of a part that is not the last; so much is put to make an object of two parts."""

TIMEOUT_S = 20


class LockClient(Protocol):
    """What is tried out.

    Every method raises Refused when the store says no, StoreUnavailable when it is away.
    """

    @property
    def name(self) -> str:
        """The client, as reports call it."""

    def put(self, key: str, data: bytes, until: datetime | None = None, mode: LockMode = "GOVERNANCE") -> str:
        """Put an object in one piece, under a lock if there is a date; return its version."""

    def put_in_parts(self, key: str, data: bytes, until: datetime, mode: LockMode) -> str:
        """Put an object in several parts under a lock; return its version."""

    def lock_of(self, key: str, version: str) -> tuple[str, datetime] | None:
        """Return mode and date of a version's lock, None when it has none."""

    def get(self, key: str, version: str) -> bytes:
        """Return a version."""

    def relock(self, key: str, version: str, until: datetime, mode: LockMode) -> None:
        """Give a version another lock."""

    def hold(self, key: str, version: str, *, on: bool) -> None:
        """Set or release the legal hold of a version."""

    def delete(self, key: str, version: str | None = None) -> None:
        """Delete a version, or without one put a delete marker."""

    def delete_many(self, key: str, version: str) -> None:
        """Delete a version by the request that deletes many; an error within its answer is Refused."""

    def delete_bypassing(self, key: str, version: str) -> None:
        """Delete a version with the header that bypasses GOVERNANCE."""

    def suspend_versioning(self) -> None:
        """Turn versioning off; whoever succeeds turns it on again at once."""

    def resume_versioning(self) -> None:
        """Turn versioning on."""


class BotoLockClient:
    """By boto3."""

    name = "boto3"

    def __init__(self, endpoint: str, bucket: str, access_key: str, secret_key: str, region: str) -> None:
        self._bucket = bucket
        self._client = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name=region,
            config=Config(
                connect_timeout=TIMEOUT_S,
                read_timeout=TIMEOUT_S,
                retries={"total_max_attempts": 2, "mode": "standard"},
                s3={"addressing_style": "path"},
            ),
        )

    def put(self, key: str, data: bytes, until: datetime | None = None, mode: LockMode = "GOVERNANCE") -> str:
        """Put an object in one piece."""
        lock = {} if until is None else {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": until}
        with _boto():
            answer = self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=data,
                ChecksumAlgorithm="SHA256",
                **lock,  # type: ignore[arg-type]
            )
        return answer.get("VersionId", "")

    def put_in_parts(self, key: str, data: bytes, until: datetime, mode: LockMode) -> str:
        """Put an object in several parts."""
        with _boto():
            begun = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=key, ObjectLockMode=mode, ObjectLockRetainUntilDate=until
            )
            upload = begun["UploadId"]
            pieces = (data[:PART_BYTES_MIN], data[PART_BYTES_MIN:])
            tags = [
                self._client.upload_part(
                    Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece
                )["ETag"]
                for number, piece in enumerate(pieces, start=1)
            ]
            done = self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload,
                MultipartUpload={
                    "Parts": [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, start=1)]
                },
            )
        return done.get("VersionId", "")

    def lock_of(self, key: str, version: str) -> tuple[str, datetime] | None:
        """Return mode and date of a version's lock."""
        with _boto():
            answer = self._client.head_object(Bucket=self._bucket, Key=key, VersionId=version)
        mode, until = answer.get("ObjectLockMode"), answer.get("ObjectLockRetainUntilDate")
        return None if mode is None or until is None else (mode, until.astimezone(UTC))

    def get(self, key: str, version: str) -> bytes:
        """Return a version."""
        with (
            _boto(),
            self._client.get_object(Bucket=self._bucket, Key=key, VersionId=version)["Body"] as body,
        ):
            return body.read()

    def relock(self, key: str, version: str, until: datetime, mode: LockMode) -> None:
        """Give a version another lock."""
        with _boto():
            self._client.put_object_retention(
                Bucket=self._bucket,
                Key=key,
                VersionId=version,
                Retention={"Mode": mode, "RetainUntilDate": until},
            )

    def hold(self, key: str, version: str, *, on: bool) -> None:
        """Set or release the legal hold of a version."""
        with _boto():
            self._client.put_object_legal_hold(
                Bucket=self._bucket, Key=key, VersionId=version, LegalHold={"Status": "ON" if on else "OFF"}
            )

    def delete(self, key: str, version: str | None = None) -> None:
        """Delete a version, or put a delete marker."""
        named = {} if version is None else {"VersionId": version}
        with _boto():
            self._client.delete_object(Bucket=self._bucket, Key=key, **named)  # type: ignore[arg-type]

    def delete_many(self, key: str, version: str) -> None:
        """Delete a version by the request that deletes many."""
        with _boto():
            answer = self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": [{"Key": key, "VersionId": version}]}
            )
        for error in answer.get("Errors", []):
            raise Refused(f"{error.get('Code')}")

    def delete_bypassing(self, key: str, version: str) -> None:
        """Delete a version with the header that bypasses GOVERNANCE."""
        with _boto():
            self._client.delete_object(
                Bucket=self._bucket, Key=key, VersionId=version, BypassGovernanceRetention=True
            )

    def suspend_versioning(self) -> None:
        """Turn versioning off."""
        with _boto():
            self._client.put_bucket_versioning(
                Bucket=self._bucket, VersioningConfiguration={"Status": "Suspended"}
            )

    def resume_versioning(self) -> None:
        """Turn versioning on."""
        with _boto():
            self._client.put_bucket_versioning(
                Bucket=self._bucket, VersioningConfiguration={"Status": "Enabled"}
            )


class MinioLockClient:
    """By the minio SDK."""

    name = "minio"

    def __init__(self, endpoint: str, bucket: str, access_key: str, secret_key: str, region: str) -> None:
        self._bucket = bucket
        address = urlsplit(endpoint)
        pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=TIMEOUT_S, read=TIMEOUT_S), retries=urllib3.Retry(total=1)
        )
        self._client = minio.Minio(
            address.netloc,
            access_key=access_key,
            secret_key=secret_key,
            secure=address.scheme == "https",
            region=region,
            http_client=pool,
        )

    def put(self, key: str, data: bytes, until: datetime | None = None, mode: LockMode = "GOVERNANCE") -> str:
        """Put an object in one piece."""
        lock = None if until is None else Retention(mode, until)
        with _minio():
            made = self._client.put_object(self._bucket, key, io.BytesIO(data), len(data), retention=lock)
        return made.version_id or ""

    def put_in_parts(self, key: str, data: bytes, until: datetime, mode: LockMode) -> str:
        """Put an object in several parts."""
        with _minio():
            made = self._client.put_object(
                self._bucket,
                key,
                io.BytesIO(data),
                len(data),
                part_size=PART_BYTES_MIN,
                retention=Retention(mode, until),
            )
        return made.version_id or ""

    def lock_of(self, key: str, version: str) -> tuple[str, datetime] | None:
        """Return mode and date of a version's lock."""
        with _minio():
            found = self._client.get_object_retention(self._bucket, key, version_id=version)
        return None if found is None else (found.mode, found.retain_until_date.astimezone(UTC))

    def get(self, key: str, version: str) -> bytes:
        """Return a version."""
        with _minio():
            answer = self._client.get_object(self._bucket, key, version_id=version)
            try:
                return bytes(answer.read())
            finally:
                answer.close()
                answer.release_conn()

    def relock(self, key: str, version: str, until: datetime, mode: LockMode) -> None:
        """Give a version another lock."""
        with _minio():
            self._client.set_object_retention(self._bucket, key, Retention(mode, until), version_id=version)

    def hold(self, key: str, version: str, *, on: bool) -> None:
        """Set or release the legal hold of a version."""
        change = self._client.enable_object_legal_hold if on else self._client.disable_object_legal_hold
        with _minio():
            change(self._bucket, key, version_id=version)

    def delete(self, key: str, version: str | None = None) -> None:
        """Delete a version, or put a delete marker."""
        with _minio():
            self._client.remove_object(self._bucket, key, version_id=version)

    def delete_many(self, key: str, version: str) -> None:
        """Delete a version by the request that deletes many."""
        with _minio():
            errors = list(self._client.remove_objects(self._bucket, [DeleteObject(key, version)]))
        for error in errors:
            raise Refused(f"{error.code}")

    def delete_bypassing(self, key: str, version: str) -> None:
        """Delete a version with the header that bypasses GOVERNANCE, which this SDK sends among many only."""
        with _minio():
            asked = [DeleteObject(key, version)]
            errors = list(self._client.remove_objects(self._bucket, asked, bypass_governance_mode=True))
        for error in errors:
            raise Refused(f"{error.code}")

    def suspend_versioning(self) -> None:
        """Turn versioning off."""
        with _minio():
            self._client.set_bucket_versioning(self._bucket, VersioningConfig(SUSPENDED))

    def resume_versioning(self) -> None:
        """Turn versioning on."""
        with _minio():
            self._client.set_bucket_versioning(self._bucket, VersioningConfig(ENABLED))


def lock_clients(
    endpoint: str, bucket: str, access_key: str, secret_key: str, region: str
) -> tuple[LockClient, ...]:
    """Return both clients of one bucket; nothing is connected yet."""
    return (
        BotoLockClient(endpoint, bucket, access_key, secret_key, region),
        MinioLockClient(endpoint, bucket, access_key, secret_key, region),
    )


@contextmanager
def _boto() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise _told(status, error.response.get("Error", {}).get("Code", "")) from error
    except (BotoCoreError, OSError) as error:
        raise StoreUnavailable(f"The object store can't be reached ({type(error).__name__}).") from error


@contextmanager
def _minio() -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        raise _told(error.response.status if error.response is not None else 0, error.code or "") from error
    except (SyntaxError, ValueError, AttributeError) as error:
        # What the SDK can't read: ParseError is a SyntaxError, an element that misses an AttributeError.
        raise Refused(f"an answer the client can't read ({type(error).__name__})") from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreUnavailable(f"The object store can't be reached ({type(error).__name__}).") from error


def _told(status: int, code: str) -> Exception:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED:
        return StoreUnavailable(f"The object store answered {status} {code}.")
    return Refused(f"{status} {code}")
