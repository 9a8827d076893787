"""`earwitness doctor`: looks at this machine and its service, and says what to change.

Checks are functions from settings to findings. A finding is fine, worth knowing, or
wrong; anything wrong makes the exit code 1.

Not here: repairing anything, and what is said of the bucket's lock (`archive.cli.storage_health`)
and of retention (`archive.cli.retention_health`).
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from archive.catalogue.engine import Catalogue
from archive.cli.finding import Finding, Verdict
from archive.cli.outcome import DONE, FAILED, add_json, parser, print_rows
from archive.cli.retention_health import retention_health
from archive.cli.service import add_data, service_of, settings_of
from archive.cli.storage_health import storage_health
from archive.cli.vault import open_key_bucket, open_key_store, open_keyring, open_store
from archive.clock import SystemClock
from archive.embedded.role import http_ready
from archive.errors import ArchiveError
from archive.settings import Settings
from keys import rotation
from keys.errors import KeysError
from keys.local_keyring import LocalKeyring

FILES_PER_CALL = 4  # RTP and RTCP of two streams (reference/performance.md 9)
FILES_BESIDE_CALLS = 512  # journals, connections, listeners
PORTS_PER_CALL = 4
RECEIVE_BUFFER_BYTES_MIN = 1024 * 1024  # 50 s of a G.711 stream; the default of 208 KiB holds 5 s
CLOCK_DIFFERENCE_S_MAX = 60.0  # beyond it nothing is archived (DESIGN 3)
CLOCK_DIFFERENCE_S_NOTED = 2.0  # NTP keeps machines within milliseconds
FREE_BYTES_MIN = 5 * 1024**3  # about a day of journal and a hundred hours of recordings


_DOCTOR = b"earwitness-doctor/1"


def run_doctor(arguments: list[str]) -> int:
    """Print every finding; returns 1 when something is wrong."""
    made = parser(
        "doctor", "Check this machine and the service on it.", "earwitness doctor --data /var/lib/earwitness"
    )
    add_data(made)
    add_json(made)
    options = made.parse_args(arguments)
    service = service_of(options)
    settings = settings_of(options)
    findings = [*host(settings), *services(settings)]
    if service is not None:
        findings += answering({"recorder": service.recorder_admin, "portal": service.portal_url})
    print_rows(
        [
            {"check": each.check, "verdict": str(each.verdict), "found": each.found, "advice": each.advice}
            for each in findings
        ],
        as_json=options.json,
    )
    return FAILED if any(each.verdict is Verdict.WRONG for each in findings) else DONE


def host(settings: Settings) -> Iterator[Finding]:
    """Check what the operating system gives us."""
    yield open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1], settings.sessions_max)
    yield receive_buffer(_kernel_number("net/core/rmem_max"))
    yield ports(settings.rtp_port_range, _ephemeral_ports(), _reserved_ports(), settings.sessions_max)
    place = _existing(settings.journal_dir)
    yield free_space(place, shutil.disk_usage(place).free)
    yield encryption(place, _device_ids(place))


def open_files(limit: int, sessions_max: int) -> Finding:
    """Check the hard limit of open files, to which the recorder raises its own."""
    needed = sessions_max * FILES_PER_CALL + FILES_BESIDE_CALLS
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return Finding("open files", Verdict.FINE, f"{limit} allowed, {needed} needed")
    return Finding(
        "open files",
        Verdict.WRONG,
        f"{limit} allowed, {needed} needed for {sessions_max} calls",
        f"ulimit -Hn {needed}, or LimitNOFILE={needed} in the systemd unit, or lower EARWITNESS_SESSIONS_MAX",
    )


def receive_buffer(bytes_max: int | None) -> Finding:
    """Check how long a stopped capture process loses nothing."""
    if bytes_max is None:
        return Finding("receive buffer", Verdict.NOTE, "unknown", "look at net.core.rmem_max")
    if bytes_max >= RECEIVE_BUFFER_BYTES_MIN:
        return Finding("receive buffer", Verdict.FINE, f"{bytes_max} bytes")
    return Finding(
        "receive buffer",
        Verdict.NOTE,
        f"{bytes_max} bytes: about 5 s of a stream",
        f"sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES_MIN * 4}",
    )


def ports(
    media: tuple[int, int], ephemeral: tuple[int, int], reserved: set[int], sessions_max: int
) -> Finding:
    """Check that the kernel does not give our media ports to others, and that they are enough."""
    first, last = media
    shared = range(max(first, ephemeral[0]), min(last, ephemeral[1]) + 1)
    if not reserved.issuperset(shared):
        return Finding(
            "media ports",
            Verdict.WRONG,
            f"{first}-{last} overlaps the range {ephemeral[0]}-{ephemeral[1]} of outgoing connections",
            f"set EARWITNESS_RTP_PORTS below {ephemeral[0]}, "
            f"or net.ipv4.ip_local_reserved_ports={first}-{last}",
        )
    calls = (last - first + 1) // PORTS_PER_CALL
    if calls < sessions_max:
        return Finding(
            "media ports",
            Verdict.NOTE,
            f"{first}-{last}: {calls} calls at once",
            f"widen EARWITNESS_RTP_PORTS for {sessions_max} calls, or lower EARWITNESS_SESSIONS_MAX",
        )
    return Finding("media ports", Verdict.FINE, f"{first}-{last}: {calls} calls at once")


def free_space(place: Path, free_bytes: int) -> Finding:
    """Check that the disk has room."""
    found = f"{free_bytes / 1024**3:.1f} GiB free at {place}"
    if free_bytes >= FREE_BYTES_MIN:
        return Finding("disk", Verdict.FINE, found)
    return Finding(
        "disk", Verdict.WRONG, found, "free some space: calls are refused when the journal can't be written"
    )


def encryption(place: Path, device_ids: Iterable[str]) -> Finding:
    """Check whether the volume is encrypted: PostgreSQL holds names and numbers in clear."""
    ids = list(device_ids)
    if any(each.startswith("CRYPT-") for each in ids):
        return Finding("encrypted volume", Verdict.FINE, f"{place} lies on an encrypted device")
    return Finding(
        "encrypted volume",
        Verdict.NOTE,
        f"no encryption seen below {place}",
        "audio is sealed by us; names and numbers in PostgreSQL need a LUKS volume or an encrypted disk",
    )


def services(settings: Settings) -> Iterator[Finding]:
    """Check database, object store with its clock, and keys."""
    yield _tried("database", "EARWITNESS_DATABASE_URL", lambda: _database(settings))
    yield _tried("object store", "EARWITNESS_S3_*", lambda: _store(settings))
    yield from _all_tried("locks of the bucket", "EARWITNESS_DATABASE_URL", lambda: storage_health(settings))
    yield from _all_tried("retention", "EARWITNESS_DATABASE_URL", lambda: retention_health(settings))
    yield _tried("keys", "EARWITNESS_KEYRING, EARWITNESS_KEY_STORE", lambda: _keys(settings))


def answering(addresses: dict[str, str]) -> Iterator[Finding]:
    """Check that the roles call themselves ready."""
    for name, url in addresses.items():
        if http_ready(f"{url}/readyz")(Path(), 0):
            yield Finding(name, Verdict.FINE, f"ready at {url}")
        else:
            yield Finding(
                name, Verdict.WRONG, f"not ready at {url}", f"look at {name}.log in the log directory"
            )


def clock_difference(seconds: float) -> Finding:
    """Judge the difference between our clock and the store's."""
    found = f"answers; clocks differ by {seconds:.0f} s"
    if seconds > CLOCK_DIFFERENCE_S_MAX:
        return Finding(
            "object store", Verdict.WRONG, found, "set both clocks by NTP: nothing is archived until then"
        )
    if seconds > CLOCK_DIFFERENCE_S_NOTED:
        return Finding("object store", Verdict.NOTE, found, "set both clocks by NTP")
    return Finding("object store", Verdict.FINE, found)


def _tried(check: str, setting: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except (ArchiveError, KeysError) as error:
        return Finding(check, Verdict.WRONG, str(error), f"check {setting}")


def _all_tried(check: str, setting: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except ArchiveError as error:
        return [Finding(check, Verdict.WRONG, str(error), f"check {setting}")]


def _database(settings: Settings) -> Finding:
    settings.require("database_url")
    catalogue = Catalogue(settings.database_url, timeout_s=settings.database_timeout_s)
    try:
        if catalogue.healthy():
            return Finding("database", Verdict.FINE, "answers")
        return Finding("database", Verdict.WRONG, "does not answer", "is PostgreSQL running? see its log")
    finally:
        catalogue.close()


def _store(settings: Settings) -> Finding:
    store = open_store(settings)
    try:
        if not store.healthy():
            return Finding("object store", Verdict.WRONG, "does not answer, or has no bucket", "see its log")
        return clock_difference(abs((store.clock() - SystemClock().now()).total_seconds()))
    finally:
        store.close()


def _keys(settings: Settings) -> Finding:
    root = open_keyring(settings)
    kind, _, place = settings.key_store.partition(":")
    if kind == "bucket":
        open_key_bucket(settings).require_forgetful()
    elif not os.access(place, os.W_OK):
        return Finding(
            "keys", Verdict.WRONG, f"{place} can't be written", "make it writable for the recorder"
        )
    # A root that is a service opens nothing before it is asked.
    root.unwrap(root.wrap(b"doctor", _DOCTOR), _DOCTOR)
    former = rotation.unfinished(open_key_store(settings), root) if isinstance(root, LocalKeyring) else 0
    if former:
        return Finding(
            "keys", Verdict.NOTE, f"{former} are wrapped by a former root key", "run earwitness keys rotate"
        )
    return Finding("keys", Verdict.FINE, f"the root ({root.kind}) answers, the key store can be written")


def _kernel_number(name: str) -> int | None:
    try:
        return int(Path("/proc/sys", name).read_text())
    except (OSError, ValueError):
        return None


def _ephemeral_ports() -> tuple[int, int]:
    try:
        first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    except (OSError, ValueError):
        return (32768, 60999)  # the kernel's default
    return int(first), int(last)


def _reserved_ports() -> set[int]:
    """Return the ports the kernel keeps from outgoing connections; it writes them as `8080,9000-9100`."""
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_reserved_ports").read_text().strip()
    except OSError:
        return set()
    ends = [part.partition("-") for part in text.split(",") if part]
    return {port for first, _, last in ends for port in range(int(first), int(last or first) + 1)}


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())


def _device_ids(place: Path) -> Iterator[str]:
    """Yield the device-mapper ids of the block device below `place` and of those it lies on."""
    device = place.stat().st_dev
    waiting = [Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")]
    while waiting:
        block = waiting.pop()
        uuid = block / "dm" / "uuid"
        if uuid.exists():
            yield uuid.read_text().strip()
        slaves = block / "slaves"
        waiting += list(slaves.iterdir()) if slaves.exists() else []
