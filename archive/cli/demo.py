"""`earwitness demo`: sample people in each mode, sample calls by real SIP and RTP, and what became of them.

It calls other verbs as commands and nothing else, so that it can do nothing a person
can't, and shows how. Running it again uses the same people and places new calls.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from archive.cli.api import Api, Document
from archive.cli.outcome import DONE, FAILED, Row, parser, table
from archive.cli.service import add_data, service_of
from archive.errors import Refused
from archive.settings import parse_listeners

DOMAIN = "demo.example"
SECONDS = 8
COMMAND_TIMEOUT_S = 60.0
ARCHIVED_TIMEOUT_S = 90.0  # the whole of `make run` has three minutes
POLL_INTERVAL_S = 0.5
SCOPES = (
    "recordings:read",
    "recordings:play",
    "recordings:download",
    "sessions:read",
    "calls:read",
    "calls:control",
    "administration",
)
EXEMPT = "112"
GROUNDS = (
    "--purpose", "To try the service with sample calls that nobody holds",
    "--legal-basis", "consent",
    "--notice-nl", "Dit zijn voorbeeldgesprekken met gemaakte stemmen. Ze worden opgenomen.",
    "--notice-en", "These are sample calls with made voices. They are recorded.",
    "--told-by", "privacy-statement",
)  # fmt: skip
"""Why the sample calls are recorded: nobody is, before that is written down."""


@dataclass(frozen=True)
class Person:
    """A sample account."""

    login: str
    number: str
    mode: str
    licence: str
    may: str
    role: str = "user"


PEOPLE = (
    Person("anna", "+31201110001", "always", "90d", "hears her own"),
    Person("bram", "+31201110002", "always-pause", "365d", "hears his own"),
    Person("carla", "+31201110003", "on-demand", "7y-1000", "hears her own"),
    Person("dirk", "+31201110004", "on-demand-start", "7y-3500", "hears his own"),
    Person("eva", "+31201110005", "never", "none", "leads the team: hears Anna and Bram"),
    Person("auditor", "", "never", "none", "hears all, changes nothing *", role="auditor"),
    Person("beheer", "", "never", "none", "users, teams and rights; hears nothing *", role="administrator"),
)

TEAM = "Verkoop"
MEMBERS = (("anna", "contributor"), ("bram", "contributor"), ("eva", "manager"))
"""Whoever comes later is not heard from before; so the team stands before the calls are placed."""

SECOND_STEP = (
    "* needs a second step: after the password, add a passkey or scan a picture with an authenticator app."
)


@dataclass(frozen=True)
class SampleCall:
    """A call to place; `more` are further options of `earwitness call`."""

    caller: str
    callee: str
    shows: str
    more: tuple[str, ...] = ()


CALLS = (
    SampleCall("+31201110001", "+31612345678", "always: out"),
    SampleCall("+31612345678", "+31201110001", "always: in", ("--transport", "tcp")),
    SampleCall("+31201110001", "+31201110002", "internal: a recording each"),
    SampleCall(
        "+31201110002", "+31612345678", "paused by *48, resumed", ("--press", "2:*48", "--press", "5:*49")
    ),
    SampleCall("+31201110003", "+31612345678", "on demand, nobody kept it"),
    SampleCall("+31201110003", "+31687654321", "on demand, kept by *44", ("--press", "4:*44")),
    SampleCall("+31201110004", "+31612345678", "on demand, nobody started it"),
    SampleCall("+31201110004", "+31687654321", "on demand, started by *44", ("--press", "3:*44")),
    SampleCall("+31201110005", "+31612345678", "never"),
    SampleCall("+31201110001", EXEMPT, "always, but 112 is never recorded"),
)


def run_demo(arguments: list[str]) -> int:
    """Fill a running service, wait until its calls are archived, and print what became of them."""
    made = parser(
        "demo",
        "Add sample people and place sample calls; for trying only.",
        "earwitness demo --data .data",
    )
    add_data(made)
    options = made.parse_args(arguments)
    service = service_of(options)
    if service is None:
        raise Refused("The demo needs a service of `earwitness up`: earwitness demo --data DIR")
    verbs = Verbs(options.data)
    _tell("sample people and their modes")
    passwords = _people(verbs)
    _team(verbs)
    key = str(
        verbs.data(
            "api-client", "add", f"demo {secrets.token_hex(3)}", "--tenant", DOMAIN, "--scope", *SCOPES
        )["key"]
    )
    _tell(f"{len(CALLS)} calls at the same time, {SECONDS} s each, spoken")
    call_ids = _place(verbs, _address_of(service.sip))
    _tell("waiting until they are archived")
    options.url, options.key = service.portal_url, key
    api = Api(options)
    sessions = _wait(api.get, call_ids)
    print(f"\n{table(_results(api, call_ids, sessions))}\n")
    _print_logins(service.portal_url, passwords, key)
    return DONE if len(sessions) == len(CALLS) - 1 else FAILED


class Verbs:
    """Runs verbs of `earwitness` as commands on one data directory."""

    def __init__(self, data: Path) -> None:
        self.data_directory = data

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a verb and return its exit code and output."""
        return subprocess.run(  # noqa: S603 - our own command
            self.command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            input=given,
            timeout=COMMAND_TIMEOUT_S,
        )

    def data(self, *arguments: str, given: str = "") -> Document:
        """Run a verb with `--json` and return what it prints; raises Refused with its reason."""
        ran = self.run(*arguments, "--data", str(self.data_directory), "--json", given=given)
        if ran.returncode != DONE:
            raise Refused(ran.stderr.strip() or f"{arguments[0]} ended with {ran.returncode}.")
        document = json.loads(ran.stdout)
        return document if isinstance(document, dict) else {"items": document}

    @staticmethod
    def command(*arguments: str) -> list[str]:
        """Return the command line of a verb."""
        return [sys.executable, "-m", "archive.cli.main", *arguments]


def _people(verbs: Verbs) -> dict[str, str]:
    """Make tenant, peer and people where they are missing; return new passwords by login."""
    if DOMAIN not in _values(verbs.data("tenant", "list"), "domain"):
        verbs.data("tenant", "add", "Demo", "--domain", DOMAIN)
        verbs.data("tenant", "grounds", DOMAIN, *GROUNDS)
    if "demo-exchange" not in _values(verbs.data("peer", "list"), "name"):
        verbs.data(
            "peer",
            "add",
            "demo-exchange",
            "--address",
            "127.0.0.0/8",
            "--tenant",
            DOMAIN,
            "--star-codes",
            "on",
        )
    known = _values(verbs.data("user", "list", "--tenant", DOMAIN), "login")
    passwords = {}
    for person in PEOPLE:
        login = f"{person.login}@{DOMAIN}"
        passwords[login] = secrets.token_urlsafe(12)
        fields = ["--mode", person.mode, "--licence", person.licence, "--role", person.role]
        fields += ["--number", person.number] if person.number else []
        verb = "set" if login in known else "add"
        verbs.data("user", verb, login, *fields, "--password-stdin", given=passwords[login])
    return passwords


def _team(verbs: Verbs) -> None:
    """Make the team with its members; what is there already stays."""
    # Refused the second time, for it is there; were it not, putting somebody in would say so.
    verbs.run("team", "add", TEAM, "--tenant", DOMAIN, "--data", str(verbs.data_directory))
    for login, capacity in MEMBERS:
        verbs.data("team", "member", TEAM, f"{login}@{DOMAIN}", "--as", capacity)


def _values(document: Document, name: str) -> set[str]:
    items = document["items"]
    return {str(item[name]) for item in items} if isinstance(items, list) else set()


def _address_of(sip: str) -> str:
    """Return where calls are offered without TLS, for which the demo would need an authority."""
    for transport, host, port in parse_listeners(sip):
        if transport == "udp":
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    raise Refused("The demo places its calls by UDP: name an address without `tls:` in --sip, too.")


def _place(verbs: Verbs, sip: str) -> dict[str, SampleCall]:
    """Place all calls at once; return them by Call-ID."""
    calls = {f"{secrets.token_hex(8)}@demo.example": call for call in CALLS}
    running = []
    for call_id, call in calls.items():
        words = ("--to", sip, "--caller", call.caller, "--callee", call.callee, "--seconds", str(SECONDS))
        command = verbs.command("call", *words, "--call-id", call_id, *call.more)
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))  # noqa: S603 - our own command
    for process, call in zip(running, CALLS, strict=True):
        code = process.wait(COMMAND_TIMEOUT_S)
        print(f"    {call.caller:>14} -> {call.callee:14} {'done' if code == DONE else 'failed'}", flush=True)
    return calls


def _wait(get: Callable[..., Document], calls: dict[str, SampleCall]) -> dict[str, Document]:
    """Return the outcome of each call but the exempt one, which must never get one, by Call-ID."""
    deadline = time.monotonic() + ARCHIVED_TIMEOUT_S
    while True:
        page = get("/v1/sessions", limit=200)["items"]
        items: Sequence[Document] = page if isinstance(page, list) else []
        found = {str(item["callId"]): item for item in items if item["callId"] in calls}
        if len(found) >= len(calls) - 1 or time.monotonic() > deadline:
            return found
        time.sleep(POLL_INTERVAL_S)


def _results(api: Api, calls: dict[str, SampleCall], sessions: dict[str, Document]) -> list[Row]:
    return [_result(api.get, call, sessions.get(call_id)) for call_id, call in calls.items()]


def _result(get: Callable[[str], Document], call: SampleCall, session: Document | None) -> Row:
    row: dict[str, str] = {"from": call.caller, "to": call.callee, "shows": call.shows}
    if session is None:
        became = "no trace of it anywhere" if call.callee == EXEMPT else "not archived in time"
        return {
            **row,
            "became": became,
            "why": "exempt" if call.callee == EXEMPT else "see `earwitness doctor`",
            "seconds": "-",
        }
    ids = session["recordingIds"]
    recordings = [get(f"/v1/recordings/{each}") for each in ids] if isinstance(ids, list) else []
    seconds = [_lengths(each) for each in recordings]
    return {
        **row,
        "became": str(session["outcome"]),
        "why": str(session["reason"]),
        "seconds": " + ".join(seconds) or "-",
    }


def _lengths(recording: Document) -> str:
    """Return how long a recording is, how much of it was paused, and its state."""
    spans = recording["spans"]
    pauses = [each for each in spans if each["kind"] == "pause"] if isinstance(spans, list) else []
    paused_ms = sum(each["toMs"] - each["fromMs"] for each in pauses if each["channel"] != "b")
    paused = f", {paused_ms / 1000:.1f} paused" if paused_ms else ""
    return f"{int(str(recording['durationMs'])) / 1000:.1f}{paused} ({recording['state']})"


def _print_logins(portal_url: str, passwords: dict[str, str], key: str) -> None:
    print(f"Portal and API: {portal_url}\n")
    print("Open it in a browser and sign in:")
    logins = ((person, f"{person.login}@{DOMAIN}") for person in PEOPLE)
    print(
        table([{"login": login, "password": passwords[login], "may": person.may} for person, login in logins])
    )
    print(f"{SECOND_STEP}\n")
    print(f"API key: {key}")
    print(f"try: curl -H 'Authorization: Bearer {key}' {portal_url}/v1/recordings", flush=True)


def _tell(line: str) -> None:
    print(f"  demo: {line}", flush=True)
