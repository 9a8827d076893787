"""The signatory of an archive: one for all workers, renewed in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keys.cms import verify_detached
from keys.errors import SealBroken
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from keys.signatory import CERTIFICATE_VALIDITY, RENEWAL, Signatory, load_or_create

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ROOT = LocalKeyring(bytes(32))


def of(path: Path, now: datetime = NOW) -> Signatory:
    return load_or_create(DirectoryKeyStore(path), ROOT, "Voorbeeld BV", now)


def test_every_worker_signs_as_the_same(tmp_path: Path) -> None:
    first, second = of(tmp_path), of(tmp_path)
    assert first.certificate == second.certificate
    assert first.authority == second.authority
    assert verify_detached(second.sign(b"x", NOW), b"x").certificate == first.certificate


def test_its_repr_shows_no_key(tmp_path: Path) -> None:
    assert "key=" not in repr(of(tmp_path))


def test_a_certificate_near_its_end_is_followed_by_another_of_the_same_authority(tmp_path: Path) -> None:
    first = of(tmp_path)
    last_moment = NOW + CERTIFICATE_VALIDITY - RENEWAL
    assert of(tmp_path, last_moment).certificate == first.certificate
    renewed = of(tmp_path, last_moment + timedelta(seconds=1))
    assert renewed.certificate != first.certificate
    assert renewed.authority == first.authority


def test_another_root_does_not_open_it(tmp_path: Path) -> None:
    of(tmp_path)
    with pytest.raises(SealBroken):
        load_or_create(DirectoryKeyStore(tmp_path), LocalKeyring(bytes([1]) * 32), "Voorbeeld BV", NOW)
