"""The client of an S3 endpoint, with the options everything of ours speaks to one by.

Rules: path addresses, so that a store without names in DNS serves; checksums are the
ones we name ourselves. Not here: what is asked of it (`s3`, `key_bucket`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def s3_client(
    endpoint: str,
    access_key: str,
    secret_key: str,
    *,
    region: str,
    timeout_s: float,
    attempts: int,
    connections_max: int,
) -> S3Client:
    """Return a client, safe to share among threads; nothing is connected yet."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=timeout_s,
            read_timeout=timeout_s,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=connections_max,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
