"""A key is a key of one tenant, asked for afresh each time."""

from typing import Any

import pytest

from archive.access import Scope
from archive.catalogue import accounts
from archive.errors import CatalogueUnavailable


async def test_the_scheme_is_read_in_any_case_of_letters(api: Any) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {api.house.keys['all']}"}
        assert (await api.client.get("/v1/recordings", headers=headers)).status == 200


async def test_one_altered_letter_of_a_key_opens_nothing(api: Any) -> None:
    key = api.house.keys["all"]
    altered = key[:-1] + ("A" if key[-1] != "A" else "B")
    headers = {"Authorization": f"Bearer {altered}"}
    assert (await api.client.get("/v1/recordings", headers=headers)).status == 401


async def test_a_key_with_the_id_of_another_tenant_opens_nothing(api: Any) -> None:
    moved = api.house.keys["all"].replace(api.house.tenant_id, api.house.stranger_id)
    assert moved != api.house.keys["all"]
    assert (
        await api.client.get("/v1/recordings", headers={"Authorization": f"Bearer {moved}"})
    ).status == 401


async def test_a_right_taken_away_counts_at_the_next_request(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await api.audio("mixed")).status == 200
    scope = accounts.authenticate_key(api.house.portal, api.house.keys["reader"])
    monkeypatch.setattr(accounts, "authenticate_key", lambda catalogue, key: scope)
    assert scope is not None
    assert scope.scopes == {Scope.RECORDINGS_READ}
    assert (await api.audio("mixed")).status == 403


async def test_a_database_that_is_away_is_a_503_and_not_a_wrong_key(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(catalogue: object, key: str) -> None:
        raise CatalogueUnavailable("PostgreSQL does not answer.")

    monkeypatch.setattr(accounts, "authenticate_key", away)
    assert (await api.get("/v1/recordings")).status == 503
