"""Check the proof of one audit entry with Python and openssl alone: docs/audit-log.md, section 8.

python3 verify_entry.py PROOF.json NAME+ID+BASE64
"""

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _root(found: bytes, place: int, last: int, path: list[bytes]) -> bytes:
    for sibling in path:  # RFC 9162 section 2.1.3.2
        if place & 1 or place == last:
            found = _sha256(b"\x01" + sibling + found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = _sha256(b"\x01" + found + sibling)
        place, last = place >> 1, last >> 1
    return b"" if last else found


def _signed(note: str, name: str, key: bytes) -> bool:
    text, _, line = note.partition("\n\n")
    der = bytes.fromhex("302a300506032b6570032100") + key
    octets = (f"{text}\n".encode(), base64.b64decode(line.split(" ")[2])[4:], der)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / part for part in ("text", "signature", "key")]
        for path, data in zip(paths, octets, strict=True):
            path.write_bytes(data)
        check = f"pkeyutl -verify -rawin -in {paths[0]} -sigfile {paths[1]} -pubin -keyform DER -inkey "
        command = ["openssl", *check.split(), str(paths[2])]
        return name == line.split(" ")[1] and not subprocess.call(command, stdout=2)  # noqa: S603


proof, (name, _, key) = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2].strip().partition("+")
entry, note = json.loads(proof["entry"]), proof["checkpoint"].split("\n")
bottom, path = _sha256(b"\0" + proof["leaf"].encode()), [bytes.fromhex(step) for step in proof["path"]]
root = _root(bottom, proof["index"], proof["size"] - 1, path)
leaf = f"{entry['sequence']} {_sha256(proof['entry'].encode()).hex()} {entry['writer']}"
body = None if proof["body"] is None else _sha256(bytes.fromhex(proof["salt"]) + proof["body"].encode()).hex()
if proof["leaf"] != leaf or body not in {None, entry["body_hash"]}:
    sys.exit("NOT PROVED: the entry or its body is another one than its leaf says")
if note[1] != str(proof["size"]) or base64.b64decode(note[2]) != root:
    sys.exit("NOT PROVED: the path does not lead to the checkpoint")
if not _signed(proof["checkpoint"], name, base64.b64decode(key.partition("+")[2])[1:]):
    sys.exit("NOT PROVED: the checkpoint is not signed by this key")
sys.stdout.write(f"PROVED: leaf {proof['index']} of {note[0]}, sealed at {note[3][5:]}\n{proof['entry']}\n")
