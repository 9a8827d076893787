"""What holds for every response: headers, references, problems."""

import ipaddress
import uuid
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from playback_portal import exposure
from playback_portal.app import create_app
from playback_portal.routes import ROUTES, Route

EXPECTED = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Server": "earwitness",
    "API-Version": "1.0.0",
}


@pytest.mark.parametrize(
    "path",
    [*(route.path for route in ROUTES if not route.page), "/v1", "/v1/recordings/", "/../etc/passwd", "/no"],
)
@pytest.mark.parametrize("key", [None, "all"])
async def test_every_response_carries_the_security_headers_and_a_reference(
    api: Any, path: str, key: str | None
) -> None:
    answer = await api.get(path.replace("{id}", api.house.recordings["mixed"].id), key)
    assert {name: answer.headers[name] for name in EXPECTED} == EXPECTED
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert uuid.UUID(answer.headers["X-Request-Id"]).version == 7
    assert "Strict-Transport-Security" not in answer.headers
    if answer.status >= 400:
        assert answer.content_type == "application/problem+json"
        problem = await answer.json(content_type=None)
        assert problem["instance"] == f"urn:uuid:{answer.headers['X-Request-Id']}"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
async def test_another_method_is_405_and_names_the_right_one(api: Any, method: str) -> None:
    answer = await api.client.request(method, "/v1/recordings")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET"


async def test_a_defect_is_a_500_with_a_reference_and_not_a_word_more(house: Any) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        raise RuntimeError("the secret cause")

    broken.__name__ = "get_livez"
    async with TestClient(
        TestServer(create_app(house.services(), (Route("GET", "/livez", broken, None, None),)))
    ) as client:
        answer = await client.get("/livez")
        assert answer.status == 500
        text = await answer.text()
    assert "secret" not in text
    assert "urn:uuid:" in text


async def test_clear_text_from_a_network_is_refused(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "is_loopback", lambda host: False)
    async with TestClient(TestServer(create_app(house.services()))) as client:
        answer = await client.get("/v1/recordings", headers={"Authorization": f"Bearer {house.keys['all']}"})
        assert answer.status == 403
        assert "TLS" in (await answer.json(content_type=None))["detail"]


async def test_over_tls_browsers_are_told_to_stay_there(house: Any) -> None:
    services = house.services(exposure=exposure.Exposure(tls=True))
    async with TestClient(TestServer(create_app(services))) as client:
        assert (
            (await client.get("/livez")).headers["Strict-Transport-Security"].startswith("max-age=31536000")
        )


@pytest.mark.parametrize(
    ("network", "told", "stays"),
    [
        ("127.0.0.0/8", "https", True),
        ("127.0.0.0/8", "http, HTTPS", True),
        ("127.0.0.0/8", "https, http", False),
        ("127.0.0.0/8", None, False),
        ("192.0.2.0/24", "https", False),
    ],
)
async def test_behind_the_proxy_browsers_that_came_to_it_by_tls_are_told_to_stay_there(
    house: Any, network: str, told: str | None, stays: bool
) -> None:
    """The proxy's own word counts, and nobody else's."""
    services = house.services(exposure=exposure.Exposure(proxy=ipaddress.ip_network(network)))
    async with TestClient(TestServer(create_app(services))) as client:
        headers = {} if told is None else {"X-Forwarded-Proto": told}
        answer = await client.get("/livez", headers=headers)
    assert ("Strict-Transport-Security" in answer.headers) is stays


async def test_requests_are_counted_by_route_and_never_by_id(api: Any) -> None:
    await api.get(api.path("two-party"))
    await api.get("/v1/recordings", None)
    await api.get("/no/such/path")
    text = await (await api.get("/metrics", None)).text()
    assert 'method="GET",route="/v1/recordings/{id}",status="200"' in text
    assert 'route="/v1/recordings",status="401"' in text
    assert 'method="other",route="none",status="404"' in text
    assert "earwitness_portal_keys_refused_total 1.0" in text
    assert api.house.recordings["two-party"].id not in text
    assert "/no/such" not in text
