"""What of a call can be read on the disks of a service: every file, the database and the bucket.

For tests that prove that something is nowhere. A needle is looked for as it is, as hex
and as base64, since dumps and documents write octets so.

Two ways to look: `everything` is what somebody has who steals the disks; `opened` is what
he has who takes the keys too: journal, objects, database and logs, with all that opens
under any key that is left. What was never to exist must be in neither.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
import numpy.typing as npt
import psutil
import psycopg
import soundfile
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg.conninfo import make_conninfo

from archive.catalogue.migrate import DATABASE
from archive.data_key import object_binding, open_data_key
from archive.embedded.postgres import PORT, SUPERUSER, programs, socket_directory
from archive.embedded.service_file import read_service
from archive.errors import NotFound, VerificationFailed
from archive.intent import Intent
from archive.model import ObjectKind, RecordingId, TenantId
from archive.record import split
from archive.store.s3 import ObjectStore
from keys.errors import SealBroken
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.local_seal import open_whole
from keys.node_key import load_or_create
from keys.root import Root, open_root
from keys.streaming_aead import SealPin, commitment, open_sealed, plaintext_length, segment_count
from recorder import directory_source, outbox
from recorder.journal.format import FrameHead, FrameKind, scan
from recorder.journal.reader import mapped
from recorder.journal.segment import SealError, audio_head, open_audio, unwrap_segment_key
from recorder.journal.slots import SlotsFile
from tests.running_service import RunningService

FILE_BYTES_MAX = 1 << 30
PACKET_OCTETS = 160
TAG_OCTETS = 24
"""Of a tone, in each 4 ms of it: long enough that the middle of its base64 can't come by chance."""

Place = tuple[str, bytes]


@dataclass(frozen=True)
class Needle:
    """Something that may be nowhere; `name` is for the message."""

    name: str
    octets: bytes

    @property
    def spellings(self) -> tuple[bytes, ...]:
        """The octets, and how a dump would write them."""
        # Of base64 only the middle is the same wherever in a text the octets begin.
        turned = [base64.b64encode(bytes(shift) + self.octets)[4:-4] for shift in range(3)]
        spelled = (self.octets, self.octets.hex().encode(), self.octets.hex().upper().encode(), *turned)
        return tuple(item for item in spelled if len(item) >= 8) or (self.octets,)


def text(*words: str) -> list[Needle]:
    """Return a needle for each word."""
    return [Needle(word, word.encode()) for word in words]


def environment(service: RunningService) -> dict[str, str]:
    """Return the settings of the service's roles."""
    found: dict[str, str] = json.loads((service.directory / "service.json").read_text())["environment"]
    return found


def superuser(service: RunningService) -> dict[str, str]:
    """Return how to connect as one whom no policy hides anything from."""
    directory = service.directory / "postgres"
    return {
        "host": str(socket_directory(directory)),
        "port": str(PORT),
        "user": SUPERUSER,
        "password": (directory / "superuser-password").read_text(),
    }


def connect(service: RunningService, database: str) -> psycopg.Connection[tuple[object, ...]]:
    """Return a connection of the superuser, on which each statement is a transaction of its own."""
    return psycopg.connect(make_conninfo(dbname=database, **superuser(service)), autocommit=True)


def checkpoint(service: RunningService) -> None:
    """Let PostgreSQL write everything to its files."""
    with connect(service, DATABASE) as connection:
        connection.execute("CHECKPOINT")


def query(service: RunningService, statement: str, database: str = DATABASE) -> list[tuple[object, ...]]:
    """Return the rows of a statement."""
    with connect(service, database) as connection:
        return list(connection.execute(statement.encode()).fetchall())


def database_dump(service: RunningService) -> bytes:
    """Return the whole database as SQL."""
    settings = superuser(service)
    done = subprocess.run(
        [
            str(programs() / "pg_dump"),
            *("--host", settings["host"], "--port", settings["port"], "--username", settings["user"]),
            *("--dbname", DATABASE, "--inserts"),
        ],
        env={"PGPASSWORD": settings["password"], "PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def load(service: RunningService, database: str, dump: bytes) -> None:
    """Run a dump in an empty database."""
    settings = superuser(service)
    done = subprocess.run(
        [
            str(programs() / "psql"),
            *("--host", settings["host"], "--port", settings["port"], "--username", settings["user"]),
            *("--dbname", database, "--quiet", "--set", "ON_ERROR_STOP=1"),
        ],
        env={"PGPASSWORD": settings["password"], "PATH": "/usr/bin:/bin"},
        input=dump,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def store_of(service: RunningService) -> ObjectStore:
    """Return a client of the service's bucket; close it."""
    settings = environment(service)
    return ObjectStore(
        settings["EARWITNESS_S3_ENDPOINT"],
        settings["EARWITNESS_S3_BUCKET"],
        settings["EARWITNESS_S3_ACCESS_KEY"],
        settings["EARWITNESS_S3_SECRET_KEY"],
        settings["EARWITNESS_S3_REGION"],
        sync_dir=None,
        lock=True,
    )


def objects(service: RunningService) -> Iterator[tuple[str, bytes]]:
    """Yield every version of every object of the bucket."""
    store = store_of(service)
    try:
        for version in store.versions(""):
            yield version.key, store.get(version.key, version.version_id)
    finally:
        store.close()


def files(service: RunningService) -> Iterator[Path]:
    """Yield every file the service has written or holds open, wherever it is."""
    since = psutil.Process(service.processes()[0].pid).create_time()
    held = {path for process in service.processes() for path in _open_files(process)}
    beside = [path for path in Path(tempfile.gettempdir()).iterdir() if _is_newer(path, since)]
    inside = [path for path in service.directory.rglob("*") if path.is_file()]
    written = [path for path in held if path.is_file() and not _is_program(path)]
    yield from dict.fromkeys([*inside, service.directory.with_suffix(".out"), *written, *beside])


def _open_files(process: psutil.Process) -> list[Path]:
    try:
        return [Path(item.path) for item in process.open_files()]
    except psutil.NoSuchProcess:
        return []


def _is_newer(path: Path, since: float) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and path.stat().st_mtime >= since - 1
    except OSError:
        return False


def _is_program(path: Path) -> bool:
    return path.suffix in {".py", ".pyc", ".so"} or path.parts[1] in {"usr", "proc", "dev", "sys"}


def hits(haystacks: Iterable[tuple[str, bytes]], needles: Iterable[Needle]) -> list[str]:
    """Return where a needle was found, as `needle in place`."""
    wanted = list(needles)
    return [
        f"{needle.name} in {place}"
        for place, octets in haystacks
        for needle in wanted
        if any(spelling in octets for spelling in needle.spellings)
    ]


def everything(service: RunningService) -> Iterator[tuple[str, bytes]]:
    """Yield all there is, by place: files after a checkpoint, the dump and the objects."""
    checkpoint(service)
    for path in files(service):
        try:
            if path.stat().st_size <= FILE_BYTES_MAX:
                yield str(path), path.read_bytes()
        except FileNotFoundError:
            continue
    yield "the database", database_dump(service)
    for key, octets in objects(service):
        yield f"object {key}", octets


def udp_ports(service: RunningService) -> set[int]:
    """Return every UDP port that a process of the service has bound."""
    found: set[int] = set()
    for process in service.processes():
        try:
            connections = process.net_connections(kind="udp")
        except psutil.NoSuchProcess:
            continue
        found |= {item.laddr.port for item in connections if item.laddr}
    return found


def rtp_ports(service: RunningService) -> set[int]:
    """Return the bound UDP ports of the service's RTP range."""
    first, last = (int(item) for item in service.rtp_ports.split("-"))
    return {port for port in udp_ports(service) if first <= port <= last}


# Marker tones.


def marker_tone(seconds: float, frequency: int, seed: int) -> bytes:
    """Return A-law octets of which every 4 ms are recognised wherever they stand, and like no other tone's.

    They are random, each packet of 20 ms another, with the tag of the tone five times in each.
    `frequency` is the name by which a test knows its tones apart: nobody listens to them.
    """
    random = np.random.default_rng((seed, frequency))
    tag = random.integers(0, 256, TAG_OCTETS, np.uint8)
    pieces = int(seconds * 50) * 5
    rest = random.integers(0, 256, (pieces, PACKET_OCTETS // 5 - TAG_OCTETS), np.uint8)
    return np.hstack((np.tile(tag, (pieces, 1)), rest)).tobytes()


def needles_of(markers: Mapping[str, bytes]) -> list[Needle]:
    """Return what to look for to find any 4 ms of each tone: as A-law, and as the samples it decodes to."""
    found: list[Needle] = []
    for name, tone in markers.items():
        samples = decoded(tone[:TAG_OCTETS])
        found.append(Needle(name, tone[:TAG_OCTETS]))
        found.append(Needle(f"{name} as PCM16", samples.tobytes()))
        found.append(Needle(f"{name} as PCM16 big-endian", samples.byteswap().tobytes()))
    return found


def found_in(markers: Mapping[str, bytes], haystacks: Iterable[Place]) -> list[str]:
    """Return where anything of a tone of `marker_tone` was found, by the name it has in `markers`."""
    return hits(haystacks, needles_of(markers))


def decoded(octets: bytes) -> npt.NDArray[np.int16]:
    """Decode A-law by libsndfile, which knows nothing of our tables."""
    samples, _ = soundfile.read(
        io.BytesIO(octets), dtype="int16", format="RAW", subtype="ALAW", samplerate=8000, channels=1
    )
    return np.asarray(samples, np.int16)


# What opens under the keys that are left.


def opened(service: RunningService) -> Iterator[Place]:
    """Yield all that opens: journal, objects, database and logs."""
    yield from decrypted_journal(service.directory)
    yield from sealed_objects(service)
    yield "the database", database_dump(service)
    yield from logs(service)


def logs(service: RunningService) -> Iterator[Place]:
    """Yield what the processes of a service wrote for its operator."""
    beside = service.directory.with_suffix(".out")
    inside = [path for path in service.directory.rglob("*") if path.is_file() and _is_log(path)]
    for path in (beside, *inside):
        with contextlib.suppress(FileNotFoundError):
            yield f"log {path.name}", path.read_bytes()


def _is_log(path: Path) -> bool:
    return ".log" in path.suffixes or path.parent.name in {"log", "logs"}


def _root(environment: Mapping[str, str]) -> Root:
    passphrase = Path(environment["EARWITNESS_KEYRING_PASSPHRASE_FILE"]).read_bytes()
    return open_root(environment["EARWITNESS_KEYRING"], passphrase)


def decrypted_journal(service_directory: Path) -> Iterator[Place]:
    """Yield every file of the journal of a service, running or not, and all in it that a live key opens.

    The node key comes from the keyring, as the recorder gets it, the call keys from every slot.
    Each frame is tried with each of them, whichever call it says it is of, and audio with each
    segment key they open; it comes as the payloads of its packets, one after the other.
    """
    journal = service_directory / "journal"
    node_key = load_or_create(journal / "node.key", _root(read_service(service_directory).environment))
    keys = [node_key, *_call_keys(journal, node_key).values()]
    ciphers = [AESGCM(key) for key in keys]
    paths = [path for path in journal.rglob("*") if path.is_file()]
    segments: dict[bytes, AESGCM] = {}
    for path in paths:
        name = f"journal {path.relative_to(journal)}"
        with contextlib.suppress(FileNotFoundError):
            content = path.read_bytes()
            yield name, content
            yield from _opened_whole(name, content, node_key)
        for head, body in _frames(path):
            if head.kind == FrameKind.SEGMENT_KEY:
                found = [unwrap_segment_key(cipher, head.uid, body) for cipher in ciphers]
                segments |= {segment.segment_id: AESGCM(segment.key) for segment in found if segment}
            for cipher in ciphers:
                for word in (b"state", b"copied"):
                    with contextlib.suppress(InvalidTag):
                        yield (
                            f"{name} at {head.offset}",
                            cipher.decrypt(body[:12], body[12:], word + head.uid),
                        )
    for path in paths:
        for head, body in _frames(path):
            if head.kind == FrameKind.AUDIO:
                facts = audio_head(body)
                with contextlib.suppress(KeyError, SealError):
                    record = open_audio(segments[facts.segment_id], head.uid, body, facts)
                    yield f"journal {path.relative_to(journal)} at {head.offset}, audio", record.payload


def _call_keys(journal: Path, node_key: bytes) -> dict[bytes, bytes]:
    """Return the key of every slot; from a copy, since the recorder holds the file."""
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(journal / "slots", directory)
        slots = SlotsFile(Path(directory) / "slots", node_key)
        slots.open()
        slots.close()
        return slots.live()


def _frames(path: Path) -> Iterator[tuple[FrameHead, bytes]]:
    """Yield every whole frame of a file, with its body; none of one that is no journal file, or is gone."""
    with mapped(path) as content:
        for head in scan(content) if content is not None else ():
            assert content is not None
            yield head, content[head.body]


def _opened_whole(name: str, content: bytes, node_key: bytes) -> Iterator[Place]:
    for context in (outbox._CONTEXT, directory_source._CONTEXT):
        with contextlib.suppress(SealBroken):
            yield f"{name}, opened", open_whole(node_key, content, context)


def sealed_objects(service: RunningService) -> Iterator[Place]:
    """Yield every version of every object as it is in the clear; audio also as the samples of each channel.

    Keys come from the catalogue, from the records in the bucket, and from intents. What
    opens under none is left out, but for an object of a recording that can be played.
    """
    settings = environment(service)
    store = DirectoryKeyStore(Path(settings["EARWITNESS_KEY_STORE"].removeprefix("dir:")))
    versions = list(objects(service))
    keys = _data_keys(service, versions, KekVault(_root(settings), store))
    rows = query(service, "SELECT id FROM recordings WHERE state = 'available'")
    playable = {str(recording_id) for (recording_id,) in rows}
    for key, octets in versions:
        found_at = _place_of(key)
        if found_at is None:
            # What is of no tenant, as the leaves of the audit log, stands in clear.
            yield f"object {key}", octets
            continue
        tenant_id, recording_id, _ = found_at
        place = TenantId(tenant_id), RecordingId(recording_id)
        found = [_opened_object(octets, place, data_key) for data_key in keys.get(recording_id, ())]
        clear = next((item for item in found if item is not None), None)
        assert clear is not None or recording_id not in playable, f"{key} does not open"
        if clear is not None:
            yield f"object {key}", clear
            yield from _channels(f"object {key}", clear)


def _place_of(key: str) -> tuple[str, str, str] | None:
    """Return tenant, recording and kind of the object at a key; None for what is of no tenant."""
    first, _, rest = key.partition("/")
    try:
        UUID(first)
    except ValueError:
        return None
    recording_id, kind = rest.split("/")
    return first, recording_id, kind


def _data_keys(service: RunningService, versions: list[Place], vault: KekVault) -> dict[str, set[bytes]]:
    """Return all data keys that any place knows of and whose KEK is left, by recording."""
    wrapped: set[tuple[str, str, str, bytes]] = set()
    for row in query(service, "SELECT tenant_id, id, kek_id, wrapped_key FROM recordings"):
        tenant_id, recording_id, kek_id, octets = row
        assert isinstance(octets, bytes)
        wrapped.add((str(tenant_id), str(recording_id), str(kek_id), octets))
    for key, octets in versions:
        tenant_id, recording_id, kind = _place_of(key) or ("", "", "")
        if kind == ObjectKind.RECORD.value:
            header, _ = split(octets)
            wrapped.add((tenant_id, recording_id, header.kek_id, header.wrapped_key))
    for path in (service.directory / "journal" / "intents").glob("*.intent"):
        with contextlib.suppress(FileNotFoundError):
            intent = Intent.from_json(path.read_bytes())
            wrapped.add((intent.tenant_id, intent.recording_id, intent.kek_id, intent.wrapped_key))
    keys: dict[str, set[bytes]] = {}
    for tenant_id, recording_id, kek_id, octets in wrapped:
        with contextlib.suppress(NotFound):
            opened_key = open_data_key(vault, TenantId(tenant_id), RecordingId(recording_id), kek_id, octets)
            keys.setdefault(recording_id, set()).add(opened_key.key)
    return keys


def _opened_object(octets: bytes, place: tuple[TenantId, RecordingId], key: bytes) -> bytes | None:
    """Open an object under a data key, whatever kind it is, by what it says of its own length."""
    with contextlib.suppress(VerificationFailed):
        octets = split(octets)[1]
    for kind in ObjectKind:
        binding = object_binding(*place, kind)
        with contextlib.suppress(SealBroken):
            length = plaintext_length(len(octets))
            pin = SealPin(length, len(octets), segment_count(length), commitment(key, binding))
            return open_sealed(key, binding, octets, pin)
    return None


def _channels(name: str, clear: bytes) -> Iterator[Place]:
    """Yield the samples of each channel of a FLAC; two tones that were mixed to one are in neither."""
    if clear.startswith(b"fLaC"):
        samples, _ = soundfile.read(io.BytesIO(clear), dtype="int16", always_2d=True)
        for channel, column in enumerate(np.asarray(samples, np.int16).T):
            yield f"{name}, channel {channel}", column.tobytes()
