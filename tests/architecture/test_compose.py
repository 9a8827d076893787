"""docker-compose.yml starts commands and gives settings that exist, the same as `up` gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from archive.cli.main import VERBS
from archive.settings import PREFIX, secret_names, settings_table

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("recorder", "portal", "worker")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


def environment(service: dict[str, Any]) -> dict[str, str]:
    return {
        name: str(value) for name, value in service.get("environment", {}).items() if name.startswith(PREFIX)
    }


def test_every_part_of_the_product_is_there(services: dict[str, Any]) -> None:
    """Database, object store and the three roles, after one preparation, and a place for commands."""
    assert set(services) == {"postgres", "seaweedfs", "install", "operator", *ROLES}
    for role in ROLES:
        assert services[role]["depends_on"]["install"]["condition"] == "service_completed_successfully"


def test_our_services_run_commands_that_exist(services: dict[str, Any]) -> None:
    """The image's entry point is `earwitness`."""
    assert 'ENTRYPOINT ["earwitness"]' in (ROOT / "Dockerfile").read_text()
    for name in ("install", *ROLES):
        assert services[name]["command"][0] in VERBS
    assert all(services[role]["command"] == [role] for role in ROLES)


def test_every_setting_exists(services: dict[str, Any]) -> None:
    """A misspelt setting would be ignored in silence."""
    known = {name for name, _, _ in settings_table()}
    known |= {f"{PREFIX}{name.upper()}_FILE" for name in secret_names()}
    given = {name for service in services.values() for name in environment(service)}
    assert given - known == set()


def test_each_role_uses_its_own_database_role_and_the_same_store_and_keys(services: dict[str, Any]) -> None:
    """Row-level security depends on the first, opening recordings on the second."""
    shared = (
        "S3_ENDPOINT",
        "S3_BUCKET",
        "S3_ACCESS_KEY",
        "S3_SECRET_KEY",
        "KEYRING",
        "KEYRING_PASSPHRASE",
        "KEY_STORE",
    )
    settings = {role: environment(services[role]) for role in ROLES}
    for role in ROLES:
        assert f"//earwitness_{role}:" in settings[role][f"{PREFIX}DATABASE_URL"]
        for name in shared:
            assert settings[role][f"{PREFIX}{name}"] == settings["recorder"][f"{PREFIX}{name}"]


def test_commands_run_as_operator_and_only_when_asked_for(services: dict[str, Any]) -> None:
    """Without one, nobody could say which exchange is trusted."""
    assert services["operator"]["profiles"] == ["operator"]
    assert "//earwitness_operator:" in environment(services["operator"])[f"{PREFIX}DATABASE_URL"]


def test_the_recorder_syncs_the_disk_of_the_store(services: dict[str, Any]) -> None:
    """As `up` does; the server answers a PUT before its disk has the object."""
    directory = environment(services["recorder"])[f"{PREFIX}S3_SYNC_DIR"]
    assert f"seaweedfs:{directory}:ro" in services["recorder"]["volumes"]


def test_no_secret_stands_in_the_file(services: dict[str, Any]) -> None:
    """They come from the surroundings, and starting without them fails."""
    secret = {f"{PREFIX}{name.upper()}" for name in secret_names()} - {f"{PREFIX}DATABASE_URL"}
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if name in secret or name.startswith(("WEED_", "AWS_")):
                assert str(value).startswith("${"), name


def test_nothing_but_loopback_is_published(services: dict[str, Any]) -> None:
    """Neither database nor object store is for the network."""
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_store_is_started_as_the_embedded_one_is(services: dict[str, Any]) -> None:
    """Master and filer answer no HTTP, tokens guard the volumes, and no side ports open."""
    command = services["seaweedfs"]["command"]
    for option in (
        "-disableHttp=true",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ):
        assert option in command
    assert {name for name in services["seaweedfs"]["environment"] if name.startswith("WEED_JWT")} == {
        "WEED_JWT_SIGNING_KEY",
        "WEED_JWT_SIGNING_READ_KEY",
        "WEED_JWT_FILER_SIGNING_KEY",
        "WEED_JWT_FILER_SIGNING_READ_KEY",
    }


def test_every_volume_that_is_used_is_kept(services: dict[str, Any]) -> None:
    """State in an unnamed volume would go with the container."""
    whole = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    used = {
        volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])
    }
    assert used == set(whole["volumes"])
