"""One HTTP request to an S3 endpoint, signed by AWS Signature Version 4.

Only for asking a server of ours whether it is ready before `archive.store` talks to
it; so small that it needs no client library.

Source: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit

BODY_SIZE_BYTES_MAX = 64 * 1024  # answers to probes are short
REGION = "us-east-1"


@dataclass(frozen=True)
class S3Endpoint:
    """Where an object store listens, and the key pair that opens it."""

    url: str
    access_key: str
    secret_key: str = field(repr=False)


def request(
    endpoint: S3Endpoint, method: str, path: str, now: datetime, body: bytes = b"", *, timeout_s: float = 5.0
) -> tuple[int, bytes]:
    """Send one request and return status and the beginning of the body; raises OSError or HTTPException."""
    host = urlsplit(endpoint.url).netloc
    connection = http.client.HTTPConnection(host, timeout=timeout_s)
    try:
        connection.request(method, quote(path), body or None, headers(endpoint, method, path, now, body))
        response = connection.getresponse()
        return response.status, response.read(BODY_SIZE_BYTES_MAX)
    finally:
        connection.close()


def headers(endpoint: S3Endpoint, method: str, path: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that authenticate the request; `now` is aware, in UTC."""
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    digest = hashlib.sha256(body).hexdigest()
    signed = {"host": urlsplit(endpoint.url).netloc, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical = f"{method}\n{quote(path)}\n\n{lines}\n{names}\n{digest}"
    scope = f"{day}/{REGION}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{endpoint.secret_key}".encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"{endpoint.access_key}/{scope}"
    value = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return {**{name: signed[name] for name in sorted(signed)}, "Authorization": value}
