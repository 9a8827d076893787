"""What each behaviour of a locked bucket is, tried out from outside: a case for each name of `tests.strict_bucket`.

A case does what its name says with buckets and objects of its own, and sees by every way a store has of
telling whether it was done. It raises `AssertionError` where the store did not behave.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.strict_bucket import COMPLIANCE, GOVERNANCE

UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
LATER, SOONER = UNTIL + timedelta(days=1), UNTIL - timedelta(hours=1)
CASES: dict[str, Callable[[House], None]] = {}


@dataclasses.dataclass
class House:
    """Buckets of one server, by boto3."""

    client: Any

    def bucket(self, *, lock: bool = True) -> str:
        name = f"bucket-{secrets.token_hex(6)}"
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
        return name

    def put(self, bucket: str, **wanted: Any) -> dict[str, str]:
        """Put an object of one octet, and return which it is."""
        made = self.client.put_object(Bucket=bucket, Key="k", Body=b"x", **wanted)
        return {"Bucket": bucket, "Key": "k", "VersionId": made["VersionId"]}

    def put_in_parts(self, bucket: str, **wanted: Any) -> dict[str, str]:
        of_it = {"Bucket": bucket, "Key": "k"}
        of_it["UploadId"] = self.client.create_multipart_upload(**of_it, **wanted)["UploadId"]
        tag = self.client.upload_part(**of_it, PartNumber=1, Body=b"x")["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
        made = self.client.complete_multipart_upload(**of_it, MultipartUpload=parts)
        return {"Bucket": bucket, "Key": "k", "VersionId": made["VersionId"]}

    def locked(self, mode: str = GOVERNANCE, until: datetime = UNTIL, bucket: str = "") -> dict[str, str]:
        """Put an object and lock it afterwards."""
        version = self.put(bucket or self.bucket())
        self.retain(version, mode, until)
        return version

    def retain(self, version: dict[str, str], mode: str, until: datetime, **more: Any) -> None:
        self.client.put_object_retention(
            **version, Retention={"Mode": mode, "RetainUntilDate": until}, **more
        )

    def hold(self, version: dict[str, str], status: str) -> None:
        self.client.put_object_legal_hold(**version, LegalHold={"Status": status})

    def configure(self, bucket: str, enabled: str = "Enabled", **rule: Any) -> None:
        configuration = {"ObjectLockEnabled": enabled, "Rule": {"DefaultRetention": rule}}
        self.client.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=configuration)

    def lock_seen(self, version: dict[str, str]) -> tuple[str, datetime] | None:
        """Return the lock of a version by whichever way the store tells it."""
        head = self.client.head_object(**version)
        if "ObjectLockMode" in head:
            return head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]
        with contextlib.suppress(ClientError):
            found = self.client.get_object_retention(**version)["Retention"]
            return found["Mode"], found["RetainUntilDate"]
        return None

    def is_held(self, version: dict[str, str]) -> bool:
        """Tell whether any way of asking shows a legal hold."""
        if self.client.head_object(**version).get("ObjectLockLegalHoldStatus") == "ON":
            return True
        return bool(self.client.get_object_legal_hold(**version)["LegalHold"]["Status"] == "ON")

    def refuses(self, answer: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        """See that a call is answered by a status and a code."""
        try:
            call(*arguments, **named)
        except ClientError as error:
            told = f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error.response['Error']['Code']}"
            assert told == answer, told
            return
        raise AssertionError(f"was done, and not answered by {answer}")


def house_of(url: str, access_key: str, secret_key: str) -> House:
    """Return a house on a server, whose client is to be closed."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    return House(client)


def failing(house: House) -> dict[str, str]:
    """Try every behaviour of a server; return those it has not, each with what was seen."""
    found: dict[str, str] = {}
    for name, tried in CASES.items():
        try:
            tried(house)
        except (AssertionError, ClientError, BotoCoreError, KeyError) as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def case(function: Callable[[House], None]) -> Callable[[House], None]:
    """Enter a case under its name."""
    CASES[function.__name__] = function
    return function


@case
def put_obj_lock(house: House) -> None:
    bucket = house.bucket()
    house.configure(bucket, Mode=GOVERNANCE, Days=1)
    house.configure(bucket, Mode=COMPLIANCE, Years=1)
    assert house.client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


@case
def put_obj_lock_invalid_bucket(house: House) -> None:
    bucket = house.bucket(lock=False)
    house.refuses("409 InvalidBucketState", house.configure, bucket, Mode=GOVERNANCE, Days=1)


@case
def put_obj_lock_enable_after_create(house: House) -> None:
    bucket = house.bucket(lock=False)
    house.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    house.configure(bucket, Mode=GOVERNANCE, Days=1)


@case
def put_obj_lock_with_days_and_years(house: House) -> None:
    house.refuses("400 MalformedXML", house.configure, house.bucket(), Mode=GOVERNANCE, Days=1, Years=1)


@case
def put_obj_lock_invalid_days(house: House) -> None:
    house.refuses("400 InvalidRetentionPeriod", house.configure, house.bucket(), Mode=GOVERNANCE, Days=0)


@case
def put_obj_lock_invalid_years(house: House) -> None:
    house.refuses("400 InvalidRetentionPeriod", house.configure, house.bucket(), Mode=GOVERNANCE, Years=-1)


@case
def put_obj_lock_invalid_mode(house: House) -> None:
    for mode in ("abc", "governance"):
        house.refuses("400 MalformedXML", house.configure, house.bucket(), Mode=mode, Days=1)


@case
def put_obj_lock_invalid_status(house: House) -> None:
    house.refuses("400 MalformedXML", house.configure, house.bucket(), "Disabled", Mode=GOVERNANCE, Days=1)


@case
def suspend_versioning(house: House) -> None:
    suspended = {"VersioningConfiguration": {"Status": "Suspended"}}
    house.refuses(
        "409 InvalidBucketState", house.client.put_bucket_versioning, Bucket=house.bucket(), **suspended
    )


@case
def get_obj_lock(house: House) -> None:
    bucket = house.bucket()
    house.configure(bucket, Mode=GOVERNANCE, Days=1)
    found = house.client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert found["ObjectLockEnabled"] == "Enabled"
    assert found["Rule"]["DefaultRetention"] == {"Mode": GOVERNANCE, "Days": 1}


@case
def get_obj_lock_invalid_bucket(house: House) -> None:
    asked = house.client.get_object_lock_configuration
    house.refuses("404 ObjectLockConfigurationNotFoundError", asked, Bucket=house.bucket(lock=False))


@case
def put_obj_retention(house: House) -> None:
    """Of the newest version, when none is named."""
    version = house.put(house.bucket())
    house.retain({"Bucket": version["Bucket"], "Key": "k"}, GOVERNANCE, UNTIL)
    assert house.lock_seen(version) == (GOVERNANCE, UNTIL)


def _without_lock(house: House) -> dict[str, str]:
    bucket = house.bucket(lock=False)
    house.client.put_object(Bucket=bucket, Key="k", Body=b"x")
    return {"Bucket": bucket, "Key": "k"}


@case
def put_obj_retention_invalid_bucket(house: House) -> None:
    house.refuses("400 InvalidRequest", house.retain, _without_lock(house), GOVERNANCE, UNTIL)


@case
def put_obj_retention_invalid_mode(house: House) -> None:
    version = house.put(house.bucket())
    for mode in ("governance", "abc"):
        house.refuses("400 MalformedXML", house.retain, version, mode, UNTIL)


@case
def get_obj_retention(house: House) -> None:
    found = house.client.get_object_retention(**house.locked())["Retention"]
    assert found == {"Mode": GOVERNANCE, "RetainUntilDate": UNTIL}


@case
def get_obj_retention_iso8601(house: House) -> None:
    """The date as it stands in the answer, which clients read in many ways."""
    answers: list[bytes] = []
    remember = "after-call.s3.GetObjectRetention"

    def look(http_response: Any, **_: Any) -> None:
        answers.append(http_response.content)

    version = house.locked()
    house.client.meta.events.register(remember, look)
    try:
        with contextlib.suppress(ClientError):
            house.client.get_object_retention(**version)
    finally:
        house.client.meta.events.unregister(remember, look)
    dates = re.findall(rb"<RetainUntilDate>(.*?)</RetainUntilDate>", answers[0])
    assert all(re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", date) for date in dates), dates


@case
def get_obj_retention_invalid_bucket(house: House) -> None:
    house.refuses("400 InvalidRequest", house.client.get_object_retention, **_without_lock(house))


@case
def put_obj_retention_versionid(house: House) -> None:
    """Of the version that is named, and of no other."""
    bucket = house.bucket()
    first, second = house.put(bucket), house.put(bucket)
    house.retain(first, GOVERNANCE, UNTIL)
    assert house.lock_seen(first) == (GOVERNANCE, UNTIL)
    assert house.lock_seen(second) is None


@case
def put_obj_retention_override_default_retention(house: House) -> None:
    bucket = house.bucket()
    house.configure(bucket, Mode=GOVERNANCE, Days=1)
    version = house.locked(until=LATER + timedelta(days=30), bucket=bucket)
    assert house.lock_seen(version) == (GOVERNANCE, LATER + timedelta(days=30))


@case
def put_obj_retention_increase_period(house: House) -> None:
    version = house.locked()
    house.retain(version, GOVERNANCE, LATER)
    assert house.lock_seen(version) == (GOVERNANCE, LATER)


@case
def put_obj_retention_shorten_period(house: House) -> None:
    for mode in (GOVERNANCE, COMPLIANCE):
        version = house.locked(mode)
        house.refuses("403 AccessDenied", house.retain, version, mode, SOONER)


@case
def put_obj_retention_shorten_period_bypass(house: House) -> None:
    version = house.locked()
    house.retain(version, GOVERNANCE, SOONER, BypassGovernanceRetention=True)
    assert house.lock_seen(version) == (GOVERNANCE, SOONER)


@case
def delete_object_with_retention(house: House) -> None:
    version = house.locked()
    house.refuses("403 AccessDenied", house.client.delete_object, **version)
    house.client.delete_object(**version, BypassGovernanceRetention=True)


@case
def delete_multipart_object_with_retention(house: House) -> None:
    wanted = {"ObjectLockMode": GOVERNANCE, "ObjectLockRetainUntilDate": UNTIL}
    version = house.put_in_parts(house.bucket(), **wanted)
    house.refuses("403 AccessDenied", house.client.delete_object, **version)


@case
def delete_object_with_retention_and_marker(house: House) -> None:
    """A marker may be put and taken away; the version under it stays."""
    version = house.locked()
    of_it = {"Bucket": version["Bucket"], "Key": "k"}
    marker = house.client.delete_object(**of_it)["VersionId"]
    house.refuses("403 AccessDenied", house.client.delete_object, **version)
    house.client.delete_object(**of_it, VersionId=marker)
    assert house.client.get_object(**version)["Body"].read() == b"x"


@case
def multi_delete_object_with_retention(house: House) -> None:
    """The one that is locked is an error in the answer; the other goes."""
    locked = house.locked()
    free = house.put(locked["Bucket"])
    named = [{"Key": "k", "VersionId": each["VersionId"]} for each in (locked, free)]
    told = house.client.delete_objects(Bucket=locked["Bucket"], Delete={"Objects": named})
    assert [each["VersionId"] for each in told.get("Deleted", [])] == [free["VersionId"]]
    assert [(each["VersionId"], each["Code"]) for each in told.get("Errors", [])] == [
        (locked["VersionId"], "AccessDenied")
    ]


@case
def put_legal_hold(house: House) -> None:
    """Of the newest version, when none is named; and off again."""
    version = house.put(house.bucket())
    newest = {"Bucket": version["Bucket"], "Key": "k"}
    house.hold(newest, "ON")
    assert house.is_held(version)
    house.hold(newest, "OFF")
    assert not house.is_held(version)


@case
def put_legal_hold_invalid_bucket(house: House) -> None:
    house.refuses("400 InvalidRequest", house.hold, _without_lock(house), "ON")


@case
def put_legal_hold_invalid_status(house: House) -> None:
    house.refuses("400 MalformedXML", house.hold, house.put(house.bucket()), "abc")


@case
def get_legal_hold(house: House) -> None:
    version = house.put(house.bucket())
    for status in ("ON", "OFF"):
        house.hold(version, status)
        assert house.client.get_object_legal_hold(**version)["LegalHold"] == {"Status": status}


@case
def get_legal_hold_invalid_bucket(house: House) -> None:
    house.refuses("400 InvalidRequest", house.client.get_object_legal_hold, **_without_lock(house))


@case
def delete_object_with_legal_hold_on(house: House) -> None:
    version = house.put(house.bucket())
    house.hold(version, "ON")
    house.refuses("403 AccessDenied", house.client.delete_object, **version)


@case
def delete_multipart_object_with_legal_hold_on(house: House) -> None:
    version = house.put_in_parts(house.bucket(), ObjectLockLegalHoldStatus="ON")
    house.refuses("403 AccessDenied", house.client.delete_object, **version)


@case
def delete_object_with_legal_hold_off(house: House) -> None:
    version = house.put(house.bucket())
    house.hold(version, "OFF")
    house.client.delete_object(**version)


@case
def get_obj_metadata(house: House) -> None:
    """Who asks for an object is told its lock and its hold."""
    version = house.locked()
    house.hold(version, "ON")
    head = house.client.head_object(**version)
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == (GOVERNANCE, UNTIL)
    assert head["ObjectLockLegalHoldStatus"] == "ON"


@case
def uploading_obj(house: House) -> None:
    wanted = {"ObjectLockMode": GOVERNANCE, "ObjectLockRetainUntilDate": UNTIL}
    version = house.put(house.bucket(), **wanted, ObjectLockLegalHoldStatus="ON")
    assert house.lock_seen(version) == (GOVERNANCE, UNTIL)
    assert house.is_held(version)


@case
def changing_mode_from_governance_with_bypass(house: House) -> None:
    version = house.locked()
    house.retain(version, COMPLIANCE, UNTIL, BypassGovernanceRetention=True)
    assert house.lock_seen(version) == (COMPLIANCE, UNTIL)


@case
def changing_mode_from_governance_without_bypass(house: House) -> None:
    house.refuses("403 AccessDenied", house.retain, house.locked(), COMPLIANCE, UNTIL)


@case
def changing_mode_from_compliance(house: House) -> None:
    house.refuses("403 AccessDenied", house.retain, house.locked(COMPLIANCE), GOVERNANCE, UNTIL)


@case
def compliance_with_bypass(house: House) -> None:
    """Ours: the right to bypass GOVERNANCE is none over COMPLIANCE."""
    bypassing = {"BypassGovernanceRetention": True}
    version = house.locked(COMPLIANCE)
    house.refuses("403 AccessDenied", house.client.delete_object, **version, **bypassing)
    house.refuses("403 AccessDenied", house.retain, version, GOVERNANCE, UNTIL, **bypassing)
    house.refuses("403 AccessDenied", house.retain, version, COMPLIANCE, SOONER, **bypassing)


@case
def past_date(house: House) -> None:
    """Ours: a lock that is over before it begins is a mistake."""
    past = datetime.now(UTC) - timedelta(days=1)
    version = house.put(house.bucket())
    house.refuses("400 InvalidArgument", house.retain, version, GOVERNANCE, past)


@case
def overwrite(house: House) -> None:
    """Ours: a newer version leaves the older ones."""
    version = house.locked()
    house.client.put_object(Bucket=version["Bucket"], Key="k", Body=b"forged")
    assert house.client.get_object(**version)["Body"].read() == b"x"


@case
def wrong_checksum(house: House) -> None:
    """Ours: what did not arrive as it was sent is not stored."""
    wrong = {"ChecksumSHA256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}
    house.refuses(
        "400 BadDigest", house.client.put_object, Bucket=house.bucket(), Key="k", Body=b"x", **wrong
    )
