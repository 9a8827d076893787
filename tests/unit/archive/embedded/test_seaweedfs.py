"""The embedded S3 server: only its S3 port serves data, and it survives being killed."""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from archive.embedded.seaweedfs import PORT_NAMES, EmbeddedSeaweed, program
from archive.embedded.signed_request import S3Endpoint, request

NOW = lambda: datetime.now(UTC)  # noqa: E731 - the store compares it with its own clock


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedSeaweed]:
    server = EmbeddedSeaweed(tmp_path_factory.mktemp("seaweedfs"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def endpoint(server: EmbeddedSeaweed) -> S3Endpoint:
    assert server._endpoint is not None
    return server._endpoint


def put(endpoint: S3Endpoint, name: str, body: bytes) -> int:
    request(endpoint, "PUT", "/sample", NOW())
    return request(endpoint, "PUT", f"/sample/{name}", NOW(), body)[0]


def knock(port: int, method: str, path: str) -> tuple[int, bytes]:
    """Send an unauthenticated request and return the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_a_signed_request_is_served_and_a_wrong_key_is_refused(endpoint: S3Endpoint) -> None:
    """Credentials are really checked."""
    assert put(endpoint, "a", b"body") == 200
    assert request(endpoint, "GET", "/sample/a", NOW()) == (200, b"body")
    stranger = S3Endpoint(endpoint.url, endpoint.access_key, "wrong")
    assert request(stranger, "GET", "/sample/a", NOW())[0] == 403


@pytest.mark.parametrize("part", ["master", "volume", "filer"])
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
@pytest.mark.parametrize(
    "path", ["/buckets/sample/b", "/1,01637037d6", "/dir/assign", "/dir/lookup?fileId=1,01637037d6"]
)
def test_nothing_but_the_s3_port_reads_writes_or_deletes(
    server: EmbeddedSeaweed, endpoint: S3Endpoint, part: str, method: str, path: str
) -> None:
    """Measured before: an open filer deletes an object under a COMPLIANCE lock."""
    assert put(endpoint, "b", b"locked") == 200
    status, body = knock(server.ports[part], method, path)
    assert status in (400, 401, 404, 405), body
    assert b"locked" not in body
    assert request(endpoint, "GET", "/sample/b", NOW()) == (200, b"locked")


def test_grpc_wants_our_certificate(server: EmbeddedSeaweed, tmp_path: Path) -> None:
    """The administration shell without it reaches nothing."""
    master = f"127.0.0.1:{server.ports['master']}.{server.ports['master-grpc']}"
    filer = f"127.0.0.1:{server.ports['filer']}.{server.ports['filer-grpc']}"
    shell = subprocess.Popen(
        [str(program()), "shell", f"-master={master}", f"-filer={filer}"],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        told = shell.communicate(b"fs.ls /buckets\n", timeout=4)[0]
    except subprocess.TimeoutExpired:
        shell.kill()
        told = shell.communicate()[0]
    assert b"sample" not in told
    assert b"earwitness-readiness" not in told


def test_it_listens_on_loopback_only_and_on_no_other_port(server: EmbeddedSeaweed) -> None:
    """Fixed side ports would let two servers on one machine collide."""
    listening = [
        c.laddr for c in psutil.Process(server.process_id).net_connections("inet") if c.status == "LISTEN"
    ]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == {server.ports[name] for name in PORT_NAMES}


def test_secrets_and_sockets_are_for_us_alone(server: EmbeddedSeaweed) -> None:
    """Other accounts of the machine can't read keys or talk to a socket."""
    for name in ("security.toml", "s3.json", "key.pem", "ports.json"):
        assert (server.directory / name).stat().st_mode & 0o777 == 0o600, name
    sockets = [
        *Path("/tmp").glob(f"seaweedfs-*-grpc-{server.ports['filer-grpc']}.sock"),
        *server.directory.glob("*.sock"),
    ]
    assert sockets
    assert all(path.stat().st_mode & 0o077 == 0 for path in sockets)


def test_every_write_is_synced_to_disk(server: EmbeddedSeaweed) -> None:
    """The rule that makes the volume server call fsync for each object stands for all buckets."""
    master = f"127.0.0.1:{server.ports['master']}.{server.ports['master-grpc']}"
    filer = f"127.0.0.1:{server.ports['filer']}.{server.ports['filer-grpc']}"
    told = subprocess.run(
        [str(program()), "shell", f"-master={master}", f"-filer={filer}"],
        input="fs.configure\n",
        capture_output=True,
        text=True,
        timeout=30,
        cwd=server.directory,
        env=server._environment(),
        check=True,
    ).stdout.replace(" ", "")
    assert '"locationPrefix":"/buckets/"' in told
    assert '"fsync":true' in told


def test_an_acknowledged_object_survives_kill_9_and_the_address_stays(
    server: EmbeddedSeaweed, endpoint: S3Endpoint
) -> None:
    """The next start needs no hand, and clients need no new address."""
    ports = dict(server.ports)
    assert put(endpoint, "kept", b"k" * 300_000) == 200
    server.kill()
    assert not server.running()
    again = server.start()
    assert (again, server.ports) == (endpoint, ports)
    status, body = request(again, "GET", "/sample/kept", NOW())
    assert status == 200
    assert body == (b"k" * 300_000)[: len(body)]


def test_an_orderly_stop_leaves_no_process_and_no_socket(tmp_path: Path) -> None:
    """Also in /tmp, where the program puts sockets of its own accord."""
    server = EmbeddedSeaweed(tmp_path)
    try:
        server.start()
        ports = server.ports
    finally:
        server.stop()
    assert not server.running()
    assert not list(Path("/tmp").glob(f"seaweedfs-*-grpc-{ports['s3-grpc']}.sock"))
