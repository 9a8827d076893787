"""A data key is wrapped for one recording and opened for no other."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from archive.data_key import expiry_day, make_data_key, object_binding, open_data_key
from archive.errors import NotFound, VerificationFailed
from archive.model import ObjectKind, RecordingId, TenantId
from keys.kek import KekVault

TENANT, OTHER = TenantId("tenant-1"), TenantId("tenant-2")
RECORDING = RecordingId("recording-1")
DAY = date(2027, 2, 20)


def test_a_data_key_comes_back(vault: KekVault) -> None:
    made = make_data_key(vault, TENANT, RECORDING, DAY)
    assert made.kek_id == "tenant-1/2027-02-20/1"
    assert open_data_key(vault, TENANT, RECORDING, made.kek_id, made.wrapped) == made
    assert made.key.hex() not in repr(made)
    assert repr(made.key) not in repr(made)


@pytest.mark.parametrize(
    ("tenant_id", "recording_id"), [(OTHER, RECORDING), (TENANT, RecordingId("recording-2"))]
)
def test_it_opens_for_no_other_recording(
    vault: KekVault, tenant_id: TenantId, recording_id: RecordingId
) -> None:
    """C6."""
    made = make_data_key(vault, TENANT, RECORDING, DAY)
    with pytest.raises(VerificationFailed):
        open_data_key(vault, tenant_id, recording_id, made.kek_id, made.wrapped)


def test_a_destroyed_or_unknown_kek_is_not_found(vault: KekVault) -> None:
    made = make_data_key(vault, TENANT, RECORDING, DAY)
    vault.destroy(made.kek_id)
    for kek_id in (made.kek_id, "tenant-1/2027-02-20/7"):
        with pytest.raises(NotFound):
            open_data_key(vault, TENANT, RECORDING, kek_id, made.wrapped)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2027, 2, 20, 22, 59, 59, tzinfo=UTC), date(2027, 2, 20)),
        (datetime(2027, 2, 20, 23, 0, tzinfo=UTC), date(2027, 2, 21)),
        (datetime(2027, 7, 20, 22, 0, tzinfo=UTC), date(2027, 7, 21)),
    ],
)
def test_the_day_of_expiry_is_one_of_the_amsterdam_calendar(moment: datetime, day: date) -> None:
    assert expiry_day(moment) == day


def test_every_kind_has_a_binding_of_its_own() -> None:
    bindings = {object_binding(TENANT, RECORDING, kind) for kind in ObjectKind}
    assert len(bindings | {object_binding(OTHER, RECORDING, ObjectKind.AUDIO)}) == len(ObjectKind) + 1
