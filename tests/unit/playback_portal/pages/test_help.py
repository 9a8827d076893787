"""Help is there for everyone, in both languages, and names every key that the pages know."""

import html
import re
from pathlib import Path
from typing import Any

import pytest

from playback_portal import static

ROLES = {
    "nl": ("Afspeel-account", "Bijdrager", "Luisteraar", "Teamleider", "Beheerder", "Auditor"),
    "en": ("Playback account", "Contributor", "Listener", "Manager", "Administrator", "Auditor"),
}


@pytest.mark.parametrize("language", ROLES)
async def test_anyone_reads_what_each_role_can_do(api: Any, language: str) -> None:
    answer = await api.get("/help", None, headers={"Accept-Language": language})
    text = await answer.text()
    assert answer.status == 200
    assert all(f"<dt>{role}</dt>" in text for role in ROLES[language])


async def test_the_keys_of_every_page_are_told(api: Any) -> None:
    text = html.unescape(await (await api.get("/help", None)).text())
    told = set(re.findall(r"<kbd>([^<]+)</kbd>", text))
    web = Path(static.__file__).parent / "web"
    bound = {key for path in web.glob("*.ts") for key in re.findall(r'\bon\("([^"]+)"', path.read_text())}
    assert {"/", "?"} <= bound
    assert {key.upper() for key in bound - {" "} if len(key) == 1} <= {key.upper() for key in told}
    assert "Spatie" in told


async def test_what_it_links_to_within_itself_is_there(api: Any) -> None:
    text = await (await api.get("/help", None)).text()
    assert all(f'id="{name}"' in text for name in re.findall(r'href="#(\w+)"', text))


async def test_the_keys_are_shown_over_any_page_or_lead_to_the_help(api: Any) -> None:
    """A fragment for the script, the page itself without one."""
    answer = await api.get("/help/keys", None, headers={"HX-Request": "true"})
    text = await answer.text()
    assert "<dialog" in text
    assert "<html" not in text
    assert "Shift N" in text
    answer = await api.client.get("/help/keys", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/help#keys")
