"""The search that proves that something is nowhere finds it at each place where it could be.

A marker tone is planted in the journal, in objects, in the database and in a log of a
running service, and found there; in the journal only as long as a key opens it.
"""

from __future__ import annotations

import base64
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from archive.catalogue.migrate import DATABASE
from keys.local_seal import seal_whole
from keys.node_key import load_or_create
from keys.root import open_root
from recorder import outbox
from recorder.journal.aside import aside_name
from recorder.journal.reader import read_states, scan_files
from recorder.journal.set_aside import set_aside
from recorder.journal.slots import SLOT_BYTES, SlotsFile
from tests import at_rest
from tests.at_rest import PACKET_OCTETS, decoded, decrypted_journal, found_in, marker_tone
from tests.conftest import ANNA
from tests.raw_peer import RawPeer
from tests.running_service import RunningService, eventually

CALLEE = "+31612345678"
TALK_S = 3.0
SEED = secrets.randbits(32)
SPOKEN = {"caller and callee": marker_tone(TALK_S, 440, SEED)}
OTHER = {"another tone": marker_tone(TALK_S, 441, SEED), "another seed": marker_tone(TALK_S, 440, SEED + 1)}


def packets(tone: bytes) -> list[bytes]:
    return [tone[at : at + PACKET_OCTETS] for at in range(0, len(tone), PACKET_OCTETS)]


# The tones.


def test_every_packet_of_a_tone_is_found_in_every_spelling() -> None:
    """Also a quarter of a packet; and it is another one each time, so that none is taken for a repetition."""
    tone = SPOKEN["caller and callee"]
    assert len(tone) == TALK_S * 8000
    assert len(set(packets(tone))) == TALK_S * 50
    for packet in [*packets(tone)[:10], packets(tone)[3][40:100]]:
        samples = decoded(packet)
        spelled = {
            "A-law": packet,
            "PCM16": samples.tobytes(),
            "PCM16 big-endian": samples.byteswap().tobytes(),
            "hex": packet.hex().encode(),
            "HEX": packet.hex().upper().encode(),
            **{f"base64 {at}": base64.b64encode(bytes(at) + packet) for at in range(3)},
            "PCM16 in hex": samples.tobytes().hex().encode(),
        }
        for name, octets in spelled.items():
            assert found_in(SPOKEN, [(name, b"before" + octets + b"after")]), name
            assert not found_in(OTHER, [(name, octets)]), name


def test_a_tone_is_the_same_each_time_and_like_no_other() -> None:
    """So that two processes of a test know the same tone by its name."""
    assert marker_tone(1, 440, SEED) == SPOKEN["caller and callee"][:8000]
    assert found_in(SPOKEN | OTHER, [("a place", OTHER["another tone"])]) == ["another tone in a place"]


def test_a_tone_has_all_octets_in_it() -> None:
    """Nothing that codes silence or a sine could be equal to it by chance."""
    assert len(np.unique(np.frombuffer(marker_tone(10, 440, SEED), np.uint8))) == 256


# The places.


class Spoken:
    """A call whose audio is a tone: what opened while it ran, and the recording of it."""

    def __init__(self, service: RunningService, directory: Path) -> None:
        self.call_id = f"marked-{secrets.token_hex(6)}"
        tone = SPOKEN["caller and callee"]
        with RawPeer(service.sip_port, call_id=self.call_id) as peer:
            assert peer.call(ANNA, CALLEE).status == 200
            peer.talk(packets(tone), TALK_S)
            self.found = eventually(lambda: found_in(SPOKEN, decrypted_journal(service.directory)), "audio")
            self.seized = directory / "seized"
            (self.seized / "journal").mkdir(parents=True)
            shutil.copy(service.directory / "service.json", self.seized)
            shutil.copytree(service.directory / "journal", self.seized / "journal", dirs_exist_ok=True)
            assert peer.ask("BYE").status == 200
        self.recording = service.recording_of(self.call_id)


@pytest.fixture(scope="module")
def spoken(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    return Spoken(service, tmp_path_factory.mktemp("seized"))


@pytest.fixture
def seized(spoken: Spoken, tmp_path: Path) -> Path:
    """A copy of the journal, with the call under way, that a test may change."""
    shutil.copytree(spoken.seized, tmp_path / "service")
    return tmp_path / "service"


@pytest.fixture
def slots(seized: Path, service: RunningService) -> Iterator[SlotsFile]:
    made = SlotsFile(seized / "journal" / "slots", node_key(seized, service))
    made.open()
    yield made
    made.close()


def node_key(seized: Path, service: RunningService) -> bytes:
    environment = at_rest.environment(service)
    passphrase = Path(environment["EARWITNESS_KEYRING_PASSPHRASE_FILE"]).read_bytes()
    return load_or_create(
        seized / "journal" / "node.key", open_root(environment["EARWITNESS_KEYRING"], passphrase)
    )


def test_a_running_call_is_found_in_the_journal(spoken: Spoken, seized: Path) -> None:
    """With its audio and its state; on the disk itself there is nothing to find."""
    assert all(", audio" in place for place in spoken.found)
    places = list(decrypted_journal(seized))
    assert found_in(SPOKEN, places)
    assert not found_in(OTHER, places)
    assert at_rest.hits(places, at_rest.text(spoken.call_id))
    raw = [(name, octets) for name, octets in places if " at " not in name and "opened" not in name]
    assert {name.removeprefix("journal ") for name, _ in raw} >= {"slots", "node.key"}
    assert not found_in(SPOKEN, raw)
    assert not at_rest.hits(raw, at_rest.text(spoken.call_id))


def test_a_call_set_aside_is_found_in_its_copy(seized: Path, slots: SlotsFile) -> None:
    """The copy alone; and a draft of it that a crash left is looked at too."""
    journal = seized / "journal"
    states = read_states(journal, slots.live())
    uid = next(uid for uid, state in states.items() if b"marked-" in state)
    set_aside(journal, uid, slots.live()[uid])
    for name in scan_files(journal):
        (journal / name).unlink()
    slots.close()
    assert found_in(SPOKEN, decrypted_journal(seized))
    (journal / aside_name(uid)).rename((journal / aside_name(uid)).with_suffix(".draft"))
    assert found_in(SPOKEN, decrypted_journal(seized))


def test_a_call_whose_slot_was_overwritten_is_not_found(seized: Path) -> None:
    """Its frames are all there: the keys are what the search goes by, not what the files say."""
    path = seized / "journal" / "slots"
    path.write_bytes(bytes(path.stat().st_size // SLOT_BYTES * SLOT_BYTES))
    assert not found_in(SPOKEN, decrypted_journal(seized))


def test_what_lies_in_the_journal_in_the_clear_or_under_the_node_key_is_found(
    seized: Path, service: RunningService
) -> None:
    """A crash file, an outcome that waits: any file of the directory."""
    tone = SPOKEN["caller and callee"]
    path = seized / "journal" / "slots"
    path.write_bytes(bytes(path.stat().st_size))
    (seized / "journal" / "core").write_bytes(b"what a process left" + tone[500:700])
    assert found_in(SPOKEN, decrypted_journal(seized)) == ["caller and callee in journal core"]
    (seized / "journal" / "core").unlink()
    sealed = seal_whole(node_key(seized, service), tone[:200], outbox._CONTEXT)
    (seized / "journal" / "outbox" / "x.outcome").write_bytes(sealed)
    assert found_in(SPOKEN, decrypted_journal(seized)) == [
        "caller and callee in journal outbox/x.outcome, opened"
    ]


def test_a_recording_is_found_in_the_objects(service: RunningService, spoken: Spoken) -> None:
    """In the samples of both channels, and its metadata in the clear."""
    places = list(at_rest.sealed_objects(service))
    found = found_in(SPOKEN, places)
    audio = f"object {service.tenant_id}/{spoken.recording['id']}/audio"
    assert {item.partition(" in ")[2] for item in found} == {f"{audio}, channel 0", f"{audio}, channel 1"}
    assert not found_in(OTHER, places)
    kinds = {name.rpartition("/")[2] for name, _ in places if spoken.recording["id"] in name}
    assert kinds >= {"audio", "peaks", "timeline", "metadata", "record"}
    assert at_rest.hits(places, at_rest.text(spoken.call_id))
    assert not found_in(SPOKEN, at_rest.objects(service))


def test_what_stands_in_the_database_is_found(service: RunningService) -> None:
    """As octets in a column, and as a text in base64."""
    tone = SPOKEN["caller and callee"][:PACKET_OCTETS]
    for kind, value in (("bytea", f"'\\x{tone.hex()}'"), ("text", f"'{base64.b64encode(tone).decode()}'")):
        with at_rest.connect(service, DATABASE) as connection:
            connection.execute(f"CREATE TABLE planted AS SELECT {value}::{kind} AS what".encode())
        try:
            dump = [("the database", at_rest.database_dump(service))]
            assert found_in(SPOKEN, dump) == ["caller and callee in the database"]
            assert not found_in(OTHER, dump)
        finally:
            with at_rest.connect(service, DATABASE) as connection:
                connection.execute("DROP TABLE planted")


def test_what_stands_in_a_log_is_found(service: RunningService) -> None:
    """In what a role logs, and in what it prints."""
    places = dict(at_rest.logs(service))
    assert any(b"recorder ready" in octets for octets in places.values())
    assert not found_in(SPOKEN, places.items())
    tone = SPOKEN["caller and callee"][:PACKET_OCTETS]
    with service.directory.with_suffix(".out").open("ab") as file:
        before = file.tell()
        file.write(tone.hex().encode())
        file.flush()
        try:
            assert found_in(SPOKEN, at_rest.logs(service)) == [
                f"caller and callee in log {service.directory.name}.out"
            ]
        finally:
            file.truncate(before)


def test_all_places_are_looked_at_together(service: RunningService, spoken: Spoken) -> None:
    """One call of it is the whole search."""
    places = [name for name, _ in at_rest.opened(service)]
    for begin in ("journal slots", f"object {service.tenant_id}/{spoken.recording['id']}/audio", "log "):
        assert any(name.startswith(begin) for name in places), begin
    assert "the database" in places
