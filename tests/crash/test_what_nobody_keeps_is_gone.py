"""A call on demand that nobody kept can't be opened any more, although its frames may lie on the disk for a while.

A journal file holds many calls, and stays for as long as one of them needs it. What
protects the others is that their keys are gone: here every key that is left is tried.
"""

from __future__ import annotations

import asyncio
import shutil
from asyncio import to_thread
from pathlib import Path

from archive.embedded.service_file import read_service
from keys.node_key import load_or_create
from keys.root import open_root
from recorder.client.call import Ending
from recorder.journal.reader import read_call, read_states, scan_files, segment_keys
from recorder.journal.slots import SlotsFile
from tests.conftest import ANNA, OLGA
from tests.crash.calls import QUICK_T1_S, Call, frozen, kill, until, waiting
from tests.running_service import RunningService


class Seizure:
    """The journal and its keys as somebody takes them who has everything of this machine."""

    def __init__(self, service: RunningService, to: Path) -> None:
        """Copy the journal of a service that runs, and open the slots with its own root."""
        self.journal = to
        shutil.copytree(service.directory / "journal", to)
        environment = read_service(service.directory).environment
        passphrase = Path(environment["EARWITNESS_KEYRING_PASSPHRASE_FILE"]).read_bytes()
        root = open_root(environment["EARWITNESS_KEYRING"], passphrase)
        self._node_key = load_or_create(to / "node.key", root)
        slots = SlotsFile(to / "slots", self._node_key)
        slots.open()
        self.call_keys = slots.live()
        slots.close()

    @property
    def calls(self) -> set[bytes]:
        """The calls that stand in any file."""
        return set().union(*scan_files(self.journal).values())

    def audio_bytes(self, uid: bytes, key: bytes) -> int:
        """Return how much audio of a call a key opens."""
        return sum(len(record.payload) for record in read_call(self.journal, uid, key))

    def opens_with_any(self, uid: bytes) -> bool:
        """Tell whether any key that is left opens anything of a call."""
        left = [self._node_key, *self.call_keys.values()]
        for other, key in self.call_keys.items():
            left += [segment.key for segment in segment_keys(self.journal, other, key).values()]
        return any(self.audio_bytes(uid, key) or read_states(self.journal, {uid: key}) for key in left)


async def test_a_call_nobody_kept_opens_with_no_key_that_is_left(
    crashing: RunningService, tmp_path: Path
) -> None:
    """Its neighbour in the same file is read, the call itself is not, though it was before the hang-up."""
    await until(lambda: waiting(crashing) == 0, "nothing else is in the journal")
    neighbour = await Call.begin(crashing, ANNA)
    unkept = await Call.begin(crashing, OLGA)
    await asyncio.sleep(3)
    before = await to_thread(Seizure, crashing, tmp_path / "before")
    placed = await unkept.end()
    assert (await to_thread(crashing.outcome_of, placed.call_id))["outcome"] == "not kept"
    after = await to_thread(Seizure, crashing, tmp_path / "after")
    (uid,) = before.call_keys.keys() - after.call_keys.keys()
    (other,) = after.call_keys.keys()
    assert uid in after.calls, "the frames are still there, so that the test says something"
    assert before.audio_bytes(uid, before.call_keys[uid]) > 16_000
    assert after.audio_bytes(uid, before.call_keys[uid]) > 16_000, "only the key was ever the protection"
    assert after.audio_bytes(other, after.call_keys[other]) > 16_000
    assert not after.opens_with_any(uid)
    await neighbour.end()
    assert [item["callId"] for item in await to_thread(crashing.recordings)].count(placed.call_id) == 0


async def test_a_call_nobody_kept_whose_client_went_during_a_crash_is_destroyed(
    crashing: RunningService, tmp_path: Path
) -> None:
    """It goes on being captured after the restart, and is destroyed as soon as nobody is there any more."""
    await until(lambda: waiting(crashing) == 0, "nothing else is in the journal")
    # What the calls before left is released with the next sync, perhaps a moment from now.
    others = (await to_thread(Seizure, crashing, tmp_path / "others")).call_keys.keys()
    unkept = await Call.begin(crashing, OLGA, t1_s=QUICK_T1_S)
    await asyncio.sleep(1)
    before = await to_thread(Seizure, crashing, tmp_path / "before")
    recorder = crashing.role("recorder")
    with frozen([recorder]):
        placed = await unkept.end()
        assert placed.ending is Ending.BYE_UNANSWERED
        kill([recorder])
    assert (await to_thread(crashing.outcome_of, placed.call_id))["outcome"] == "not kept"
    after = await to_thread(Seizure, crashing, tmp_path / "after")
    (uid,) = before.call_keys.keys() - others
    assert before.audio_bytes(uid, before.call_keys[uid]) > 4_000
    assert uid not in after.call_keys
    assert not after.opens_with_any(uid)
