"""What was said, who said it and how it sounds can't be read from any disk: journal, bucket, database."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tink
from tink import cleartext_keyset_handle, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

from archive.data_key import object_binding, open_data_key
from archive.model import ObjectKind, RecordingId, TenantId
from archive.record import RecordHeader, split
from keys.errors import SealBroken
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.root import open_root
from keys.streaming_aead import CIPHERTEXT_SEGMENT_BYTES, SealPin, open_sealed
from tests import at_rest
from tests.acceptance.test_what_was_said_is_what_is_heard import decoded
from tests.at_rest import Needle
from tests.conftest import ANNA
from tests.raw_peer import RawPeer
from tests.running_service import RunningService

CALLEE = "+31612345678"
TALK_S = 12.0
FLAC_BEGINS = b"fLaC\x00\x00\x00\x22"
OPUS_BEGINS = b"OpusHead"
SEEN_OCTETS = 48


def needles_of(patterns: list[bytes]) -> list[Needle]:
    """Return what the audio would look like as A-law, as PCM16 of either byte order, as FLAC or as Opus."""
    found = [Needle("a FLAC stream", FLAC_BEGINS), Needle("an Opus stream", OPUS_BEGINS)]
    for octets in patterns:
        pcm = decoded(octets)
        found.append(Needle("A-law", octets[:SEEN_OCTETS]))
        found.append(Needle("PCM16", pcm.tobytes()[:SEEN_OCTETS]))
        found.append(Needle("PCM16 big-endian", pcm.byteswap().tobytes()[:SEEN_OCTETS]))
    return found


class Spoken:
    """A call with audio that nothing else sounds like, archived; and what was found while it ran."""

    def __init__(self, service: RunningService) -> None:
        random = np.random.default_rng(int(secrets.token_hex(4), 16))
        self.patterns = [random.integers(0, 256, 160, np.uint8).tobytes() for _ in range(3)]
        self.mark = secrets.token_hex(6)
        self.name = f"Specht{self.mark}"
        with RawPeer(service.sip_port, call_id=f"spoken-{self.mark}") as peer:
            assert peer.call(ANNA, CALLEE, name=self.name).status == 200
            peer.talk(self.patterns, TALK_S)
            while_it_ran = [(str(path), path.read_bytes()) for path in journal(service)]
            self.journalled = sum(len(octets) for _, octets in while_it_ran)
            self.hits_while_it_ran = at_rest.hits(while_it_ran, [*needles_of(self.patterns), *self.words])
            assert peer.ask("BYE").status == 200
        self.recording = service.recording_of(peer.call_id)

    @property
    def words(self) -> list[Needle]:
        """Who spoke, and by which Call-ID."""
        return at_rest.text(self.name, f"spoken-{self.mark}")


def journal(service: RunningService) -> Iterator[Path]:
    """Yield the files of the journal."""
    return (path for path in (service.directory / "journal").rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def spoken(service: RunningService) -> Spoken:
    """One call for all tests of this module."""
    return Spoken(service)


def test_the_running_call_is_sealed_in_the_journal(service: RunningService, spoken: Spoken) -> None:
    """Audio, names and Call-ID; and it is there, so that nothing is lost."""
    assert spoken.journalled > TALK_S * 16_000
    assert spoken.hits_while_it_ran == []


def test_the_audio_is_nowhere_when_it_was_archived(service: RunningService, spoken: Spoken) -> None:
    """C1: in no file, log, dump or object, in none of the forms it had in memory."""
    # Fetched once in every form, so that what a listener leaves behind is looked at too.
    heard = service.get(f"/v1/recordings/{spoken.recording['id']}/audio?format=flac")
    assert heard.body.startswith(FLAC_BEGINS)
    assert service.get(f"/v1/recordings/{spoken.recording['id']}/audio?format=wav").status == 200
    assert OPUS_BEGINS in service.get(f"/v1/recordings/{spoken.recording['id']}/audio?format=opus").body
    assert at_rest.hits(at_rest.everything(service), needles_of(spoken.patterns)) == []


def test_the_search_itself_finds_what_is_there(service: RunningService, spoken: Spoken) -> None:
    """The database alone knows the Call-ID and the name; a search that finds nothing proves nothing."""
    found = at_rest.hits(at_rest.everything(service), spoken.words)
    assert {place for place in found if place.endswith("the database")} == {
        f"{needle.name} in the database" for needle in spoken.words
    }
    allowed = (f" in {service.directory}/postgres/", " in the database")
    assert [item for item in found if not any(place in item for place in allowed)] == []
    disguised = [("disguised", b"xx" + spoken.patterns[0].hex().encode())]
    assert at_rest.hits(disguised, needles_of(spoken.patterns))


def test_the_journal_holds_no_key_of_an_archived_call(service: RunningService, spoken: Spoken) -> None:
    """Its slot was overwritten; only slots of running calls are left."""
    rows = at_rest.query(service, f"SELECT state FROM recordings WHERE id = '{spoken.recording['id']}'")
    assert rows == [("available",)]
    uid = bytes.fromhex(spoken.recording["id"].replace("-", ""))
    assert uid not in (service.directory / "journal" / "slots").read_bytes()


# The objects themselves.


def sealed_objects(service: RunningService, spoken: Spoken) -> dict[ObjectKind, bytes]:
    """Return the objects of the recording as they lie in the bucket."""
    wanted = f"{service.tenant_id}/{spoken.recording['id']}/"
    return {
        ObjectKind(key.removeprefix(wanted)): octets
        for key, octets in at_rest.objects(service)
        if key.startswith(wanted)
    }


def pin_of(header: RecordHeader, kind: ObjectKind) -> SealPin:
    """Return what the header says of an object."""
    stored = next(item for item in header.objects if item.kind is kind)
    return SealPin(stored.plaintext_bytes, stored.ciphertext_bytes, stored.segments, stored.commitment)


def data_key(service: RunningService, header: RecordHeader, recording_id: str) -> bytes:
    """Unwrap the data key as a rebuild of the catalogue does: from keyring, key store and bucket."""
    settings = at_rest.environment(service)
    passphrase = Path(settings["EARWITNESS_KEYRING_PASSPHRASE_FILE"]).read_bytes()
    store = DirectoryKeyStore(Path(settings["EARWITNESS_KEY_STORE"].removeprefix("dir:")))
    vault = KekVault(open_root(settings["EARWITNESS_KEYRING"], passphrase), store)
    place = TenantId(service.tenant_id), RecordingId(recording_id)
    return open_data_key(vault, *place, header.kek_id, header.wrapped_key).key


def tink_opens(key: bytes, associated_data: bytes, ciphertext: bytes) -> bytes:
    """Open an object by Google's own implementation; raises what it raises."""
    streaming_aead.register()
    parameters = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=CIPHERTEXT_SEGMENT_BYTES,
        derived_key_size=32,
        hkdf_hash_type=common_pb2.SHA256,
    )
    value = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, params=parameters, key_value=key)
    data = tink_pb2.KeyData(
        type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
        value=value.SerializeToString(),
        key_material_type=tink_pb2.KeyData.SYMMETRIC,
    )
    item = tink_pb2.Keyset.Key(
        key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW
    )
    keyset = tink_pb2.Keyset(primary_key_id=1, key=[item])
    handle = cleartext_keyset_handle.read(tink.BinaryKeysetReader(keyset.SerializeToString()))
    primitive = handle.primitive(streaming_aead.StreamingAead)
    with primitive.new_decrypting_stream(io.BytesIO(ciphertext), associated_data) as stream:
        return bytes(stream.read())


def test_another_implementation_opens_the_objects_with_the_key_and_nothing_else(
    service: RunningService, spoken: Spoken
) -> None:
    """C2, C3: Tink reads the FLAC with the unwrapped key; not truncated, altered, swapped or of another tenant."""
    sealed = sealed_objects(service, spoken)
    assert set(sealed) == set(ObjectKind)
    header, _ = split(sealed[ObjectKind.RECORD])
    key = data_key(service, header, spoken.recording["id"])
    tenant, recording = TenantId(service.tenant_id), RecordingId(spoken.recording["id"])
    audio = sealed[ObjectKind.AUDIO]
    assert len(audio) > 2 * CIPHERTEXT_SEGMENT_BYTES

    def binding(kind: ObjectKind = ObjectKind.AUDIO, of: str = tenant) -> bytes:
        return object_binding(TenantId(of), recording, kind)

    flac = tink_opens(key, binding(), audio)
    assert flac == service.get(f"/v1/recordings/{recording}/audio?format=flac").body
    for kind in (ObjectKind.PEAKS, ObjectKind.TIMELINE, ObjectKind.METADATA):
        assert tink_opens(key, binding(kind), sealed[kind])
    second = slice(CIPHERTEXT_SEGMENT_BYTES, 2 * CIPHERTEXT_SEGMENT_BYTES)
    altered = bytearray(audio)
    altered[len(audio) // 2] ^= 1
    broken = {
        "cut at a segment": (binding(), audio[: 2 * CIPHERTEXT_SEGMENT_BYTES]),
        "cut inside a segment": (binding(), audio[:-100]),
        "a segment left out": (binding(), audio[: second.start] + audio[second.stop :]),
        "altered": (binding(), bytes(altered)),
        "of another kind": (binding(), sealed[ObjectKind.PEAKS]),
        "of another tenant": (binding(of="another-tenant"), audio),
    }
    for what, (associated_data, octets) in broken.items():
        with pytest.raises(Exception, match=r"."):
            tink_opens(key, associated_data, octets)
        with pytest.raises(SealBroken):
            open_sealed(key, associated_data, octets, pin_of(header, ObjectKind.AUDIO))
        assert what
    with pytest.raises(Exception, match=r"."):
        tink_opens(secrets.token_bytes(32), binding(), audio)


def test_a_longer_object_is_not_what_was_pinned(service: RunningService, spoken: Spoken) -> None:
    """Length and number of segments stand outside the object, so that no end can be forged."""
    sealed = sealed_objects(service, spoken)
    header, _ = split(sealed[ObjectKind.RECORD])
    key, pin = data_key(service, header, spoken.recording["id"]), pin_of(header, ObjectKind.AUDIO)
    place = TenantId(service.tenant_id), RecordingId(spoken.recording["id"])
    associated_data = object_binding(*place, ObjectKind.AUDIO)
    assert len(open_sealed(key, associated_data, sealed[ObjectKind.AUDIO], pin)) == pin.plaintext_bytes
    with pytest.raises(SealBroken):
        open_sealed(key, associated_data, sealed[ObjectKind.AUDIO], replace(pin, segments=pin.segments + 1))
