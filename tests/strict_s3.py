"""An S3 server over a socket, as strict about Object Lock as it is told to be (`tests.strict_bucket`).

As much of S3 as boto3 and the minio SDK speak to it in our tests: buckets with versions and locks,
objects in one piece and in parts, retention, legal hold, deleting one and many, listing versions.
A body that is not what its own header says is refused. Signatures are looked at, not computed.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Collection
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from defusedxml import ElementTree

from tests.strict_bucket import PART_BYTES_MIN, Bucket, S3Refusal, StrictBuckets, Upload, Version, Wanted, now

ACCESS_KEY, SECRET_KEY = "strict", "strict-secret"
XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class StrictS3:
    """A server on loopback; a context manager."""

    def __init__(self, lenient: Collection[str] = ()) -> None:
        self.buckets = StrictBuckets(lenient)
        handler = type("Handler", (_Handler,), {"store": self.buckets})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One request: finds the bucket and key, and what of S3 it asks for."""

    store: ClassVar[StrictBuckets]
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: else each answer waits for an acknowledgement that is delayed.
    disable_nagle_algorithm, wbufsize = True, -1

    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests clean."""

    def handle_expect_100(self) -> bool:
        """Say that a body may come, at once: who asks waits a second for it."""
        expected = super().handle_expect_100()
        self.wfile.flush()
        return expected

    def handle_any(self) -> None:
        self.answer_status, self.answer_headers, self.answer_body = 200, dict[str, str](), b""
        body = self._body()
        try:
            self._check(body)
            with self.store.guard:
                self._serve(body)
        except S3Refusal as refusal:
            self.answer_status, self.answer_headers = refusal.status, {"Content-Type": "application/xml"}
            self.answer_body = f"<Error><Code>{refusal.code}</Code><Message>no</Message></Error>".encode()
        self._send()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - the names http.server calls

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return _unchunked(body) if "aws-chunked" in self.headers.get("Content-Encoding", "") else body

    def _check(self, body: bytes) -> None:
        if f"Credential={ACCESS_KEY}/" not in self.headers.get("Authorization", ""):
            raise S3Refusal(403, "InvalidAccessKeyId")
        told = self.headers.get("x-amz-content-sha256", "")
        if re.fullmatch("[0-9a-f]{64}", told) and told != hashlib.sha256(body).hexdigest():
            raise S3Refusal(400, "XAmzContentSHA256Mismatch")
        sums = {"Content-MD5": "md5", "x-amz-checksum-sha256": "sha256"}
        for header, name in sums.items():
            digest = base64.b64encode(hashlib.new(name, body, usedforsecurity=False).digest()).decode()
            if self.headers.get(header, digest) != digest and self.store.strict("wrong_checksum"):
                raise S3Refusal(400, "BadDigest")

    def _send(self) -> None:
        self.send_response(self.answer_status)
        self.send_header("Content-Length", self.answer_headers.pop("Length", str(len(self.answer_body))))
        for name, value in self.answer_headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.answer_body)

    def _serve(self, body: bytes) -> None:
        path = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(path.query, keep_blank_values=True).items()}
        name, _, key = unquote(path.path).lstrip("/").partition("/")
        if not key:
            self._serve_bucket(name, query, body)
            return
        bucket = self.store.bucket(name)
        part = next(
            (each for each in ("retention", "legal-hold", "uploads", "uploadId") if each in query), ""
        )
        served = {
            "": self._serve_object,
            "retention": self._serve_retention,
            "legal-hold": self._serve_hold,
            "uploads": self._begin_upload,
            "uploadId": self._serve_upload,
        }
        served[part](bucket, key, query, body)

    def _serve_bucket(self, name: str, query: dict[str, str], body: bytes) -> None:
        if self.command == "PUT" and not query:
            wanted = self.headers.get("x-amz-bucket-object-lock-enabled", "").lower()
            self.store.create(name, locks=wanted == "true")
            return
        bucket = self.store.bucket(name)
        match self.command, *query:
            case "PUT", "versioning":
                self.store.set_versioning(bucket, _text(body, "Status"))
            case "GET", "versioning":
                status = f"<Status>{bucket.versioning}</Status>" if bucket.versioning else ""
                self._tell("VersioningConfiguration", status)
            case "PUT", "object-lock":
                self._configure(bucket, body)
            case "GET", "object-lock":
                self._tell_configuration(bucket)
            case "POST", "delete":
                self._delete_many(bucket, body)
            case "GET", *_ if "versions" in query:
                self._tell_versions(bucket, query)
            case "HEAD", *_:
                pass
            case _:
                raise S3Refusal(501, "NotImplemented")

    def _configure(self, bucket: Bucket, body: bytes) -> None:
        terms = {unit: int(_text(body, unit)) for unit in ("Days", "Years") if _text(body, unit)}
        rule = (_text(body, "Mode"), terms) if _text(body, "Mode") else None
        self.store.configure(bucket, _text(body, "ObjectLockEnabled"), rule)

    def _tell_configuration(self, bucket: Bucket) -> None:
        if not bucket.locks and self.store.strict("get_obj_lock_invalid_bucket"):
            raise S3Refusal(404, "ObjectLockConfigurationNotFoundError")
        inner = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>" if bucket.locks else ""
        if bucket.rule is not None and self.store.strict("get_obj_lock"):
            mode, unit, term = bucket.rule
            inner += f"<Rule><DefaultRetention><Mode>{mode}</Mode><{unit}>{term}</{unit}></DefaultRetention></Rule>"
        self._tell("ObjectLockConfiguration", inner)

    def _delete_many(self, bucket: Bucket, body: bytes) -> None:
        answer = ""
        for each in ElementTree.fromstring(body).iterfind("{*}Object"):
            key, version_id = each.findtext("{*}Key", ""), each.findtext("{*}VersionId")
            named = f"<Key>{escape(key)}</Key><VersionId>{version_id or ''}</VersionId>"
            try:
                self.store.delete(bucket, key, version_id, bypass=self._bypass(), among_many=True)
                answer += f"<Deleted>{named}</Deleted>"
            except S3Refusal as refusal:
                answer += f"<Error>{named}<Code>{refusal.code}</Code><Message>no</Message></Error>"
        self._tell("DeleteResult", answer)

    def _tell_versions(self, bucket: Bucket, query: dict[str, str]) -> None:
        prefix, after = query.get("prefix", ""), query.get("key-marker", "")
        answer = "<IsTruncated>false</IsTruncated>"
        for key, versions in sorted(bucket.keys.items()):
            if not key.startswith(prefix) or (after and key <= after):
                continue
            for each in reversed(versions):
                kind = "DeleteMarker" if each.is_marker else "Version"
                answer += (
                    f"<{kind}><Key>{escape(key)}</Key><VersionId>{each.id}</VersionId>"
                    f"<IsLatest>{str(each is versions[-1]).lower()}</IsLatest><Size>{len(each.data)}</Size></{kind}>"
                )
        self._tell("ListVersionsResult", answer)

    def _serve_object(self, bucket: Bucket, key: str, query: dict[str, str], body: bytes) -> None:
        if self.command == "PUT":
            newest = bucket.keys.get(key, [])[-1:]
            if self.headers.get("If-None-Match") == "*" and newest and not newest[0].is_marker:
                raise S3Refusal(412, "PreconditionFailed")
            self._tell_put(bucket, self.store.put(bucket, key, body, self._wanted()))
        elif self.command == "DELETE":
            marker = self.store.delete(bucket, key, query.get("versionId"), bypass=self._bypass())
            self.answer_status = 204
            if marker is not None:
                self.answer_headers = {"x-amz-delete-marker": "true", "x-amz-version-id": marker.id}
        else:
            self._tell_object(bucket, self.store.version(bucket, key, query.get("versionId")))

    def _tell_object(self, bucket: Bucket, version: Version) -> None:
        data = version.data
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked:
            first, last = int(asked[1]), int(asked[2])
            if first >= len(data):
                raise S3Refusal(416, "InvalidRange")
            data, self.answer_status = data[first : last + 1], 206
            self.answer_headers["Content-Range"] = (
                f"bytes {first}-{first + len(data) - 1}/{len(version.data)}"
            )
        self._tell_put(bucket, version)
        self.answer_headers |= {
            "Length": str(len(data)),
            "Last-Modified": format_datetime(now(), usegmt=True),
        }
        self.answer_headers["x-amz-checksum-sha256"] = base64.b64encode(
            hashlib.sha256(version.data).digest()
        ).decode()
        if self.store.strict("get_obj_metadata"):
            if version.mode is not None and version.until is not None:
                self.answer_headers["x-amz-object-lock-mode"] = version.mode
                self.answer_headers["x-amz-object-lock-retain-until-date"] = _iso(version.until)
            if version.hold is not None:
                self.answer_headers["x-amz-object-lock-legal-hold"] = version.hold
        self.answer_body = data

    def _serve_retention(self, bucket: Bucket, key: str, query: dict[str, str], body: bytes) -> None:
        version_id = query.get("versionId")
        if self.command == "PUT":
            until = _moment(_text(body, "RetainUntilDate"))
            mode = _text(body, "Mode")
            self.store.retain(bucket, key, version_id, mode, until, bypass=self._bypass())
            return
        version = self.store.version(bucket, key, version_id)
        if not bucket.locks and self.store.strict("get_obj_retention_invalid_bucket"):
            raise S3Refusal(400, "InvalidRequest")
        if version.mode is None or version.until is None or not self.store.strict("get_obj_retention"):
            raise S3Refusal(404, "NoSuchObjectLockConfiguration")
        plain = self.store.strict("get_obj_retention_iso8601")
        until_text = _iso(version.until) if plain else format_datetime(version.until, usegmt=True)
        inner = f"<Mode>{version.mode}</Mode><RetainUntilDate>{until_text}</RetainUntilDate>"
        self._tell("Retention", inner)

    def _serve_hold(self, bucket: Bucket, key: str, query: dict[str, str], body: bytes) -> None:
        if self.command == "PUT":
            self.store.hold(bucket, key, query.get("versionId"), _text(body, "Status"))
            return
        version = self.store.version(bucket, key, query.get("versionId"))
        if not bucket.locks and self.store.strict("get_legal_hold_invalid_bucket"):
            raise S3Refusal(400, "InvalidRequest")
        shown = version.hold if self.store.strict("get_legal_hold") else "OFF"
        self._tell("LegalHold", f"<Status>{shown or 'OFF'}</Status>")

    def _begin_upload(self, bucket: Bucket, key: str, query: dict[str, str], body: bytes) -> None:
        del query, body
        upload_id = f"upload{len(bucket.uploads) + 1}"
        bucket.uploads[upload_id] = Upload(key, self._wanted())
        self._tell("InitiateMultipartUploadResult", f"<UploadId>{upload_id}</UploadId>")

    def _serve_upload(self, bucket: Bucket, key: str, query: dict[str, str], body: bytes) -> None:
        upload = bucket.uploads.get(query["uploadId"])
        if upload is None:
            raise S3Refusal(404, "NoSuchUpload")
        if self.command == "PUT":
            upload.parts[int(query["partNumber"])] = body
            self.answer_headers["ETag"] = Version("", body).etag
        elif self.command == "DELETE":
            del bucket.uploads[query["uploadId"]]
            self.answer_status = 204
        else:
            pieces = [piece for _, piece in sorted(upload.parts.items())]
            if any(len(piece) < PART_BYTES_MIN for piece in pieces[:-1]):
                raise S3Refusal(400, "EntityTooSmall")
            made = self.store.put(bucket, key, b"".join(pieces), upload.wanted, in_parts=True)
            del bucket.uploads[query["uploadId"]]
            self._tell("CompleteMultipartUploadResult", f"<Key>{escape(key)}</Key><ETag>{made.etag}</ETag>")
            self._tell_put(bucket, made)

    def _tell(self, element: str, inner: str) -> None:
        self.answer_body = f'<?xml version="1.0"?><{element} {XMLNS}>{inner}</{element}>'.encode()
        self.answer_headers["Content-Type"] = "application/xml"

    def _tell_put(self, bucket: Bucket, version: Version) -> None:
        self.answer_headers["ETag"] = version.etag
        if bucket.versioning is not None:
            self.answer_headers["x-amz-version-id"] = version.id

    def _wanted(self) -> Wanted:
        until = self.headers.get("x-amz-object-lock-retain-until-date")
        return Wanted(
            self.headers.get("x-amz-object-lock-mode"),
            None if until is None else _moment(until),
            self.headers.get("x-amz-object-lock-legal-hold"),
        )

    def _bypass(self) -> bool:
        return self.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"


def _text(body: bytes, name: str) -> str:
    """Return the text of the first element of a name, "" when there is none."""
    found: Any = ElementTree.fromstring(body).find(f".//{{*}}{name}")
    return "" if found is None else found.text or ""


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _unchunked(body: bytes) -> bytes:
    """Take the lengths and signatures of aws-chunked out of a body."""
    data = b""
    while body:
        line, _, body = body.partition(b"\r\n")
        length = int(line.partition(b";")[0] or b"0", 16)
        if length == 0:
            break
        data, body = data + body[:length], body[length + 2 :]
    return data
