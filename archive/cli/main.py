"""`earwitness VERB ...`: finds the verb in a literal table and runs it.

Modules are imported only when their verb is used, so that `earwitness --help` is
quick and a role loads nothing of the others. `--data DIR` may stand before the verb
or after it.

Not here: what verbs do.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable

from archive.cli.outcome import FAILED, USAGE, explained
from archive.release import release

VERBS: dict[str, tuple[str, str, str]] = {
    "up": ("archive.cli.up", "run_up", "run everything on this machine, embedded services included"),
    "recorder": ("recorder.cli", "run_recorder", "run the role that takes and records calls"),
    "portal": ("playback_portal.cli", "run_portal", "run the role that serves pages and the HTTP API"),
    "worker": ("retention.cli", "run_worker", "run the role that does background work"),
    "install": ("archive.cli.install", "run_install", "prepare database, bucket and keys for separate roles"),
    "tenant": ("archive.cli.administration", "run_tenant", "add and list customers, and their policy"),
    "peer": ("archive.cli.administration", "run_peer", "add and list trusted session recording clients"),
    "user": ("archive.cli.people", "run_user", "add, change, list and import people"),
    "sign-in": ("archive.cli.sign_in", "run_sign_in", "single sign-on by a customer's own provider"),
    "team": ("archive.cli.teams", "run_team", "add teams and their members"),
    "do-not-record": ("archive.cli.lists", "run_do_not_record", "numbers a customer never records"),
    "exempt": ("archive.cli.lists", "run_exempt", "numbers of which nothing is kept, beside 112 and 113"),
    "api-client": ("archive.cli.administration", "run_api_client", "make a key for the HTTP API"),
    "call": ("recorder.client.cli", "run_call", "place one real recorded call, for trying and testing"),
    "recordings": ("archive.cli.recordings_commands", "run_recordings", "list, show and fetch recordings"),
    "calls": ("archive.cli.calls_commands", "run_calls", "calls under way: pause, resume, keep, start, stop"),
    "why": ("archive.cli.reasons", "run_why", "tell why a call was recorded or not"),
    "what-if": ("archive.cli.reasons", "run_what_if", "tell what would be recorded of a call, without one"),
    "quarantine": (
        "archive.cli.quarantine",
        "run_quarantine",
        "assign or destroy recordings of nobody known",
    ),
    "retention": ("retention.commands", "run_retention", "what goes when, and destroying what expired"),
    "audit": ("archive.cli.audit", "run_audit", "verify and export the audit log"),
    "evidence": ("archive.cli.evidence", "run_evidence", "take a package of evidence out, or check one"),
    "storage": (
        "retention.storage",
        "run_storage",
        "prove the lock of the bucket, read all of it again, rebuild",
    ),
    "duty": ("archive.cli.duties", "run_duty", "legal duties to keep, for which nobody can take a lock back"),
    "backup": ("retention.backups", "run_backup", "make what a restore needs: database and key store"),
    "restore": ("archive.cli.restore", "run_restore", "put a backup into the place of what was lost"),
    "drill": ("archive.cli.drill", "run_drill", "restore into an empty host and verify every recording"),
    "keys": ("archive.cli.keys", "run_keys", "keys: how they are, rotating them, passphrase and recovery"),
    "database": ("archive.cli.database", "run_database", "upgrade the data of the embedded PostgreSQL"),
    "doctor": ("archive.cli.doctor", "run_doctor", "check this machine and say what to change"),
    "demo": ("archive.cli.demo", "run_demo", "fill a running service with sample people and calls"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    given = _take_data(given)
    if not given or given[0] in {"-h", "--help", "help"}:
        print(usage())
        return 0 if given else USAGE
    if given[0] == "--version":
        print(f"earwitness {release()}")
        return 0
    verb = given[0]
    if verb not in VERBS:
        print(f"earwitness: there is no command {verb!r}; `earwitness --help` lists them.", file=sys.stderr)
        return USAGE
    return _run(verb, given[1:])


def _run(verb: str, arguments: list[str]) -> int:
    module, function, _ = VERBS[verb]
    try:
        run: Callable[[list[str]], int] = getattr(importlib.import_module(module), function)
        return run(arguments)
    except SystemExit as error:  # argparse: 0 after --help, 2 for wrong use
        return error.code if isinstance(error.code, int) else FAILED
    except KeyboardInterrupt:
        return FAILED
    except BrokenPipeError:
        # The reader went; what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        reason = explained(error)
        if reason is None:
            raise
        print(f"earwitness {verb}: {reason}", file=sys.stderr)
        return FAILED


def usage() -> str:
    """Return the overview of all verbs."""
    width = max(map(len, VERBS)) + 2
    lines = [f"  {verb:{width}}{help_text}" for verb, (_, _, help_text) in VERBS.items()]
    return "\n".join(
        [
            "usage: earwitness [--data DIR] COMMAND ...",
            "",
            "Call recording by SIPREC and a compliance archive.",
            "",
            *lines,
            "",
            "Commands find a service by --data DIR or EARWITNESS_DATA, else by EARWITNESS_* settings.",
            "example: earwitness up --data /var/lib/earwitness",
            "Each command has --help.",
        ]
    )


def _take_data(arguments: list[str]) -> list[str]:
    """Take `--data DIR` before the verb into EARWITNESS_DATA."""
    if arguments and arguments[0].startswith("--data="):
        os.environ["EARWITNESS_DATA"] = arguments[0].partition("=")[2]
        return arguments[1:]
    if len(arguments) > 1 and arguments[0] == "--data":
        os.environ["EARWITNESS_DATA"] = arguments[1]
        return arguments[2:]
    return arguments


if __name__ == "__main__":
    sys.exit(main())
