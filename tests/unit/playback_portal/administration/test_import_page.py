"""The page where a file of people is imported: looked at first, written by a press, told row by row."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import csv
import html
import io
import re
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select

from archive import roll
from archive.audit import AuditWriter
from archive.catalogue import accounts, directory, roster_imports, tables
from archive.catalogue.directory import UserFields
from archive.catalogue.engine import Connection
from archive.model import Role
from archive.roll import Roll
from archive.roster import COLUMNS as KNOWN_COLUMNS
from playback_portal import imports
from playback_portal.pages.imports import COLUMNS, FILE_BYTES_MAX, SHOWN_ROWS_MAX
from retention.imports import Imports

PAGE = "/admin/users/import"


async def sent(office: Any, content: str | bytes, who: str = "boss", status: int = 200) -> str:
    """Choose a file and return the page that looks at it."""
    form = aiohttp.FormData()
    data = content.encode() if isinstance(content, str) else content
    form.add_field("file", data, filename="people.csv", content_type="text/csv")
    headers = {**office.signed_in(office.people[who]), "Accept-Language": "nl"}
    answer = await office.client.post(PAGE, data=form, headers=headers)
    page = await answer.text()
    assert answer.status == status, page
    return page


@pytest.fixture(autouse=True)
def handed_over(deferred: list[tuple[str, dict[str, str]]]) -> list[tuple[str, dict[str, str]]]:
    """Take what is handed over to the workers."""
    return deferred


async def begun(office: Any, page: str) -> str:
    """Press the button of a page that looked at a file; return the path of the import."""
    (content,) = re.findall(r'name="content" value="([^"]*)"', page)
    answer = await office.posted("boss", f"{PAGE}/run", content=content)
    assert answer.status == 303, await answer.text()
    path: str = answer.headers["Location"]
    return path


def worked(office: Any, path: str, name: str = "one") -> None:
    """Let a worker write the rows."""
    worker = office.house.worker
    clock = office.house.services().clock
    Imports(worker, AuditWriter(worker, f"worker/{name}"), clock).write(
        office.tenant.id, path.rpartition("/")[2]
    )


async def run(office: Any, page: str) -> str:
    """Press the button, let a worker do the work, and return the page of the import."""
    path = await begun(office, page)
    await asyncio.to_thread(worked, office, path)
    text: str = await office.opened("boss", path)
    return text


async def results(office: Any, page: str) -> list[list[str]]:
    """Download what became of each row, and read it as a spreadsheet does."""
    (path,) = re.findall(r'href="([^"]*/results)"', page)
    answer = await office.client.get(
        path, headers={**office.signed_in(office.people["boss"]), "Accept-Language": "nl"}
    )
    assert answer.headers["Content-Disposition"] == 'attachment; filename="import.csv"'
    text = (await answer.read()).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))


def people(office: Any) -> dict[str, Any]:
    return {each.login: each for each in directory.list_users(office.house.portal, office.tenant.id)}


def counts(page: str) -> str:
    """Return the counts of the page without its elements."""
    shown = page.partition('id="counts"')[2].partition("</div>")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", shown.partition(">")[2]).split())


async def test_a_file_is_looked_at_before_anything_is_written_and_then_written(office: Any) -> None:
    domain = office.tenant.domain
    file = (
        "login;number;licence;mode\r\n"
        f"bert@{domain};020-1234570 101;90d;always\r\n"
        f"carl@{domain};020-1234570;;\r\n"
        f"dora@elders.example;;;\r\n"
        f"anna@{domain};;365d;\r\n"
    )
    before = people(office)
    page = await sent(office, file)
    assert counts(page) == "nieuw 1 gewijzigd 1 geweigerd 2"
    assert "puntkomma" in page
    assert "hoort al bij iemand" in page
    assert people(office) == before
    assert office.log(f"user:{office.anna.id}") == []
    done = await run(office, page)
    assert counts(done) == counts(page)
    found = people(office)
    assert (found["bert"].numbers, str(found["anna"].licence)) == (("+31201234570", "101"), "365d")
    assert "carl" not in found
    assert office.events(f"user:{found['bert'].id}") == [("user.added", "ok")]
    [imported] = [each for each in office.log("users") if each.action == "users.imported"]
    assert imported.body["rows"] == {"added": 1, "changed": 1, "refused": 2}
    table = await results(office, done)
    assert table[0] == ["Regel", "Inlognaam", "Resultaat", "Reden"]
    assert [each[:3] for each in table[1:]] == [
        ["2", f"bert@{domain}", "nieuw"],
        ["3", f"carl@{domain}", "geweigerd"],
        ["4", "dora@elders.example", "geweigerd"],
        ["5", f"anna@{domain}", "gewijzigd"],
    ]
    assert domain in table[3][3]


async def test_how_far_it_is_stands_on_a_page_that_can_be_left_and_opened_again(
    office: Any, handed_over: list[tuple[str, dict[str, str]]]
) -> None:
    domain = office.tenant.domain
    file = "login\n" + "\n".join(f"p{n}@{domain}" for n in range(3)) + "\nno login\n"
    path = await begun(office, await sent(office, file))
    [(task, arguments)] = handed_over
    assert (task, arguments["import_id"]) == ("retention.import", path.rpartition("/")[2])
    waiting = await office.opened("boss", path)
    assert 'value="0" max="4"' in waiting
    assert "hx-trigger" in waiting.partition('id="import"')[2].partition(">")[0]
    assert path in await office.opened("boss", PAGE)
    await asyncio.to_thread(worked, office, path)
    done = await office.opened("boss", path)
    assert counts(done) == "nieuw 3 geweigerd 1"
    assert "hx-trigger" not in done.partition('id="import"')[2].partition(">")[0]
    await office.opened("anna", path, 403)


async def test_a_worker_that_is_killed_leaves_the_rest_to_the_next_one_and_no_row_is_written_twice(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed behind each row in turn, before and after what it wrote is durable."""
    domain = office.tenant.domain
    logins = [f"p{n}" for n in range(6)]
    path = await begun(office, await sent(office, "login\n" + "".join(f"{n}@{domain}\n" for n in logins)))
    settled, entered = roster_imports.settle, roll.enter
    for victim in range(6):
        for name, original, module in (("settle", settled, roster_imports), ("enter", entered, roll)):
            left = iter(range(victim % 3))

            def dies(*arguments: Any, original: Any = original, left: Any = left, **named: Any) -> None:
                original(*arguments, **named)
                if next(left, None) is None:
                    raise SystemExit

            with monkeypatch.context() as patch:
                patch.setattr(module, name, dies)
                with contextlib.suppress(SystemExit):
                    await asyncio.to_thread(worked, office, path, f"{name}-{victim}")
    await asyncio.gather(*(asyncio.to_thread(worked, office, path, name) for name in "ab"))
    found = people(office)
    assert counts(await office.opened("boss", path)) == "nieuw 6"
    for login in logins:
        assert office.events(f"user:{found[login].id}") == [("user.added", "ok")]
    assert [each.action for each in office.log("users")].count("users.imported") == 1


async def test_who_administers_no_longer_writes_no_row_more(office: Any) -> None:
    domain = office.tenant.domain
    path = await begun(office, await sent(office, f"login\np1@{domain}\n"))
    boss = office.people["boss"]
    operator = office.house.operator
    directory.set_user(operator, office.tenant.id, boss.login, now=office.now, role=Role.USER)
    await asyncio.to_thread(worked, office, path)
    directory.set_user(operator, office.tenant.id, boss.login, now=office.now, role=Role.ADMINISTRATOR)
    page = await office.opened("boss", path)
    assert counts(page) == "geweigerd 1"
    assert "geen beheerder meer" in page.partition('id="faulty"')[2]
    assert "p1" not in people(office)


async def test_what_a_row_said_goes_when_it_is_written_and_the_import_after_a_month(
    office: Any,
) -> None:
    domain = office.tenant.domain
    path = await begun(office, await sent(office, f"login;site\np1@{domain};Goes\n"))
    await asyncio.to_thread(worked, office, path)
    with office.house.worker.transaction(office.tenant.id) as connection:
        assert connection.execute(select(tables.roster_rows.c.cells)).scalars().all() == [{}]
    later = office.now + roster_imports.KEPT + timedelta(days=1)
    roster_imports.sweep(office.house.worker, office.tenant.id, now=later)
    await office.opened("boss", path, 404)


async def test_the_same_file_again_changes_nothing(office: Any) -> None:
    domain = office.tenant.domain
    file = f"login,number,site\nbert@{domain},020-1234571,Goes\nanna@{domain},,Goes\n"
    await run(office, await sent(office, file))
    page = await sent(office, file)
    assert counts(page) == "ongewijzigd 2"
    assert "Er is niets te importeren" in page
    (bert,) = [each for each in people(office).values() if each.login == "bert"]
    entries = len(office.log(f"user:{bert.id}"))
    assert counts(await run(office, page)) == "ongewijzigd 2"
    assert len(office.log(f"user:{bert.id}")) == entries


async def test_a_row_is_told_as_it_would_go_behind_the_others(office: Any) -> None:
    """Two new people with one number: the second is refused; one login twice is added and then changed."""
    domain = office.tenant.domain
    rows = (f"bert@{domain},020-1234572,", f"carl@{domain},020-1234572,", f"bert@{domain},,Goes")
    page = await sent(office, "\n".join(("login,number,site", *rows)))
    assert counts(page) == "nieuw 1 gewijzigd 1 geweigerd 1"
    assert counts(await run(office, page)) == counts(page)


async def test_whoever_a_file_is_about_waits_for_no_more_than_a_few_rows_of_it(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are tried and undone, which locks people: those of rows before are let go again meanwhile."""
    portal, tenant = office.house.portal, office.tenant
    logins = ("carl", "dora", "eve")
    known = {each: directory.add_user(portal, tenant.id, each, now=office.now) for each in logins}
    write, waited = Roll.write, []

    def look(self: Roll, connection: Connection, login: str, fields: UserFields, *, now: Any) -> Any:
        if login.startswith("eve"):
            with portal.transaction(tenant.id) as other:
                own = select(tables.users.c.id).where(tables.users.c.id == known["carl"].id)
                waited.append(other.execute(own.with_for_update(skip_locked=True)).first() is None)
        return write(self, connection, login, fields, now=now)

    monkeypatch.setattr(Roll, "write", look)
    monkeypatch.setattr(imports, "BATCH_ROWS_MAX", 2)
    lines = [f"{each}@{tenant.domain},there" for each in logins]
    page = await sent(office, "\n".join(("login,site", *lines)))
    assert counts(page) == "gewijzigd 3"
    assert waited == [False]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
async def test_spreadsheets_of_every_kind_are_read(office: Any, encoding: str, separator: str) -> None:
    rows = (("login", "site"), (f"bert@{office.tenant.domain}", "Coöperatie Zeeuwsch-Vlaanderen €"))
    page = await sent(office, "\r\n".join(map(separator.join, rows)).encode(encoding))
    assert "Coöperatie Zeeuwsch-Vlaanderen €" in html.unescape(page)
    await run(office, page)
    assert people(office)["bert"].site == "Coöperatie Zeeuwsch-Vlaanderen €"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "kolommen"),
        (b"login\n", "geen rij"),
        (b"name,age\nx,1\n", "age, name"),
        ("login\nx\n".encode("utf-16"), "UTF-16"),
        (b"login\n\x81\n", "Windows-1252"),
        (b"login\nx\0\n", "Windows-1252"),
        (b'login\n"anna', "aanhalingsteken"),
        (b"login\n" + b"a\n" * (imports.ROWS_MAX + 1), str(imports.ROWS_MAX)),
        (b"login\n" + b"a" * FILE_BYTES_MAX, "512 KB"),
    ],
)
async def test_what_is_no_file_of_people_is_told_and_nothing_is_written(
    office: Any, content: bytes, told: str
) -> None:
    before = people(office)
    page = html.unescape(await sent(office, content, status=400))
    assert told in page.partition('role="alert"')[2].partition("</section>")[0]
    assert people(office) == before
    assert office.events("users")[-1] == ("users.import-checked", "refused")


async def test_a_file_at_its_limits_is_looked_at_and_shows_all_faults_and_some_of_the_rest(
    office: Any,
) -> None:
    domain = office.tenant.domain
    rows = [f"p{n}@{domain}" for n in range(SHOWN_ROWS_MAX + 1)] + ["no login"]
    page = await sent(office, "\n".join(("login", *rows)))
    assert counts(page) == f"nieuw {SHOWN_ROWS_MAX + 1} geweigerd 1"
    assert page.count('<td class="num"') == SHOWN_ROWS_MAX + 1
    assert "En nog 1 rij" in page
    largest = ("login\n" + f"{'x' * 300}\n" * imports.ROWS_MAX)[:FILE_BYTES_MAX]
    assert counts(await sent(office, largest)).startswith("geweigerd 1.7")


async def test_without_a_file_or_with_what_no_page_sent_nothing_happens(office: Any) -> None:
    assert "Kies een CSV-bestand" in await office.opened("boss", PAGE)
    answer = await office.posted("boss", PAGE, file="")
    assert (answer.status, "Kies eerst een bestand" in await answer.text()) == (400, True)
    for wrong in ("%", "bG9naW4=x", "W1sxXV0=", "e30="):
        answer = await office.posted("boss", f"{PAGE}/run", content=wrong)
        assert answer.status == 400, wrong
    await office.opened("boss", f"{PAGE}/nothing", 404)
    await office.opened("anna", PAGE, 403)


async def test_what_a_row_says_is_text_and_in_the_table_no_formula(office: Any) -> None:
    hostile = [
        '=HYPERLINK("http://evil.example")@x',
        "<script>alert(1)</script>",
        "\u202egnp.exe",
        "'\"><img src=x>",
    ]
    file = io.StringIO()
    csv.writer(file).writerows([["login", "site"], *([each, each] for each in hostile)])
    page = await sent(office, file.getvalue())
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "\u202e" not in page
    table = await results(office, await run(office, page))
    assert len(table) == 1 + len(hostile)
    assert not [cell for each in table[1:] for cell in each if cell.startswith(("=", "+", "-", "@"))]


async def test_nobody_gets_power_by_a_file(office: Any) -> None:
    domain = office.tenant.domain
    page = await sent(office, f"login,role\nbert@{domain},auditor\nboss@{domain},user\nanna@{domain},user\n")
    assert counts(page) == "ongewijzigd 1 geweigerd 2"
    assert "twee mensen" in page
    assert "eigen rol" in page


async def test_no_key_hands_a_file_to_a_worker_who_knows_of_no_key(
    office: Any, handed_over: list[tuple[str, dict[str, str]]]
) -> None:
    """The worker writes with the powers of the person, and a key that acts as them has less."""
    house, domain = office.house, office.tenant.domain
    directory.add_user(house.operator, office.tenant.id, "audrey", now=office.now, role=Role.AUDITOR)
    scopes = ["administration", "settings"]
    key = accounts.add_api_client(
        house.operator, office.tenant.id, "as boss", scopes, now=office.now, user_id=office.boss.id
    ).key
    content = base64.b64encode(f"login,role\naudrey@{domain},user\n".encode()).decode()
    answer = await office.client.post(
        f"{PAGE}/run", data={"content": content}, headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status == 403, await answer.text()
    assert handed_over == []
    assert people(office)["audrey"].role is Role.AUDITOR


def test_every_column_is_explained() -> None:
    assert tuple(COLUMNS) == KNOWN_COLUMNS
