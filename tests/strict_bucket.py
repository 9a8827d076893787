"""What a bucket with Object Lock must do and must refuse, as an object store of ours in memory.

Each behaviour has a name: those of `BEHAVIOURS` are the 39 the object-lock part of Ceph's suite of
tests for S3 names (`test_object_lock_...`), those of `MORE` are ours beside them. A store is made with a
set of names it is *lenient* about: then it does there what a careless server does, and nothing else.

Not here: HTTP (`tests.strict_s3`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import threading
from collections.abc import Collection
from datetime import UTC, datetime

GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
PART_BYTES_MIN = 5 * 1024 * 1024

BEHAVIOURS = (
    "put_obj_lock",
    "put_obj_lock_invalid_bucket",
    "put_obj_lock_enable_after_create",
    "put_obj_lock_with_days_and_years",
    "put_obj_lock_invalid_days",
    "put_obj_lock_invalid_years",
    "put_obj_lock_invalid_mode",
    "put_obj_lock_invalid_status",
    "suspend_versioning",
    "get_obj_lock",
    "get_obj_lock_invalid_bucket",
    "put_obj_retention",
    "put_obj_retention_invalid_bucket",
    "put_obj_retention_invalid_mode",
    "get_obj_retention",
    "get_obj_retention_iso8601",
    "get_obj_retention_invalid_bucket",
    "put_obj_retention_versionid",
    "put_obj_retention_override_default_retention",
    "put_obj_retention_increase_period",
    "put_obj_retention_shorten_period",
    "put_obj_retention_shorten_period_bypass",
    "delete_object_with_retention",
    "delete_multipart_object_with_retention",
    "delete_object_with_retention_and_marker",
    "multi_delete_object_with_retention",
    "put_legal_hold",
    "put_legal_hold_invalid_bucket",
    "put_legal_hold_invalid_status",
    "get_legal_hold",
    "get_legal_hold_invalid_bucket",
    "delete_object_with_legal_hold_on",
    "delete_multipart_object_with_legal_hold_on",
    "delete_object_with_legal_hold_off",
    "get_obj_metadata",
    "uploading_obj",
    "changing_mode_from_governance_with_bypass",
    "changing_mode_from_governance_without_bypass",
    "changing_mode_from_compliance",
)
MORE = ("compliance_with_bypass", "past_date", "overwrite", "wrong_checksum")


class S3Refusal(Exception):  # noqa: N818 - an answer
    """What the store answers instead of doing it."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code = status, code


@dataclasses.dataclass
class Version:
    """A version of a key, or a delete marker."""

    id: str
    data: bytes = b""
    mode: str | None = None
    until: datetime | None = None
    hold: str | None = None
    is_marker: bool = False
    in_parts: bool = False

    @property
    def etag(self) -> str:
        """The MD5 of what it holds, in quotes."""
        return f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"'


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The lock an upload asks for."""

    mode: str | None = None
    until: datetime | None = None
    hold: str | None = None


@dataclasses.dataclass
class Upload:
    """An upload in parts that was begun."""

    key: str
    wanted: Wanted
    parts: dict[int, bytes] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Bucket:
    """A bucket: versions by key, oldest first, and its rules."""

    locks: bool = False
    versioning: str | None = None
    rule: tuple[str, str, int] | None = None
    keys: dict[str, list[Version]] = dataclasses.field(default_factory=dict)
    uploads: dict[str, Upload] = dataclasses.field(default_factory=dict)


class StrictBuckets:
    """Buckets that do what they must, but for what they are `lenient` about; one request at a time."""

    def __init__(self, lenient: Collection[str] = ()) -> None:
        unknown = set(lenient) - {*BEHAVIOURS, *MORE}
        if unknown:
            raise ValueError(f"no behaviours: {unknown}")
        self.lenient = frozenset(lenient)
        self.buckets: dict[str, Bucket] = {}
        self.guard = threading.Lock()
        self._numbers = itertools.count(1)

    def strict(self, behaviour: str) -> bool:
        """Tell whether the store has a behaviour."""
        return behaviour not in self.lenient

    def bucket(self, name: str) -> Bucket:
        """Return a bucket that is there."""
        if name not in self.buckets:
            raise S3Refusal(404, "NoSuchBucket")
        return self.buckets[name]

    def create(self, name: str, *, locks: bool) -> None:
        """Make a bucket; one with a lock has versions."""
        if name in self.buckets:
            raise S3Refusal(409, "BucketAlreadyOwnedByYou")
        self.buckets[name] = Bucket(locks, "Enabled" if locks else None)

    def set_versioning(self, bucket: Bucket, status: str) -> None:
        """Turn versioning on, or off where nothing is locked."""
        if bucket.locks and status != "Enabled" and self.strict("suspend_versioning"):
            raise S3Refusal(409, "InvalidBucketState")
        bucket.versioning = status

    def configure(self, bucket: Bucket, enabled: str, rule: tuple[str, dict[str, int]] | None) -> None:
        """Turn the lock on, with the retention a version gets that asks for none."""
        if not bucket.locks and bucket.versioning != "Enabled":
            if self.strict("put_obj_lock_invalid_bucket"):
                raise S3Refusal(409, "InvalidBucketState")
        elif not bucket.locks and not self.strict("put_obj_lock_enable_after_create"):
            raise S3Refusal(409, "InvalidBucketState")
        if enabled != "Enabled" and self.strict("put_obj_lock_invalid_status"):
            raise S3Refusal(400, "MalformedXML")
        bucket.rule = None if rule is None else self._rule(*rule)
        bucket.locks = True

    def _rule(self, mode: str, terms: dict[str, int]) -> tuple[str, str, int]:
        if mode not in {GOVERNANCE, COMPLIANCE} and self.strict("put_obj_lock_invalid_mode"):
            raise S3Refusal(400, "MalformedXML")
        if len(terms) != 1 and self.strict("put_obj_lock_with_days_and_years"):
            raise S3Refusal(400, "MalformedXML")
        unit, term = next(iter(terms.items()))
        if term < 1 and self.strict(f"put_obj_lock_invalid_{unit.lower()}"):
            raise S3Refusal(400, "InvalidRetentionPeriod")
        if unit == "Years" and not self.strict("put_obj_lock"):
            raise S3Refusal(501, "NotImplemented")
        return mode, unit, term

    def put(
        self, bucket: Bucket, key: str, data: bytes, wanted: Wanted, *, in_parts: bool = False
    ) -> Version:
        """Put a new version, under the lock it asks for or that of the bucket."""
        self._may_want(bucket, wanted)
        versions = bucket.keys.setdefault(key, [])
        if versions and not self.strict("overwrite"):
            versions[-1].data = data
        version = Version(f"v{next(self._numbers)}" if bucket.versioning == "Enabled" else "null", data)
        version.in_parts = in_parts
        if bucket.versioning != "Enabled":
            versions[:] = [each for each in versions if each.id != "null"]
        kept = wanted
        if not in_parts and not self.strict("uploading_obj"):
            kept = Wanted()
        if in_parts and not self.strict("delete_multipart_object_with_retention"):
            kept = dataclasses.replace(kept, mode=None, until=None)
        if in_parts and not self.strict("delete_multipart_object_with_legal_hold_on"):
            kept = dataclasses.replace(kept, hold=None)
        version.mode, version.until, version.hold = kept.mode, kept.until, kept.hold
        if kept.mode is None and wanted.mode is None and bucket.rule is not None:
            mode, unit, term = bucket.rule
            days = term if unit == "Days" else 365 * term
            version.mode = mode
            version.until = datetime.fromtimestamp(now().timestamp() + 86_400 * days, UTC)
        versions.append(version)
        return version

    def _may_want(self, bucket: Bucket, wanted: Wanted) -> None:
        if (wanted.mode or wanted.hold) and not bucket.locks:
            raise S3Refusal(400, "InvalidRequest")
        if (wanted.mode is None) != (wanted.until is None):
            raise S3Refusal(400, "InvalidArgument")
        if wanted.until is not None and wanted.until <= now() and self.strict("past_date"):
            raise S3Refusal(400, "InvalidArgument")

    def version(self, bucket: Bucket, key: str, version_id: str | None) -> Version:
        """Return a version, or the newest."""
        versions = bucket.keys.get(key, [])
        if version_id is None:
            if not versions or versions[-1].is_marker:
                raise S3Refusal(404, "NoSuchKey")
            return versions[-1]
        for each in versions:
            if each.id == version_id:
                if each.is_marker:
                    raise S3Refusal(405, "MethodNotAllowed")
                return each
        raise S3Refusal(404, "NoSuchVersion")

    def retain(
        self, bucket: Bucket, key: str, version_id: str | None, mode: str, until: datetime, *, bypass: bool
    ) -> None:
        """Give a version another lock."""
        if not bucket.locks and self.strict("put_obj_retention_invalid_bucket"):
            raise S3Refusal(400, "InvalidRequest")
        if mode not in {GOVERNANCE, COMPLIANCE} and self.strict("put_obj_retention_invalid_mode"):
            raise S3Refusal(400, "MalformedXML")
        if until <= now() and self.strict("past_date"):
            raise S3Refusal(400, "InvalidArgument")
        version = self.version(bucket, key, version_id)
        if version_id is None and not self.strict("put_obj_retention"):
            return
        if bucket.rule is not None and not self.strict("put_obj_retention_override_default_retention"):
            return
        if not self.strict("put_obj_retention_versionid"):
            version = bucket.keys[key][-1]
        if version.until is not None and version.until > now():
            self._may_relock(bucket, version, mode, until, bypass=bypass)
        version.mode, version.until = mode, until

    def _may_relock(
        self, bucket: Bucket, version: Version, mode: str, until: datetime, *, bypass: bool
    ) -> None:
        assert version.until is not None
        shorter = until < version.until
        if version.mode == COMPLIANCE and bypass:
            refused = (shorter or mode != COMPLIANCE) and self.strict("compliance_with_bypass")
        elif version.mode == COMPLIANCE:
            refused = (mode != COMPLIANCE and self.strict("changing_mode_from_compliance")) or (
                shorter and self.strict("put_obj_retention_shorten_period")
            )
        elif bypass:
            refused = (
                mode != GOVERNANCE and not self.strict("changing_mode_from_governance_with_bypass")
            ) or (shorter and not self.strict("put_obj_retention_shorten_period_bypass"))
        else:
            refused = (
                mode != GOVERNANCE and self.strict("changing_mode_from_governance_without_bypass")
            ) or (shorter and self.strict("put_obj_retention_shorten_period"))
        longer = until > version.until and bucket.rule is None
        if refused or (longer and not self.strict("put_obj_retention_increase_period")):
            raise S3Refusal(403, "AccessDenied")

    def hold(self, bucket: Bucket, key: str, version_id: str | None, status: str) -> None:
        """Put a legal hold on a version, or take it off."""
        if not bucket.locks and self.strict("put_legal_hold_invalid_bucket"):
            raise S3Refusal(400, "InvalidRequest")
        if status not in {"ON", "OFF"} and self.strict("put_legal_hold_invalid_status"):
            raise S3Refusal(400, "MalformedXML")
        version = self.version(bucket, key, version_id)
        if version_id is not None or self.strict("put_legal_hold"):
            version.hold = status

    def delete(
        self, bucket: Bucket, key: str, version_id: str | None, *, bypass: bool, among_many: bool = False
    ) -> Version | None:
        """Delete a version that may go, or put a delete marker; return the marker."""
        versions = bucket.keys.setdefault(key, [])
        if version_id is None:
            if bucket.versioning is None:
                versions.clear()
                return None
            marker = Version(f"v{next(self._numbers)}", is_marker=True)
            versions.append(marker)
            return marker
        for version in versions:
            if version.id == version_id:
                self._may_go(version, versions[-1], bypass=bypass, among_many=among_many)
                versions.remove(version)
                break
        return None

    def _may_go(self, version: Version, newest: Version, *, bypass: bool, among_many: bool) -> None:
        held = version.hold == "ON" and (version.in_parts or self.strict("delete_object_with_legal_hold_on"))
        was_held = version.hold == "OFF" and not self.strict("delete_object_with_legal_hold_off")
        if held or was_held:
            raise S3Refusal(403, "AccessDenied")
        if version.until is None or version.until <= now():
            return
        if bypass:
            if version.mode == COMPLIANCE and self.strict("compliance_with_bypass"):
                raise S3Refusal(403, "AccessDenied")
            return
        if among_many:
            behaviour = "multi_delete_object_with_retention"
        elif newest.is_marker:
            behaviour = "delete_object_with_retention_and_marker"
        else:
            behaviour = "delete_object_with_retention"
        if version.in_parts or self.strict(behaviour):
            raise S3Refusal(403, "AccessDenied")


def now() -> datetime:
    """Return the time of the store."""
    return datetime.now(UTC)
