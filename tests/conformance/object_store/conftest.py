"""A real SeaweedFS for the conformance suite, started once and always stopped."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from archive.embedded.seaweedfs import EmbeddedSeaweed
from archive.embedded.signed_request import S3Endpoint
from archive.store.s3 import ObjectStore

OpenStore = Callable[..., ObjectStore]


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Endpoint]:
    server = EmbeddedSeaweed(tmp_path_factory.mktemp("seaweed"))
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture
def open_store() -> Iterator[OpenStore]:
    """A maker of stores on new buckets, whose connections are closed after the test."""
    with ExitStack() as stack:

        def make(server: S3Endpoint, bucket: str = "", **options: object) -> ObjectStore:
            name = bucket or f"bucket-{secrets.token_hex(6)}"
            store = ObjectStore(server.url, name, server.access_key, server.secret_key, **options)
            return stack.enter_context(closing(store))

        yield make
