"""The portal as a process: it refuses to start unsafe, and stops when told to."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from archive.settings import Settings
from keys.local_keyring import LocalKeyring
from playback_portal import cli
from playback_portal.cli import run_portal

START_S_MAX = 120.0
SERVE = "import sys; from playback_portal.cli import run_portal; sys.exit(run_portal(sys.argv[1:]))"
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keyring") / "keyring"
    LocalKeyring.create(path, b"passphrase")
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(keyring: Path, port: int, **settings: str) -> dict[str, str]:
    """Settings whose database and store are not there."""
    nowhere = free_port()
    given = {
        "DATABASE_URL": f"postgresql+psycopg://u:p@127.0.0.1:{nowhere}/x",
        "S3_ENDPOINT": f"http://127.0.0.1:{nowhere}",
        "S3_ACCESS_KEY": "a",
        "S3_SECRET_KEY": "s",
        "KEYRING": f"file:{keyring}",
        "KEYRING_PASSPHRASE": "passphrase",
        "KEY_STORE": f"dir:{keyring.parent}",
        "PORTAL_LISTEN": f"127.0.0.1:{port}",
        **settings,
    }
    return {f"EARWITNESS_{name}": value for name, value in given.items()}


@contextmanager
def portal(settings: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the portal and end it, whatever happens."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EARWITNESS_")}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SERVE],
        cwd=ROOT,
        env={**inherited, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def await_status(process: subprocess.Popen[bytes], url: str, context: ssl.SSLContext | None = None) -> int:
    """Return the status of `url` as soon as anything answers there."""
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout and process.stdout.read().decode()
        try:
            with urllib.request.urlopen(url, timeout=10, context=context) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"Nothing answered at {url} within {START_S_MAX} s.")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_without_its_database_says_so_and_stops_when_told(
    keyring: Path, number: signal.Signals
) -> None:
    port = free_port()
    with portal(environment(keyring, port)) as process:
        assert await_status(process, f"http://127.0.0.1:{port}/livez") == 200
        assert await_status(process, f"http://127.0.0.1:{port}/readyz") == 503
        process.send_signal(number)
        output = process.communicate(timeout=START_S_MAX)[0].decode()
        assert process.returncode == 0, output
    assert "passphrase" not in output
    assert "Traceback" not in output
    first = json.loads(output.splitlines()[0])
    assert (first["event"], first["role"]) == ("portal listens", "portal")


def test_it_speaks_tls_itself_when_it_has_a_certificate(keyring: Path, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    port = free_port()
    settings = environment(keyring, port, PORTAL_TLS_CERT=str(certificate), PORTAL_TLS_KEY=str(key))
    context = ssl.create_default_context(cafile=str(certificate))
    with portal(settings) as process:
        assert await_status(process, f"https://localhost:{port}/livez", context) == 200


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"PORTAL_LISTEN": "0.0.0.0:1"}, "EARWITNESS_PORTAL_PROXY"),
        ({"KEYRING_PASSPHRASE": "wrong"}, "does not open with this passphrase"),
        ({"DATABASE_URL": ""}, "EARWITNESS_DATABASE_URL"),
        ({"KEYRING": "vault:x"}, "has the form vault:"),
        ({"PORTAL_TLS_CERT": "/nowhere", "PORTAL_TLS_KEY": "/nowhere"}, "PORTAL_TLS_CERT"),
    ],
)
def test_it_does_not_start_unsafe_or_without_its_keys_and_says_what_to_change(
    keyring: Path,
    changed: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "configure_logging", lambda *_: None)
    for name, value in environment(keyring, free_port(), **changed).items():
        monkeypatch.setenv(name, value)
    assert run_portal([]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_port_that_is_taken_is_named(
    keyring: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "configure_logging", lambda *_: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for name, value in environment(keyring, taken.getsockname()[1]).items():
            monkeypatch.setenv(name, value)
        assert run_portal([]) == 1
    assert "is another program there" in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_portal(["--help"])
    assert stopped.value.code == 0
    assert "Example: " in capsys.readouterr().out


def test_wrong_usage_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_portal(["--no-such-option"])
    assert stopped.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_without_a_certificate_there_is_no_tls() -> None:
    assert cli._tls(Settings()) is None


def self_signed(directory: Path) -> tuple[Path, Path]:
    """Write a certificate for localhost and its key."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return directory / "certificate.pem", directory / "key.pem"
