"""Signature Version 4, against the reference implementation of botocore."""

from __future__ import annotations

from datetime import UTC, datetime

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from archive.embedded.signed_request import REGION, S3Endpoint, headers

ENDPOINT = S3Endpoint("http://127.0.0.1:8333", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOW = datetime(2026, 11, 22, 9, 30, 1, tzinfo=UTC)


@given(
    st.sampled_from(["GET", "PUT"]),
    st.from_regex(r"/[a-z0-9-]{0,20}(/[a-z0-9]{1,9})?", fullmatch=True),
    st.binary(max_size=99),
)
def test_the_signature_is_the_one_botocore_computes(method: str, path: str, body: bytes) -> None:
    """An independent implementation of the same document agrees."""
    ours = headers(ENDPOINT, method, path, NOW, body)
    request = AWSRequest(method, f"{ENDPOINT.url}{path}", headers={"host": "127.0.0.1:8333"}, data=body)
    request.context["timestamp"] = ours["x-amz-date"]
    request.headers["X-Amz-Date"] = ours["x-amz-date"]
    request.headers["X-Amz-Content-SHA256"] = ours["x-amz-content-sha256"]
    signer = S3SigV4Auth(Credentials(ENDPOINT.access_key, ENDPOINT.secret_key), "s3", REGION)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    assert ours["Authorization"].endswith(f"Signature={signer.signature(to_sign, request)}")


def test_the_secret_does_not_show() -> None:
    """Logs print such objects."""
    assert ENDPOINT.secret_key not in repr(ENDPOINT)
