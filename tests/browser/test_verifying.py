"""V1 and V2 in the browser: an untouched package passes without a request, and whatever was done to one is named."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp import web
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, FilePayload, Request, expect

from archive.audit_chain import START, ChainHead, canonical_json, link
from archive.catalogue.engine import Catalogue
from archive.clock import SystemClock
from archive.evidence.asic import ASIC_MANIFEST, ASIC_SIGNATURE, MIMETYPE
from archive.evidence.authorities import Authorities
from archive.evidence.bag import BAG_INFO, MANIFEST, PAYLOAD, SIGNATURE, TAG_MANIFEST, TIMESTAMP, manifest
from archive.post import NoPost
from archive.transparency.checkpoint import Checkpoint, PublicKey, sign
from archive.transparency.leaves import Leaf
from archive.transparency.proof import EntryProof
from archive.transparency.tree import Tree, inclusion_proof
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from keys.signatory import Signatory, load_authority
from keys.signing_key import SigningKey
from playback_portal.app import create_app
from playback_portal.services import Services
from tests.browser import axe
from tests.unit.archive.evidence.conftest import (
    OpenSslTimestampAuthority,
    lay_down,
    signatory,
    timestamp_authority,
)

__all__ = ["signatory", "timestamp_authority"]

Files = dict[str, bytes]
AUDIO, OTHER_AUDIO = (f"data/recordings/r{number}/audio.flac" for number in (1, 2))
CHECKED_MS_MAX = 30_000
"""Some kilobytes are hashed in no time; machines here are slow at times."""

SOUND, BROKEN = "Dit pakket is ongewijzigd.", "Dit pakket is niet zoals het ondertekend werd."


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    signatory: Signatory,
    timestamp_authority: OpenSslTimestampAuthority,
) -> dict[str, Files]:
    """Return packages of one archive as files: stamped, without a stamp, and as a container."""
    found: dict[str, Files] = {}
    for name, stamped, asic in (("stamped", True, False), ("plain", False, False), ("container", True, True)):
        folder = tmp_path_factory.mktemp(name) / "bag"
        lay_down(folder, signatory, timestamp_authority, stamped=stamped, asic=asic)
        paths = (path for path in folder.rglob("*") if path.is_file())
        found[name] = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return found


class Doorstep:
    """A portal that serves what strangers may open, with no house behind it: no database, no store."""

    def __init__(self, authorities: Authorities) -> None:
        nowhere = Catalogue("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
        nothing: Any = None
        self._services = Services(
            nowhere,
            nothing,
            nothing,
            nothing,
            nothing,
            SystemClock(),
            {},
            nothing,
            NoPost(),
            lambda: authorities,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="doorstep")
        self.url = ""

    async def _serve(self) -> web.AppRunner:
        runner = web.AppRunner(create_app(self._services), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        # Browsers take this machine for as safe as TLS only by this name or its address.
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def __enter__(self) -> Self:
        self._thread.start()
        self._runner = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(60)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()


@pytest.fixture(scope="module")
def address(signatory: Signatory, timestamp_authority: OpenSslTimestampAuthority) -> Iterator[str]:
    """Return where the page is, trusting the authorities of these packages."""
    with Doorstep(Authorities(signatory.authority, timestamp_authority.root())) as portal:
        yield f"{portal.url}/verify"


class Checker:
    """The page, and every request it made since it was there; what is wrong with a script is an error."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.page = context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)
        self.page.goto(address)
        self.page.wait_for_load_state("networkidle")
        self.requests: list[str] = []
        self.page.on("request", self._note)

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.errors.append(said.text)

    def _note(self, request: Request) -> None:
        # The browser fetches the little picture of the page when it likes.
        if request.method != "GET" or request.post_data_buffer or "/static/icon-" not in request.url:
            self.requests.append(f"{request.method} {request.url}")

    def says(self, package: bytes, name: str = "package.zip") -> str:
        """Drop a package and return how it ended."""
        file = FilePayload(name=name, mimeType="application/zip", buffer=package)
        self.page.locator("#package").set_input_files(file)
        expect(self.page.locator("#verdict")).to_be_visible(timeout=CHECKED_MS_MAX)
        return self.page.locator("#verdict").inner_text()

    def faults(self) -> str:
        return "\n".join(self.page.locator("#checks .faults li").all_inner_texts())

    def state(self, check: str) -> str | None:
        return self.page.locator(f"[data-check={check}]").get_attribute("data-state")


@pytest.fixture
def checker(browser: Browser, address: str) -> Iterator[Checker]:
    context = browser.new_context(locale="nl-NL")
    it = Checker(context, address)
    yield it
    context.close()
    assert it.errors == []


def zipped(files: Files, method: int = zipfile.ZIP_STORED) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in sorted(files, key=lambda each: (each != MIMETYPE, each)):
            archive.writestr(name, files[name], zipfile.ZIP_STORED if name == MIMETYPE else method)
    return written.getvalue()


@pytest.mark.parametrize("kind", ["stamped", "plain", "container"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_v1_an_untouched_package_passes_and_nothing_is_sent(
    checker: Checker, made: dict[str, Files], kind: str, method: int
) -> None:
    assert checker.says(zipped(made[kind], method)) == SOUND, checker.faults()
    assert checker.faults() == ""
    assert checker.state("hashes") == checker.state("signature") == "ok"
    assert checker.state("stamp") == ("none" if kind == "plain" else "ok")
    assert checker.state("asic") == ("ok" if kind == "container" else "none")
    assert checker.requests == [], "a package, or a question about one, left this computer"


def test_a_package_that_is_dropped_anywhere_on_the_page_is_checked(
    checker: Checker, made: dict[str, Files]
) -> None:
    checker.says(b"no zip at all")
    checker.page.evaluate(
        """octets => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(octets)], "package.zip"));
          document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        list(zipped(made["stamped"])),
    )
    expect(checker.page.locator("#verdict")).to_have_text(SOUND, timeout=CHECKED_MS_MAX)
    assert checker.requests == []


def flip(files: Files, name: str) -> None:
    data = bytearray(files[name])
    data[len(data) // 2] ^= 1
    files[name] = bytes(data)


def append(files: Files, name: str) -> None:
    files[name] += b"\x00"


def delete(files: Files, name: str) -> None:
    del files[name]


def rename(files: Files, name: str) -> None:
    files[f"{name}-x"] = files.pop(name)


@pytest.mark.parametrize("change", [flip, append, delete, rename], ids=lambda change: change.__name__)
def test_v2_a_change_to_any_file_fails_and_is_named(
    checker: Checker, made: dict[str, Files], change: Callable[[Files, str], None]
) -> None:
    for kind, name in ((each, name) for each in ("stamped", "container") for name in made[each]):
        files = dict(made[kind])
        change(files, name)
        assert checker.says(zipped(files)) == BROKEN, f"{change.__name__} of {name} in {kind}"
        # What is listed with the wrong hash is named, and so is what a changed list does not agree with.
        faults = checker.faults()
        assert name in faults or name in {MANIFEST, TAG_MANIFEST}, f"{change.__name__} of {name}: {faults}"


def swap(files: Files) -> str:
    files[AUDIO], files[OTHER_AUDIO] = files[OTHER_AUDIO], files[AUDIO]
    return AUDIO


def add(files: Files) -> str:
    files["data/extra.txt"] = b"something nobody listed\n"
    return "data/extra.txt"


def rehash(files: Files) -> str:
    """Change a recording and write both manifests anew, as whoever has no key would."""
    flip(files, AUDIO)
    for target, is_tag in ((MANIFEST, False), (TAG_MANIFEST, True)):
        kept = (name for name in files if name.startswith(PAYLOAD) != is_tag)
        own = (name for name in kept if not name.startswith((TAG_MANIFEST, MIMETYPE, "META-INF/")))
        files[target] = manifest((name, hashlib.sha256(files[name]).hexdigest()) for name in own)
    return SIGNATURE


def strip_the_stamp(files: Files) -> str:
    del files[TIMESTAMP]
    return TIMESTAMP


def strip_the_stamp_and_say_so(files: Files) -> str:
    del files[TIMESTAMP]
    files[BAG_INFO] = files[BAG_INFO].replace(b"Timestamp-Required: yes", b"Timestamp-Required: no")
    return BAG_INFO


def strip_the_signature(files: Files) -> str:
    del files[SIGNATURE]
    return SIGNATURE


def empty_a_list(files: Files) -> str:
    files[MANIFEST] = b""
    return MANIFEST


WHOLE = (swap, add, rehash, strip_the_stamp, strip_the_stamp_and_say_so, strip_the_signature, empty_a_list)


@pytest.mark.parametrize("change", WHOLE, ids=lambda change: change.__name__)
def test_v2_what_is_done_to_the_whole_fails_and_is_named(
    checker: Checker, made: dict[str, Files], change: Callable[[Files], str]
) -> None:
    for kind in ("stamped", "container"):
        files = dict(made[kind])
        name = change(files)
        assert checker.says(zipped(files)) == BROKEN, kind
        assert name in checker.faults()
    assert checker.requests == []


def test_v2_a_container_with_the_manifest_of_another_one_fails(
    checker: Checker, made: dict[str, Files]
) -> None:
    files = made["stamped"] | {
        name: made["container"][name] for name in (MIMETYPE, ASIC_MANIFEST, ASIC_SIGNATURE)
    }
    assert checker.says(zipped(files), "package.asice") == BROKEN
    assert checker.state("asic") == "failed"
    files = dict(made["container"])
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in sorted(files, reverse=True):
            archive.writestr(name, files[name])
    assert checker.says(written.getvalue(), "package.asice") == BROKEN
    assert MIMETYPE in checker.faults(), "programs look for the media type at the beginning"


CUSTODY, PROOFS = (f"data/recordings/r1/{name}.jsonl" for name in ("custody", "proofs"))
LOG_KEY = "verify/audit-log-key.txt"
LEAVES_COUNT = 11
"""No power of two, so that paths of several forms are among them."""


def sealed_log() -> Files:
    """Return the custody of a recording, its proofs, and the key of the log, as `package` writes them."""
    key, name, head, entries = SigningKey(bytes(range(32))), "earwitness/test/1", START, []
    for number in range(LEAVES_COUNT):
        entry = link(
            head, writer="portal/one", at=datetime(2026, 11, 22, 9, number, tzinfo=UTC), tenant_id=None,
            actor="user:é", action="recording.played", object="recording:r1", result="ok",
            body={"number": number, "naam": "Zoë"}, salt="00" * 16,
        )  # fmt: skip
        head = ChainHead(entry.sequence, entry.hash)
        entries.append(entry)
    tree, nodes = Tree(), {}
    for entry in entries:
        for node in tree.append(Leaf(entry.writer, entry.sequence, entry.hash).hash()):
            nodes[node.level, node.number] = node.hash
    note = sign(Checkpoint(name, tree.size, tree.root(), datetime.now(UTC), bytes(32)), name, key)
    proofs = [
        EntryProof(
            entry, index, tree.size, tuple(inclusion_proof(index, tree.size, lambda *at: nodes[at])), note
        )
        for index, entry in enumerate(entries)
    ]
    shown = ({**dataclasses.asdict(entry), "at": entry.at.isoformat()} for entry in entries)
    return {
        CUSTODY: b"".join(canonical_json(each) + b"\n" for each in shown),
        PROOFS: b"".join(canonical_json(each.document()) + b"\n" for each in proofs),
        LOG_KEY: PublicKey(name, key.public).line().encode() + b"\n",
    }


def untouched(files: Files) -> None:
    """Leave all as it is."""


def tell_another_story(files: Files) -> None:
    files[CUSTODY] = files[CUSTODY].replace(b"recording.played", b"recording.viewed", 1)


def change_a_body(files: Files) -> None:
    files[PROOFS] = files[PROOFS].replace(rb"\"number\":3", rb"\"number\":4", 1)


def turn_a_path_round(files: Files) -> None:
    lines = files[PROOFS].splitlines(keepends=True)
    first = json.loads(lines[0])
    first["path"].reverse()
    files[PROOFS] = b"".join([canonical_json(first) + b"\n", *lines[1:]])


def take_another_key(files: Files) -> None:
    other = PublicKey("earwitness/test/1", SigningKey(bytes(32)).public)
    files[LOG_KEY] = other.line().encode()


def say_a_larger_tree(files: Files) -> None:
    files[PROOFS] = files[PROOFS].replace(b'"size":11', b'"size":12')


@pytest.mark.parametrize(
    "change", [untouched, tell_another_story, change_a_body, turn_a_path_round, take_another_key, say_a_larger_tree]
)  # fmt: skip
def test_v2_the_custody_is_proved_entry_by_entry_though_who_signs_lies(
    checker: Checker,
    signatory: Signatory,
    timestamp_authority: OpenSslTimestampAuthority,
    tmp_path: Path,
    change: Callable[[Files], None],
) -> None:
    """A6: each is signed by the right authority; only the log itself tells what happened."""
    files = sealed_log()
    change(files)
    folder = lay_down(tmp_path / "bag", signatory, timestamp_authority, stamped=False, more=files)
    paths = (path for path in folder.rglob("*") if path.is_file())
    package = zipped({path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})
    if change is untouched:
        assert checker.says(package) == SOUND, checker.faults()
        expect(checker.page.locator("[data-check=log] .said")).to_contain_text("11 van 11")
        return
    assert checker.says(package) == BROKEN
    assert (checker.state("log"), checker.state("hashes"), checker.state("signature")) == (
        "failed",
        "ok",
        "ok",
    )
    assert f"{PROOFS}, regel" in checker.faults()


def test_v2_a_package_of_another_archive_fails_until_its_authority_is_chosen(
    browser: Browser, made: dict[str, Files], signatory: Signatory, tmp_path: Path
) -> None:
    (tmp_path / "keys").mkdir()
    other = load_authority(
        DirectoryKeyStore(tmp_path / "keys"), LocalKeyring(bytes(32)), "x", datetime.now(UTC)
    )
    authority = tmp_path / "authority.pem"
    authority.write_bytes(signatory.authority_pem())
    with Doorstep(Authorities(other)) as portal:
        context = browser.new_context(locale="nl-NL")
        checker = Checker(context, f"{portal.url}/verify")
        assert checker.says(zipped(made["stamped"])) == BROKEN
        assert checker.state("signature") == "failed"
        checker.page.locator("details summary").click()
        checker.page.locator("#authority").set_input_files(authority)
        expect(checker.page.locator("#trusted")).to_contain_text(re.compile(r"([0-9A-F]{2}:){31}[0-9A-F]{2}"))
        expect(checker.page.locator("#verdict")).to_have_text(SOUND, timeout=CHECKED_MS_MAX)
        expect(checker.page.locator("[data-check=stamp] .said")).to_contain_text("certificaat in het pakket")
        assert checker.requests == []
        context.close()


def a_link(files: Files) -> bytes:
    """Return a package in which a recording is a link to a file elsewhere."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, (0o120777 if name == AUDIO else 0o100644) << 16
            archive.writestr(info, data)
    return written.getvalue()


def twice(files: Files) -> bytes:
    """Return a package with a file that is there twice, once right and once not."""
    written = io.BytesIO(zipped(files))
    with zipfile.ZipFile(written, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(AUDIO, b"fLaC of somebody else")
    return written.getvalue()


def two_names(files: Files) -> bytes:
    """Return a package whose recording has another name where it stands than in the directory."""
    package = zipped(files)
    return package.replace(AUDIO.encode(), AUDIO.replace("r1", "r9").encode(), 1)


def test_v2_a_link_a_double_and_a_file_of_two_names_fail(checker: Checker, made: dict[str, Files]) -> None:
    for harm in (a_link, twice, two_names):
        assert checker.says(harm(made["stamped"])) == BROKEN, harm.__name__
        assert AUDIO in checker.faults(), harm.__name__


@pytest.mark.parametrize("cut", [0, 1, 21, 22, 500])
def test_what_is_no_package_is_told_and_no_crash(checker: Checker, made: dict[str, Files], cut: int) -> None:
    assert checker.says(zipped(made["stamped"])[:cut]) == BROKEN
    assert checker.state("container") == "failed"


def test_the_page_is_accessible_with_what_it_found(checker: Checker, made: dict[str, Files]) -> None:
    files = dict(made["stamped"])
    flip(files, AUDIO)
    checker.says(zipped(files))
    assert not axe.look(checker.page).violations
    checker.says(zipped(made["stamped"]))
    assert not axe.look(checker.page).violations
