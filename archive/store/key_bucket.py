"""A bucket as key store: wrapped keys where several machines reach them, beside the object store.

The bucket is one of its own, without versions and without lock: where old versions stay,
destroying a key would mean nothing. A bucket that keeps them, or may have kept them, is
refused at the start and before each destruction. Its backups live at most seven days,
as those of a directory.

An object per name; destroying puts a tombstone (`<name>.destroyed`, from then on nobody
gets the key), deletes the key and looks that it is gone. A destruction that was broken
off is finished by repeating it.

Not here: what a key store promises (`keys.key_store`), and the sealed objects
(`archive.store.s3`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from archive.store.client import s3_client
from archive.store.s3 import CONNECTIONS_MAX, DEFAULT_REGION
from keys.errors import KeyDestroyed, KeyExists, KeyNotFound, KeyStoreUnavailable
from keys.key_store import TOMBSTONE_SUFFIX, checked_data, checked_name, is_name, names_of_tombstones

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CreateBucketRequestTypeDef

_TAKEN = frozenset({HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT})


class BucketKeyStore:
    """A key store in a bucket of its own; safe to share among threads."""

    erasure = "deleted from the bucket of the key store, which keeps no versions, and seen gone"

    def __init__(
        self,
        endpoint: str,
        bucket: str,
        access_key: str,
        secret_key: str,
        region: str = DEFAULT_REGION,
        *,
        timeout_s: float = 20.0,
        attempts: int = 3,
    ) -> None:
        self._bucket = bucket
        self._region = region
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

    def ensure(self) -> None:
        """Make the bucket if it is missing, and refuse one that keeps what is deleted.

        Raises KeyStoreUnavailable, saying what to change.
        """
        with _reaching("the bucket"):
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                if _status(error) != HTTPStatus.NOT_FOUND:
                    raise
                self._client.create_bucket(**self._new_bucket())
        self.require_forgetful()

    def require_forgetful(self) -> None:
        """Raise KeyStoreUnavailable unless what is deleted from the bucket is gone."""
        with _reaching("the bucket"):
            versioning = self._client.get_bucket_versioning(Bucket=self._bucket).get("Status")
            locked = self._is_locked()
        if versioning or locked:
            kept = "a lock" if locked else "versions, or kept them once"
            raise KeyStoreUnavailable(
                f"The bucket {self._bucket} has {kept}: a key destroyed there would live on. "
                "Name a bucket of its own without both in EARWITNESS_KEY_STORE."
            )

    def put(self, name: str, data: bytes) -> None:
        """Store durably under a new name; raises KeyExists or KeyDestroyed when it was used before."""
        content = checked_data(data)
        self._refuse_destroyed(name)
        try:
            with _reaching(name):
                self._client.put_object(Bucket=self._bucket, Key=name, Body=content, IfNoneMatch="*")
        except _Taken:
            self._refuse_destroyed(name)
            raise KeyExists(f"The key {name} is stored already and is never replaced.") from None
        self._take_back_if_destroyed(name)

    def replace(self, name: str, data: bytes) -> None:
        """Put another sealing of the same key in its place; raises KeyNotFound or KeyDestroyed."""
        content = checked_data(data)
        self.get(name)
        with _reaching(name):
            self._client.put_object(Bucket=self._bucket, Key=name, Body=content)
        self._take_back_if_destroyed(name)

    def get(self, name: str) -> bytes:
        """Return what was stored; raises KeyNotFound or KeyDestroyed."""
        self._refuse_destroyed(name)
        try:
            with _reaching(name), self._client.get_object(Bucket=self._bucket, Key=name)["Body"] as body:
                return body.read()
        except KeyNotFound:
            # It may have been destroyed between the look and the reading.
            self._refuse_destroyed(name)
            raise

    def list(self, prefix: str) -> tuple[str, ...]:
        """Return the names that begin with `prefix` and are not destroyed, sorted."""
        found = self._found(prefix)
        return tuple(sorted(n for n in found if is_name(n) and n + TOMBSTONE_SUFFIX not in found))

    def destroyed(self) -> tuple[str, ...]:
        """Return the names of the keys that were destroyed, sorted."""
        return names_of_tombstones(self._found(""))

    def destroy(self, name: str) -> None:
        """Take the key away for ever, durably; repeatable. Raises KeyNotFound if it never was there."""
        checked_name(name)
        self.require_forgetful()
        if not self._exists(name + TOMBSTONE_SUFFIX):
            if not self._exists(name):
                raise _not_found(name)
            with _reaching(name):
                self._client.put_object(Bucket=self._bucket, Key=name + TOMBSTONE_SUFFIX, Body=b"destroyed")
        self._delete(name)

    def _found(self, prefix: str) -> set[str]:
        with _reaching("its list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return {item["Key"] for page in pages for item in page.get("Contents", [])}

    def _delete(self, name: str) -> None:
        with _reaching(name):
            self._client.delete_object(Bucket=self._bucket, Key=name)
        if self._exists(name):
            raise KeyStoreUnavailable(f"The store still gives out {name} after it was deleted; try again.")

    def _take_back_if_destroyed(self, name: str) -> None:
        """Let a name stay dead that was destroyed between the look and the writing."""
        if self._exists(name + TOMBSTONE_SUFFIX):
            self._delete(name)
            self._refuse_destroyed(name)

    def _refuse_destroyed(self, name: str) -> None:
        if self._exists(checked_name(name) + TOMBSTONE_SUFFIX):
            raise KeyDestroyed(name)

    def _exists(self, key: str) -> bool:
        try:
            with _reaching(key):
                self._client.head_object(Bucket=self._bucket, Key=key)
        except KeyNotFound:
            return False
        return True

    def _is_locked(self) -> bool:
        try:
            answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError as error:
            if _status(error) in {HTTPStatus.NOT_FOUND, HTTPStatus.NOT_IMPLEMENTED}:
                return False
            raise
        return answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"

    def _new_bucket(self) -> CreateBucketRequestTypeDef:
        wanted: CreateBucketRequestTypeDef = {"Bucket": self._bucket}
        if self._region != DEFAULT_REGION:
            wanted["CreateBucketConfiguration"] = {"LocationConstraint": self._region}  # type: ignore[typeddict-item]
        return wanted


class _Taken(Exception):  # noqa: N818 - never leaves this module
    """An object stands at this key already."""


def _not_found(name: str) -> KeyNotFound:
    return KeyNotFound(f"The key store has no key {name}: is it the store of this archive?")


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


@contextmanager
def _reaching(what: str) -> Iterator[None]:
    """Turn what botocore raises into the words of a key store."""
    try:
        yield
    except ClientError as error:
        status, code = _status(error), error.response.get("Error", {}).get("Code", "")
        if status == HTTPStatus.NOT_FOUND and code != "NoSuchBucket":
            raise _not_found(what) from error
        if status in _TAKEN:
            raise _Taken from error
        raise KeyStoreUnavailable(
            f"The bucket of the keys answers {status} {code}: check EARWITNESS_KEY_STORE and its rights."
        ) from error
    except (BotoCoreError, HTTPError, OSError) as error:
        raise KeyStoreUnavailable(
            f"The bucket of the keys can't be reached ({type(error).__name__}); it is tried again."
        ) from error
