// The proof that an entry stands in the sealed audit log: docs/audit-log.md, section 8.
import { base64, fromBase64, octetsOf, sha256 } from "./bag";

export interface Proof {
  readonly entry: string;
  readonly salt: string | null;
  readonly body: string | null;
  readonly leaf: string;
  readonly index: number;
  readonly size: number;
  readonly path: readonly string[];
  readonly checkpoint: string;
}

const KEY_BYTES = 32;
const KEY_ID_BYTES = 4;

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.byteLength, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.byteLength;
  }
  return whole;
}

const utf8 = (written: string): Uint8Array => new TextEncoder().encode(written);

async function node(left: Uint8Array, right: Uint8Array): Promise<Uint8Array> {
  return octetsOf(await sha256(joined(Uint8Array.of(1), left, right)));
}

/** Climb from a leaf to the root (RFC 9162, 2.1.3.2); null when the path has another length than the tree. */
async function rootOf(bottom: Uint8Array, proof: Proof): Promise<Uint8Array | null> {
  let [found, place, last] = [bottom, proof.index, proof.size - 1];
  for (const step of proof.path) {
    const sibling = octetsOf(step);
    if (place % 2 === 1 || place === last) {
      found = await node(sibling, found);
      while (place !== 0 && place % 2 === 0) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
    } else {
      found = await node(found, sibling);
    }
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  return last === 0 ? found : null;
}

/** Return the key of a log from its line `name+id+base64`; throws where the browser knows no Ed25519. */
export async function logKey(line: string): Promise<{ name: string; key: CryptoKey }> {
  // Base64 may hold a plus itself: the first two part the line.
  const [name, , ...rest] = line.trim().split("+");
  const octets = fromBase64(rest.join("+"));
  if (name === undefined || octets.byteLength !== KEY_BYTES + 1) throw new Error("no key");
  return { name, key: await crypto.subtle.importKey("raw", octets.slice(1), { name: "Ed25519" }, false, ["verify"]) };
}

async function isSigned(note: string, name: string, key: CryptoKey): Promise<boolean> {
  const parting = note.indexOf("\n\n");
  const [, signer, written] = note.slice(parting + 2).trimEnd().split(" ");
  if (parting < 0 || signer !== name || written === undefined) return false;
  const signature = fromBase64(written).slice(KEY_ID_BYTES);
  return crypto.subtle.verify({ name: "Ed25519" }, key, signature, joined(utf8(note.slice(0, parting + 1))));
}

/** Tell whether a proof leads from its entry to a checkpoint signed by this key. */
export async function isProved(proof: Proof, name: string, key: CryptoKey): Promise<boolean> {
  const entry = JSON.parse(proof.entry) as { sequence: number; writer: string; body_hash: string };
  const leaf = `${entry.sequence} ${await sha256(joined(utf8(proof.entry)))} ${entry.writer}`;
  if (leaf !== proof.leaf) return false;
  if (proof.body !== null && proof.salt !== null) {
    if ((await sha256(joined(octetsOf(proof.salt), utf8(proof.body)))) !== entry.body_hash) return false;
  }
  const bottom = octetsOf(await sha256(joined(Uint8Array.of(0), utf8(proof.leaf))));
  const root = await rootOf(bottom, proof);
  const [, size, signedRoot] = proof.checkpoint.split("\n");
  if (root === null || size !== String(proof.size) || signedRoot !== base64(root)) return false;
  return isSigned(proof.checkpoint, name, key);
}
