"""V1, V2, V3: an untouched package passes with standard tools alone; whatever is altered shows, in both checks."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import bagit
import pytest
from cryptography import x509

from archive.evidence.bag import (
    MANIFEST,
    PAYLOAD,
    SIGNATURE,
    TAG_MANIFEST,
    TIMESTAMP,
    TIMESTAMP_SIGNATURE,
    manifest,
)
from archive.evidence.verification import SMALL_FILE_BYTES_MAX, Trust, verify_package
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from keys.signatory import AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, Signatory, load_or_create
from tests.unit.archive.evidence.conftest import OpenSslTimestampAuthority, lay_down

TOOLS = ("sh", "find", "sort", "sha256sum", "openssl")
SCRIPT = Path(str(files("archive.evidence") / "verify.sh"))


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the standard tools and nothing else, to be the whole PATH."""
    folder = tmp_path_factory.mktemp("tools")
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None, f"the test needs {tool}: install it"
        (folder / tool).symlink_to(found)
    return folder


@pytest.fixture(scope="session")
def run_script(
    tools: Path, tmp_path_factory: pytest.TempPathFactory, signatory: Signatory,
    timestamp_authority: OpenSslTimestampAuthority,
) -> Callable[[Path], subprocess.CompletedProcess[str]]:  # fmt: skip
    trusted = tmp_path_factory.mktemp("trusted")
    (trusted / "authority.pem").write_bytes(signatory.authority_pem())
    (trusted / "time.pem").write_bytes(timestamp_authority.root())

    def run(package: Path) -> subprocess.CompletedProcess[str]:
        command = [tools / "sh", SCRIPT, package, trusted / "authority.pem", trusted / "time.pem"]
        environment = {"PATH": str(tools)}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run


Script = Callable[[Path], subprocess.CompletedProcess[str]]


def verdict_of(package: Path, trust: Trust) -> tuple[str, ...]:
    return verify_package(package, trust, datetime.now(UTC)).faults


def test_v1_an_untouched_package_passes_with_standard_tools_alone(package: Path, run_script: Script) -> None:
    done = run_script(package)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK: nothing was added, changed or taken away" in done.stdout
    assert "Time-stamped: " in done.stdout
    assert done.stderr == ""


def test_v1_our_own_check_finds_nothing_either_and_names_signer_and_time(package: Path, trust: Trust) -> None:
    verdict = verify_package(package, trust, datetime.now(UTC))
    assert verdict.faults == ()
    assert verdict.signer is not None
    assert "Voorbeeld BV" in verdict.signer
    assert verdict.stamped_at is not None
    assert abs(verdict.stamped_at - datetime.now(UTC)) < timedelta(hours=1)


def test_a_package_without_a_time_stamp_says_so_and_passes(
    tmp_path: Path, signatory: Signatory, timestamp_authority: OpenSslTimestampAuthority, trust: Trust,
    run_script: Script,
) -> None:  # fmt: skip
    plain = lay_down(tmp_path / "plain", signatory, timestamp_authority, stamped=False)
    assert verdict_of(plain, trust) == ()
    assert run_script(plain).returncode == 0
    append(plain / SIGNATURE)
    assert verdict_of(plain, trust)
    assert run_script(plain).returncode != 0, "no stamp covers what stands behind this signature"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\x00")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def rename(path: Path) -> None:
    path.rename(path.with_name("other-" + path.name))


def duplicate(path: Path) -> None:
    shutil.copy(path, path.with_name("copy-" + path.name))


EACH_FILE = (flip, append, cut, rename, duplicate, Path.unlink)


@pytest.mark.parametrize(("made", "count"), [("package", 14), ("container", 17)])
@pytest.mark.parametrize("change", EACH_FILE, ids=lambda change: change.__name__)
def test_v2_a_change_to_any_file_is_found_by_both(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    trust: Trust,
    run_script: Script,
    change: Callable[[Path], None],
    made: str,
    count: int,
) -> None:
    package: Path = request.getfixturevalue(made)
    names = sorted(path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file())
    assert len(names) == count
    for name in names:
        copy = tmp_path / "copy"
        shutil.copytree(package, copy)
        change(copy / name)
        assert verdict_of(copy, trust), f"our check took {change.__name__} of {name} for an untouched package"
        done = run_script(copy)
        assert done.returncode != 0, f"the script took {change.__name__} of {name} for an untouched package"
        assert "FAILED" in done.stdout
        shutil.rmtree(copy)


def test_v1_an_asic_container_passes_both_checks_and_is_the_package_without_its_own_files(
    container: Path, tmp_path: Path, trust: Trust, run_script: Script
) -> None:
    assert verdict_of(container, trust) == ()
    done = run_script(container)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    bare = tmp_path / "bare"
    shutil.copytree(container, bare)
    (bare / "mimetype").unlink()
    shutil.rmtree(bare / "META-INF")
    assert verdict_of(bare, trust) == ()
    assert run_script(bare).returncode == 0


def test_v2_the_manifest_of_another_container_fails_also_with_its_own_signature(
    container: Path, tmp_path: Path, trust: Trust, run_script: Script, signatory: Signatory,
    timestamp_authority: OpenSslTimestampAuthority,
) -> None:  # fmt: skip
    other = lay_down(tmp_path / "other", signatory, timestamp_authority, asic=True)
    shutil.rmtree(other / "META-INF")
    shutil.copytree(container / "META-INF", other / "META-INF")
    assert verdict_of(other, trust)
    assert run_script(other).returncode != 0


def swap_audio(package: Path) -> None:
    one, two = (package / f"data/recordings/r{number}/audio.flac" for number in (1, 2))
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)


def add_a_file(package: Path) -> None:
    (package / "data" / "extra.txt").write_text("something nobody listed\n")


def empty_the_manifest(package: Path) -> None:
    (package / MANIFEST).write_bytes(b"")


def rehash(package: Path) -> None:
    """Change a recording and write both manifests anew, as whoever has no key would."""
    flip(package / "data/recordings/r1/audio.flac")
    for name, is_tag in ((MANIFEST, False), (TAG_MANIFEST, True)):
        listed = []
        for path in sorted(package.rglob("*")):
            file = path.relative_to(package).as_posix()
            if path.is_file() and file.startswith(PAYLOAD) != is_tag and not file.startswith(TAG_MANIFEST):
                listed.append((file, hashlib.sha256(path.read_bytes()).hexdigest()))
        (package / name).write_bytes(manifest(listed))


def strip_the_stamp(package: Path) -> None:
    (package / TIMESTAMP).unlink()
    (package / TIMESTAMP_SIGNATURE).unlink()


def strip_the_signature_of_the_stamp(package: Path) -> None:
    (package / TIMESTAMP_SIGNATURE).unlink()


def date_the_stamp_back(package: Path) -> None:
    """Say another time in the words around the stamp, which its authority did not sign."""
    answer = (package / TIMESTAMP).read_bytes()
    assert answer[:1] == b"\x30"
    assert answer[4:9] == b"\x30\x03\x02\x01\x00"
    said = b"Time stamp: Jan  1 12:00:00 2026 GMT"
    words = b"\x30" + bytes([len(said) + 2]) + b"\x0c" + bytes([len(said)]) + said
    status = b"\x02\x01\x00" + words
    rest = b"\x30" + bytes([len(status)]) + status + answer[9:]
    (package / TIMESTAMP).write_bytes(b"\x30\x82" + len(rest).to_bytes(2, "big") + rest)


def strip_the_stamp_and_say_so(package: Path) -> None:
    strip_the_stamp(package)
    info = package / "bag-info.txt"
    info.write_text(info.read_text().replace("Timestamp-Required: yes", "Timestamp-Required: no"))


def put_a_link(package: Path) -> None:
    audio = package / "data/recordings/r1/audio.flac"
    shutil.copy(audio, package.parent / "elsewhere.flac")
    audio.unlink()
    audio.symlink_to(package.parent / "elsewhere.flac")


def name_a_newline(package: Path) -> None:
    (package / "data" / "a\nb").write_text("x")


WHOLE = (
    swap_audio, add_a_file, empty_the_manifest, rehash, strip_the_stamp, strip_the_stamp_and_say_so,
    strip_the_signature_of_the_stamp, date_the_stamp_back,
    put_a_link, name_a_newline,
)  # fmt: skip


@pytest.mark.parametrize("change", WHOLE, ids=lambda change: change.__name__)
def test_v2_what_is_done_to_the_whole_is_found_by_both(
    package: Path, tmp_path: Path, trust: Trust, run_script: Script, change: Callable[[Path], None]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    change(copy)
    assert verdict_of(copy, trust)
    assert run_script(copy).returncode != 0


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("name", [SIGNATURE, TIMESTAMP, TIMESTAMP_SIGNATURE])
def test_v2_no_bit_of_a_signature_or_stamp_turns_unseen(
    package: Path,
    tmp_path: Path,
    trust: Trust,
    run_script: Script,
    pytestconfig: pytest.Config,
    name: str,
) -> None:
    """A bit of every 9th octet, `make soak` turns all; the script takes longer and looks at every 63rd."""
    soak = pytestconfig.getoption("soak")
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    whole = (copy / name).read_bytes()
    for place in range(len(whole)) if soak else range(8, len(whole), 9):
        for bit in range(8) if soak else (place % 8,):
            turned = bytearray(whole)
            turned[place] ^= 1 << bit
            (copy / name).write_bytes(turned)
            assert verdict_of(copy, trust), f"octet {place}, bit {bit}"
        if place % 63 == 8:
            assert run_script(copy).returncode != 0, f"octet {place}"


def test_the_time_is_read_from_what_its_authority_signed(
    package: Path, tmp_path: Path, signatory: Signatory, trust: Trust, run_script: Script
) -> None:
    """Also where whoever has the key of packages signs other words around the stamp."""
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    date_the_stamp_back(copy)
    forged = signatory.sign((copy / TIMESTAMP).read_bytes(), datetime.now(UTC))
    (copy / TIMESTAMP_SIGNATURE).write_bytes(forged)
    year = f"{datetime.now(UTC):%Y} GMT"
    told = [line for line in run_script(copy).stdout.splitlines() if line.startswith("Time-stamped: ")]
    assert told
    assert all("Jan  1 12:00:00" not in line and line.endswith(year) for line in told)
    stamped_at = verify_package(copy, trust, datetime.now(UTC)).stamped_at
    assert stamped_at is None or abs(stamped_at - datetime.now(UTC)) < timedelta(hours=1)


def test_v2_a_package_signed_by_somebody_else_fails(
    tmp_path: Path, timestamp_authority: OpenSslTimestampAuthority, trust: Trust, run_script: Script
) -> None:
    store = DirectoryKeyStore(tmp_path / "keys")
    (tmp_path / "keys").mkdir()
    stranger = load_or_create(store, LocalKeyring(bytes([7]) * 32), "Voorbeeld BV", datetime.now(UTC))
    forged = lay_down(tmp_path / "forged", stranger, timestamp_authority)
    assert verdict_of(forged, trust)
    assert run_script(forged).returncode != 0


def test_v2_the_stamp_of_another_package_fails(
    package: Path, tmp_path: Path, signatory: Signatory, timestamp_authority: OpenSslTimestampAuthority,
    trust: Trust, run_script: Script,
) -> None:  # fmt: skip
    other = lay_down(tmp_path / "other", signatory, timestamp_authority)
    for name in (TIMESTAMP, TIMESTAMP_SIGNATURE):
        shutil.copy(package / name, other / name)
    assert (package / SIGNATURE).read_bytes() != (other / SIGNATURE).read_bytes()
    assert verdict_of(other, trust)
    assert run_script(other).returncode != 0


def test_v2_a_signer_whose_certificate_has_ended_since_counts_by_the_stamp(
    tmp_path: Path, timestamp_authority: OpenSslTimestampAuthority
) -> None:
    """Made some years ago with the clock of those days, and looked at after its certificate has ended."""
    store = DirectoryKeyStore(tmp_path / "keys")
    (tmp_path / "keys").mkdir()
    made_at = datetime.now(UTC) - CERTIFICATE_VALIDITY + timedelta(days=1)
    old = load_or_create(store, LocalKeyring(bytes(32)), "Voorbeeld BV", made_at)
    root = x509.load_pem_x509_certificate(timestamp_authority.root())
    later = datetime.now(UTC) + timedelta(days=2)
    assert later < old.authority.not_valid_after_utc == made_at.replace(microsecond=0) + AUTHORITY_VALIDITY
    stamped = lay_down(tmp_path / "stamped", old, timestamp_authority)
    assert verify_package(stamped, Trust(old.authority, (root,)), later).faults == ()
    plain = lay_down(tmp_path / "plain", old, timestamp_authority, stamped=False)
    assert verify_package(plain, Trust(old.authority, (root,)), later).faults != ()


def test_v3_a_package_is_a_bag_to_the_tool_of_the_library_of_congress(package: Path) -> None:
    bagit.Bag(str(package)).validate()


@pytest.mark.parametrize("name", ["bag-info.txt", SIGNATURE, TIMESTAMP, MANIFEST, TAG_MANIFEST])
def test_a_file_that_is_too_large_to_read_is_a_fault_and_no_crash(
    package: Path, tmp_path: Path, trust: Trust, name: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    with (copy / name).open("ab") as file:
        file.truncate(SMALL_FILE_BYTES_MAX + 1)
    assert verdict_of(copy, trust)
