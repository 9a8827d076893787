"""The queue of mails on a real PostgreSQL, read back from a real mail server."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from archive.access import Right, Scope
from archive.audit import AuditWriter
from archive.catalogue import accounts, audit_entries, directory, mails, rights, share_policies
from archive.catalogue.engine import Catalogue
from archive.catalogue.mails import ATTEMPTS_MAX, FIELDS_BYTES_MAX, FORGOTTEN, KEPT, WAITED_MAX, MailState
from archive.errors import CatalogueUnavailable, Refused
from archive.mail import ATTACHMENT_BYTES_MAX, MailServer, MailUnavailable
from archive.model import ArchivedRecording, Tenant, User
from archive.post import Letter, MailPost
from archive.shared import Derivatives
from keys.envelope import new_key
from keys.local_keyring import LocalKeyring
from retention import mail as mail_module
from retention.mail import NOTED_WAITS_S, Mailer
from tests.query_plans import recorded_plans
from tests.unit.retention.mail_desk import Desk

LINK = "https://opname.example/invitation/geheim-token"


@pytest.fixture
def root() -> LocalKeyring:
    return LocalKeyring(new_key())


@pytest.fixture
def post(root: LocalKeyring, clock: Any) -> MailPost:
    return MailPost(root, clock)


@pytest.fixture
def mailer(worker: Catalogue, house: Any, clock: Any, server: MailServer, root: LocalKeyring) -> Mailer:
    audio = Derivatives(house.store, house.vault, worker)
    return Mailer(worker, AuditWriter(worker, "worker/test"), clock, server, lambda: root, lambda: audio)


@pytest.fixture
def anna(operator: Catalogue, bakery: Tenant, clock: Any) -> User:
    user = directory.add_user(operator, bakery.id, "anna", now=clock.now())
    rights.set_rights(operator, bakery.id, user.id, {Right.EMAIL: True})
    share_policies.set_policy(operator, bakery.id, files_allowed=True)
    return user


@pytest.fixture
def samples() -> Any:
    return np.random.default_rng(1).integers(-3000, 3000, (16000, 2), dtype=np.int16)


@pytest.fixture
def archived(
    house: Any, make_recording: Any, make_finished: Any, outcome_of: Any, anna: User, samples: Any
) -> ArchivedRecording:
    content = io.BytesIO()
    soundfile.write(content, samples, 8000, format="FLAC", subtype="PCM_16")
    owned = make_recording(anna.tenant_id, owner=anna.id).recording
    finished = make_finished(owned, content.getvalue())
    return house.ingest().archive(finished, outcome_of(finished))


def letter(tenant: Tenant, **changes: Any) -> Letter:
    given = {
        "tenant_id": tenant.id,
        "kind": "reset",
        "to": "anna@voorbeeld.nl",
        "language": "nl",
        "fields": {"link": LINK, "login": "anna@bakery.example", "organisation": tenant.name},
    }
    return Letter(**{**given, **changes})


def queued(portal: Catalogue, post: MailPost, wanted: Letter) -> str:
    with portal.transaction(wanted.tenant_id) as connection:
        return post.queue(connection, wanted)


def states(database: Any) -> list[tuple[Any, ...]]:
    rows = database.connect().execute("SELECT state, attempts, reason, sealed IS NULL FROM mails ORDER BY id")
    return list(rows.fetchall())


def test_a_mail_is_sent_once_and_what_it_said_is_forgotten(
    database: Any, portal: Catalogue, post: MailPost, mailer: Mailer, desk: Desk, bakery: Tenant
) -> None:
    mail_id = queued(portal, post, letter(bakery))
    assert states(database) == [("queued", 0, "", False)]
    for _ in range(3):
        mailer.send(bakery.id, mail_id)
    (mail,) = desk.mails
    assert mail["To"] == "anna@voorbeeld.nl"
    assert mail["Subject"] == "Nieuw wachtwoord kiezen"
    assert LINK in mail.get_content()
    assert states(database) == [("sent", 1, "", True)]
    log = str(list(audit_entries.of_tenant(portal, bakery.id)))
    assert "mail.sent" in log
    assert "geheim-token" not in log


def test_the_database_alone_tells_no_link(
    database: Any, portal: Catalogue, post: MailPost, bakery: Tenant
) -> None:
    queued(portal, post, letter(bakery))
    row = database.connect().execute("SELECT mails::text, sealed FROM mails").fetchone()
    assert "geheim-token" not in row[0]
    assert b"geheim-token" not in row[1]


def test_nothing_is_queued_when_the_change_is_not_made(
    database: Any, portal: Catalogue, post: MailPost, bakery: Tenant
) -> None:
    def broken_off() -> None:
        with portal.transaction(bakery.id) as connection:
            post.queue(connection, letter(bakery))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_off()
    assert states(database) == []


@pytest.mark.parametrize("to", ["geen adres", "a@b.nl\r\nBcc: c@d.nl", "a@b.nl, c@d.nl", ""])
def test_an_address_that_is_none_is_refused_when_it_is_asked(
    portal: Catalogue, post: MailPost, bakery: Tenant, to: str
) -> None:
    with pytest.raises(Refused):
        queued(portal, post, letter(bakery, to=to))


def test_what_a_mail_says_has_a_limit(portal: Catalogue, post: MailPost, bakery: Tenant) -> None:
    room = FIELDS_BYTES_MAX - len('{"x": ""}')
    queued(portal, post, letter(bakery, fields={"x": "a" * room}))
    with pytest.raises(Refused, match="too much for one mail"):
        queued(portal, post, letter(bakery, fields={"x": "a" * (room + 1)}))


def test_hostile_words_stay_text(
    database: Any, portal: Catalogue, post: MailPost, mailer: Mailer, desk: Desk, bakery: Tenant
) -> None:
    name = "Bakker\r\nBcc: dief@voorbeeld.nl\r\n\r\nX"
    database.connect().execute("UPDATE tenants SET name = %s WHERE id = %s", (name, bakery.id))
    fields = {"link": LINK, "organisation": name, "title": "{code}\r\nX: y", "endsAt": "2026-11-27T12:00:00Z"}
    mailer.send(bakery.id, queued(portal, post, letter(bakery, kind="share", fields=fields)))
    (mail,) = desk.mails
    assert mail["Bcc"] is None
    assert mail["X"] is None
    assert mail["Subject"].startswith("Bakker Bcc: dief@voorbeeld.nl X deelt")


def test_a_mail_waits_for_a_server_that_is_busy_and_is_given_up_in_the_end(
    database: Any, portal: Catalogue, post: MailPost, mailer: Mailer, desk: Desk, bakery: Tenant
) -> None:
    mail_id = queued(portal, post, letter(bakery))
    desk.answer = "451 Busy"
    for attempt in range(1, ATTEMPTS_MAX):
        with pytest.raises(MailUnavailable):
            mailer.send(bakery.id, mail_id)
        assert states(database) == [("queued", attempt, "The mail server refuses the mail (451).", False)]
    mailer.send(bakery.id, mail_id)
    assert states(database)[0][:2] == ("failed", ATTEMPTS_MAX)
    desk.answer = "250 OK"
    mailer.send(bakery.id, mail_id)
    assert desk.mails == []


def test_what_the_server_never_takes_is_given_up_at_once(
    database: Any, portal: Catalogue, post: MailPost, mailer: Mailer, desk: Desk, bakery: Tenant
) -> None:
    desk.answer = "554 No"
    mailer.send(bakery.id, queued(portal, post, letter(bakery)))
    assert states(database) == [("failed", 1, "The mail server refuses the mail (554).", True)]
    desk.answer = "250 OK"
    mailer.send(bakery.id, queued(portal, post, letter(bakery, kind="nothing")))
    assert states(database)[1][:2] == ("failed", 1)


@pytest.mark.parametrize("times", [1, len(NOTED_WAITS_S)])
def test_a_database_that_is_away_for_a_moment_after_a_mail_left_makes_nobody_get_it_twice(
    database: Any, portal: Catalogue, post: MailPost, mailer: Mailer, desk: Desk, bakery: Tenant, monkeypatch: Any,
    times: int,
) -> None:  # fmt: skip
    mail_id, settle, waited = queued(portal, post, letter(bakery)), mails.settle, []

    def away(*given: Any, **more: Any) -> None:
        assert len(desk.mails) == 1
        if len(waited) < times:
            raise CatalogueUnavailable("The database is away.")
        settle(*given, **more)

    monkeypatch.setattr(mails, "settle", away)
    monkeypatch.setattr(mail_module, "time", SimpleNamespace(sleep=waited.append))
    mailer.send(bakery.id, mail_id)
    mailer.send(bakery.id, mail_id)
    assert len(desk.mails) == 1
    assert states(database) == [("sent", 1, "", True)]
    assert waited == list(NOTED_WAITS_S[:times])


def test_one_that_breaks_while_it_is_made_is_given_up_and_keeps_no_words(
    database: Any, portal: Catalogue, post: MailPost, mailer: Mailer, bakery: Tenant, monkeypatch: Any
) -> None:
    """No job comes back for it: what it said would stay in the database for ever."""
    mail_id = queued(portal, post, letter(bakery))
    with monkeypatch.context() as patch:
        patch.setattr("retention.mail.filled", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            mailer.send(bakery.id, mail_id)
    assert states(database) == [("failed", 1, "It could not be made (ZeroDivisionError).", True)]
    assert "mail.failed" in str(list(audit_entries.of_tenant(portal, bakery.id)))


def test_one_that_was_tried_and_waits_for_days_is_given_up(
    database: Any, portal: Catalogue, post: MailPost, mailer: Mailer, desk: Desk, bakery: Tenant, clock: Any
) -> None:
    """Its job is gone, with whatever it ran on."""
    mail_id = queued(portal, post, letter(bakery))
    desk.answer = "451 Busy"
    with pytest.raises(MailUnavailable):
        mailer.send(bakery.id, mail_id)
    clock.moment += WAITED_MAX
    assert mailer.forgotten(bakery.id) == []
    assert states(database)[0][0] == "queued"
    clock.moment += timedelta(seconds=1)
    assert mailer.forgotten(bakery.id) == []
    assert states(database) == [("failed", 1, "It could not be sent for days.", True)]


def test_what_waits_is_found_among_all_that_was_sent_by_an_index_of_its_own(
    database: Any, worker: Catalogue, mailer: Mailer, bakery: Tenant, clock: Any
) -> None:
    """It is looked for each minute, of each customer."""
    admin = database.connect()
    admin.execute(
        "INSERT INTO mails (id, tenant_id, actor, kind, recipient, language, state, attempts, reason, queued_at,"
        " settled_at) SELECT 'm' || n, %s, 'service:worker', 'report', 'a@b.example', 'nl', 'sent', 1, '', %s, %s"
        " FROM generate_series(1, 5000) n",
        (bakery.id, clock.now() - timedelta(days=9), clock.now()),
    )
    admin.execute("ANALYZE mails")
    with recorded_plans(worker) as plans:
        assert mailer.forgotten(bakery.id) == []
    looked = [each for each in plans if "mails.state = 'queued'" in each.statement]
    assert [each.indexes for each in looked] == [{"mails_tenant_id_queued_at_idx"}] * 2
    assert max(each.rows_read for each in looked) == 0


def test_settled_mails_are_forgotten_after_a_while(
    database: Any, portal: Catalogue, post: MailPost, mailer: Mailer, bakery: Tenant, clock: Any
) -> None:
    mailer.send(bakery.id, queued(portal, post, letter(bakery)))
    clock.moment += KEPT
    mailer.forgotten(bakery.id)
    assert len(states(database)) == 1
    clock.moment += timedelta(seconds=1)
    mailer.forgotten(bakery.id)
    assert states(database) == []


@pytest.mark.parametrize("form", ["flac", "wav"])
def test_a_recording_leaves_as_a_file_once_its_entry_is_durable(
    portal: Catalogue,
    post: MailPost,
    mailer: Mailer,
    desk: Desk,
    bakery: Tenant,
    anna: User,
    archived: ArchivedRecording,
    samples: Any,
    form: str,
) -> None:
    mailer.send(bakery.id, queued(portal, post, file_letter(bakery, anna, archived, form)))
    (mail,) = desk.mails
    (file,) = mail.iter_attachments()
    assert file.get_filename() == f"{archived.recording.id}.{form}"
    assert file.get_content_type() == f"audio/{form}"
    heard, rate = soundfile.read(io.BytesIO(file.get_content()), dtype="int16")
    assert rate == 8000
    assert np.array_equal(heard, samples)
    done = audit_entries.of_object(portal, bakery.id, f"recording:{archived.recording.id}")
    made = [(entry.actor, entry.action, entry.result) for entry in done[-2:]]
    assert made == [(f"user:{anna.id}", "recording.mailed", "ok"), ("service:worker", "mail.sent", "ok")]
    assert mails.of_recording(portal, bakery.id, archived.recording.id)[0].state is MailState.SENT


def file_letter(tenant: Tenant, sender: User, archived: ArchivedRecording, form: str = "flac") -> Letter:
    fields = {"organisation": tenant.name, "format": form, "startedAt": "2026-11-22T09:30:00Z"}
    return letter(
        tenant,
        kind="file",
        fields=fields,
        recording_id=archived.recording.id,
        actor=f"user:{sender.id}",
    )


@pytest.mark.parametrize("taken", ["right", "policy", "person"])
def test_a_right_that_was_taken_away_meanwhile_counts(
    database: Any,
    operator: Catalogue,
    portal: Catalogue,
    post: MailPost,
    mailer: Mailer,
    desk: Desk,
    bakery: Tenant,
    anna: User,
    archived: ArchivedRecording,
    taken: str,
) -> None:
    mail_id = queued(portal, post, file_letter(bakery, anna, archived))
    if taken == "right":
        rights.set_rights(operator, bakery.id, anna.id, {Right.EMAIL: False})
    elif taken == "policy":
        share_policies.set_policy(operator, bakery.id, files_allowed=False)
    else:
        database.connect().execute("UPDATE users SET access = 'none'")
    mailer.send(bakery.id, mail_id)
    assert desk.mails == []
    assert states(database)[0][0] == "failed"


@pytest.mark.parametrize("taken", ["nothing", "scope", "client"])
def test_a_program_that_is_gone_meanwhile_or_may_no_longer_sends_no_file(
    database: Any,
    operator: Catalogue,
    portal: Catalogue,
    post: MailPost,
    mailer: Mailer,
    desk: Desk,
    bakery: Tenant,
    anna: User,
    archived: ArchivedRecording,
    clock: Any,
    taken: str,
) -> None:
    scopes = (Scope.RECORDINGS_READ, Scope.RECORDINGS_PLAY, Scope.RECORDINGS_EMAIL)
    program = accounts.add_api_client(operator, bakery.id, "crm", scopes, now=clock.now())
    wanted = replace(file_letter(bakery, anna, archived), actor=f"api-client:{program.id}")
    mail_id = queued(portal, post, wanted)
    if taken == "scope":
        database.connect().execute("UPDATE api_clients SET scopes = ARRAY['recordings:read']")
    elif taken == "client":
        database.connect().execute("DELETE FROM api_clients")
    mailer.send(bakery.id, mail_id)
    assert len(desk.mails) == (1 if taken == "nothing" else 0)
    assert states(database)[0][0] == ("sent" if taken == "nothing" else "failed")


def test_a_recording_that_does_not_decode_fails_and_its_sender_sees_why(
    portal: Catalogue,
    post: MailPost,
    mailer: Mailer,
    desk: Desk,
    bakery: Tenant,
    anna: User,
    make_recording: Any,
    make_finished: Any,
    outcome_of: Any,
    house: Any,
) -> None:
    finished = make_finished(make_recording(bakery.id, owner=anna.id).recording, b"fLaC, and no more")
    broken = house.ingest().archive(finished, outcome_of(finished))
    mailer.send(bakery.id, queued(portal, post, file_letter(bakery, anna, broken, "wav")))
    assert desk.mails == []
    (told,) = mails.of_recording(portal, bakery.id, broken.recording.id)
    assert (told.state, told.reason) == (
        MailState.FAILED,
        "The recording can't be decoded for a WAV: send FLAC, and report it.",
    )


def test_a_file_too_large_for_a_mail_is_given_up(
    database: Any,
    portal: Catalogue,
    post: MailPost,
    mailer: Mailer,
    desk: Desk,
    bakery: Tenant,
    anna: User,
    archived: ArchivedRecording,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ATTACHMENT_BYTES_MAX == 15 * 1024 * 1024
    monkeypatch.setattr(mail_module, "ATTACHMENT_BYTES_MAX", 1000)
    mailer.send(bakery.id, queued(portal, post, file_letter(bakery, anna, archived)))
    assert desk.mails == []
    assert states(database)[0][2] == "The recording is too long for a mail: share a play link."


def test_without_a_mail_server_a_mail_fails_and_says_what_to_set(
    database: Any, portal: Catalogue, worker: Catalogue, post: MailPost, clock: Any, bakery: Tenant, root: Any
) -> None:
    nobody: Callable[[], Any] = lambda: root  # noqa: E731
    mailer = Mailer(worker, AuditWriter(worker, "worker/test"), clock, None, nobody, nobody)
    mailer.send(bakery.id, queued(portal, post, letter(bakery)))
    assert states(database)[0][2] == "No mail is sent from here: set EARWITNESS_SMTP_URL."


def test_a_mail_nobody_took_up_is_found_and_one_that_was_tried_is_not(
    portal: Catalogue, post: MailPost, mailer: Mailer, desk: Desk, bakery: Tenant, florist: Tenant, clock: Any
) -> None:
    mail_id = queued(portal, post, letter(bakery))
    clock.moment += FORGOTTEN
    assert mailer.forgotten(bakery.id) == []
    clock.moment += timedelta(seconds=1)
    assert mailer.forgotten(bakery.id) == [mail_id]
    assert mailer.forgotten(florist.id) == []
    desk.answer = "451 Busy"
    with pytest.raises(MailUnavailable):
        mailer.send(bakery.id, mail_id)
    assert mailer.forgotten(bakery.id) == []
