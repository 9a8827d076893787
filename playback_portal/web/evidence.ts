// Checks a package of evidence, as archive/evidence/verification.py and verify.sh do, and the proofs of its
// custody too. Everything is read from the file itself; nothing goes anywhere.
import type { Certificate } from "pkijs";
import * as bag from "./bag";
import { NotSigned, certificatesIn, isIssuedBy, nameOf, signerOf, stampedAt } from "./cms";
import { type Proof, isProved, logKey } from "./merkle";
import { type Entry, Fault, entriesOf, read } from "./zip";

export type Check = "container" | "files" | "signature" | "stamp" | "hashes" | "asic" | "log";
export type State = "runs" | "ok" | "failed" | "none" | "unknown";

/** Whom the one who checks trusts; without `stamping` the certificate in the package counts, and that is told. */
export interface Trust {
  readonly authority: Certificate;
  readonly stamping: readonly Certificate[];
}

/** What a check says beside its faults: a word of the page and what is filled in. */
export interface Said {
  readonly word: string;
  readonly name?: string;
  readonly count?: number;
  readonly total?: number;
}

export interface Told {
  check(check: Check, state: State, faults: readonly Fault[], said: readonly Said[]): void;
  progress(done: number, total: number): void;
}

/** A manifest of a full package has some 30 MB. */
const SMALL_BYTES_MAX = 64 * 1024 * 1024;
const LOG_KEY = "verify/audit-log-key.txt";
const STAMPERS = "verify/timestamp-authority.pem";
const RECORDING = /^data\/recordings\/[^/]+\/proofs\.jsonl$/;

class Package {
  readonly hashes = new Map<string, string>();

  constructor(private readonly blob: Blob, readonly entries: ReadonlyMap<string, Entry>) {}

  has(name: string): boolean {
    return this.entries.has(name);
  }

  async small(name: string): Promise<ArrayBuffer> {
    const entry = this.entries.get(name);
    if (entry === undefined) throw new Fault("missing", name);
    return read(this.blob, entry, SMALL_BYTES_MAX);
  }

  async hash(entry: Entry): Promise<string> {
    const found = await bag.sha256(await read(this.blob, entry));
    this.hashes.set(entry.name, found);
    return found;
  }
}

/** Check a package and tell what was found, check by check. */
export async function check(blob: Blob, trust: Trust, now: Date, told: Told): Promise<void> {
  const found = await container(blob, told);
  if (found === null) return;
  const { lists, stamped } = await files(found, told);
  const at = await signature(found, trust, stamped, now, told);
  await hashes(found, lists, told);
  await asic(found, trust, at, told);
  await log(found, told);
}

function faultOf(error: unknown, name: string): Fault {
  return error instanceof Fault ? error : new Fault("unreadable", name);
}

function conclude(told: Told, which: Check, faults: readonly Fault[], said: readonly Said[] = [], sound: State = "ok"): void {
  told.check(which, faults.length > 0 ? "failed" : sound, faults, said);
}

async function container(blob: Blob, told: Told): Promise<Package | null> {
  told.check("container", "runs", [], []);
  try {
    const entries = await entriesOf(blob);
    const faults = entries.flatMap((entry) => [
      ...(bag.isName(entry.name) ? [] : [new Fault("bad-name", entry.name)]),
      ...(entry.isPlainFile ? [] : [new Fault("no-file", entry.name)]),
    ]);
    const known = new Map<string, Entry>();
    for (const entry of entries) {
      if (known.has(entry.name)) faults.push(new Fault("twice", entry.name));
      known.set(entry.name, entry);
    }
    const first = entries[0];
    const isFirst = first?.name === bag.MIMETYPE && first.method === 0 && !first.hasExtra;
    if (known.has(bag.MIMETYPE) && !isFirst) faults.push(new Fault("not-first", bag.MIMETYPE));
    conclude(told, "container", faults, [{ word: "counted", count: known.size }]);
    return new Package(blob, known);
  } catch (error) {
    conclude(told, "container", [faultOf(error, "?")]);
    return null;
  }
}

interface Listed {
  readonly lists: ReadonlyMap<string, string>;
  /** Whether a time-stamp belongs to the package; null if it does not say. */
  readonly stamped: boolean | null;
}

async function files(found: Package, told: Told): Promise<Listed> {
  told.check("files", "runs", [], []);
  const faults: Fault[] = [];
  const list = async (name: string): Promise<Map<string, string>> => {
    try {
      return bag.listed(await found.small(name), name);
    } catch (error) {
      faults.push(faultOf(error, name));
      return new Map<string, string>();
    }
  };
  const [tags, payload] = [await list(bag.TAG_MANIFEST), await list(bag.MANIFEST)];
  let stamped: boolean | null = null;
  try {
    stamped = bag.requiresStamp(await found.small(bag.BAG_INFO));
    if (stamped === null) faults.push(new Fault("no-requirement", bag.BAG_INFO));
  } catch (error) {
    faults.push(faultOf(error, bag.BAG_INFO));
  }
  const lists = new Map([...payload, ...tags]);
  const isContainer = bag.ASIC_FILES.some((name) => found.has(name));
  const stamps = stamped === true ? [bag.TIMESTAMP, bag.TIMESTAMP_SIGNATURE] : [];
  const own = [bag.TAG_MANIFEST, bag.SIGNATURE, ...stamps, ...(isContainer ? bag.ASIC_FILES : [])];
  const expected = new Set([...lists.keys(), ...own]);
  for (const name of payload.keys()) if (!name.startsWith(bag.PAYLOAD)) faults.push(new Fault("no-evidence", name));
  for (const name of [bag.BAGIT, bag.BAG_INFO, bag.MANIFEST]) if (!tags.has(name)) faults.push(new Fault("unexplained", name));
  const reported = new Set(faults.filter((each) => each.word === "missing").map((each) => each.name));
  for (const name of expected) if (!found.has(name) && !reported.has(name)) faults.push(new Fault("missing", name));
  for (const name of found.entries.keys()) if (!expected.has(name)) faults.push(new Fault("not-listed", name));
  conclude(told, "files", faults);
  return { lists, stamped };
}

/** Check signature and time-stamp; return the moment by which certificates are judged. */
async function signature(found: Package, trust: Trust, stamped: boolean | null, now: Date, told: Told): Promise<Date> {
  told.check("signature", "runs", [], []);
  let octets: ArrayBuffer;
  let content: ArrayBuffer;
  try {
    [octets, content] = [await found.small(bag.SIGNATURE), await found.small(bag.TAG_MANIFEST)];
  } catch (error) {
    conclude(told, "signature", [faultOf(error, bag.SIGNATURE)]);
    conclude(told, "stamp", [], [], "unknown");
    return now;
  }
  const at = await stamp(found, trust, stamped, octets, told);
  try {
    const signer = await signerOf(octets, content);
    const isKnown = await isIssuedBy(signer, trust.authority, at ?? now);
    const said = isKnown ? [{ word: "signer", name: nameOf(signer) }] : [];
    conclude(told, "signature", isKnown ? [] : [new Fault("stranger", bag.SIGNATURE)], said);
  } catch {
    conclude(told, "signature", [new Fault("not-signed", bag.SIGNATURE)]);
  }
  return at ?? now;
}

async function stamp(found: Package, trust: Trust, stamped: boolean | null, signed: ArrayBuffer, told: Told): Promise<Date | null> {
  if (!found.has(bag.TIMESTAMP)) {
    const missing = stamped === false ? [] : [new Fault("missing", bag.TIMESTAMP)];
    conclude(told, "stamp", missing, stamped === false ? [{ word: "not-required" }] : [], "none");
    return null;
  }
  told.check("stamp", "runs", [], []);
  try {
    const isPublished = trust.stamping.length > 0;
    const roots = isPublished ? trust.stamping : certificatesIn(bag.text(await found.small(STAMPERS)));
    const token = await found.small(bag.TIMESTAMP);
    const at = await stampedAt(token, signed, roots);
    await requireStampSigned(found, token, trust, at);
    const said = [{ word: "stamped", name: at.toISOString() }, ...(isPublished ? [] : [{ word: "stamper-inside" }])];
    conclude(told, "stamp", [], said);
    return at;
  } catch (error) {
    conclude(told, "stamp", [error instanceof Fault ? error : new Fault("not-stamped", bag.TIMESTAMP)]);
    return null;
  }
}

/** Words of the answer around the stamp are signed by nobody but us; throws Fault. */
async function requireStampSigned(found: Package, token: ArrayBuffer, trust: Trust, at: Date): Promise<void> {
  const signer = await signerOf(await found.small(bag.TIMESTAMP_SIGNATURE), token).catch(() => null);
  if (signer === null) throw new Fault("not-signed", bag.TIMESTAMP_SIGNATURE);
  if (!(await isIssuedBy(signer, trust.authority, at))) throw new Fault("stranger", bag.TIMESTAMP_SIGNATURE);
}

async function hashes(found: Package, lists: ReadonlyMap<string, string>, told: Told): Promise<void> {
  told.check("hashes", "runs", [], []);
  const faults: Fault[] = [];
  const wanted = [...found.entries.values()].filter((entry) => !bag.ASIC_FILES.includes(entry.name));
  const total = wanted.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  let done = 0;
  for (const entry of wanted) {
    told.progress(done, total);
    try {
      const hash = await found.hash(entry);
      const listed = lists.get(entry.name);
      if (listed !== undefined && listed !== hash) faults.push(new Fault("changed", entry.name));
    } catch (error) {
      faults.push(faultOf(error, entry.name));
    }
    done += entry.sizeBytes;
  }
  told.progress(total, total);
  const tooLarge = faults.every((each) => each.word === "too-large");
  told.check("hashes", faults.length === 0 ? "ok" : tooLarge ? "unknown" : "failed", faults, []);
}

async function asic(found: Package, trust: Trust, at: Date, told: Told): Promise<void> {
  if (!bag.ASIC_FILES.some((name) => found.has(name))) {
    conclude(told, "asic", [], [{ word: "plain-zip" }], "none");
    return;
  }
  if (found.hashes.size + bag.ASIC_FILES.length < found.entries.size && bag.ASIC_FILES.every((name) => found.has(name))) {
    // A file that could not be hashed is told already, and without it nothing is known of the container.
    told.check("asic", "unknown", [], []);
    return;
  }
  told.check("asic", "runs", [], []);
  const faults: Fault[] = [];
  try {
    if (bag.text(await found.small(bag.MIMETYPE)) !== bag.ASIC_TYPE) faults.push(new Fault("changed", bag.MIMETYPE));
    const manifest = await found.small(bag.ASIC_MANIFEST);
    if (bag.text(manifest) !== bag.asicManifest(found.hashes)) faults.push(new Fault("not-of-files", bag.ASIC_MANIFEST));
    const signer = await signerOf(await found.small(bag.ASIC_SIGNATURE), manifest);
    if (!(await isIssuedBy(signer, trust.authority, at))) faults.push(new Fault("stranger", bag.ASIC_SIGNATURE));
  } catch (error) {
    faults.push(error instanceof NotSigned ? new Fault("not-signed", bag.ASIC_SIGNATURE) : faultOf(error, bag.ASIC_MANIFEST));
  }
  conclude(told, "asic", faults);
}

/** Check that the entries of each custody that were sealed by then lead to a checkpoint signed by the log's key. */
async function log(found: Package, told: Told): Promise<void> {
  told.check("log", "runs", [], []);
  const proofs = [...found.entries.keys()].filter((name) => RECORDING.test(name));
  let key: Awaited<ReturnType<typeof logKey>>;
  try {
    const line = found.has(LOG_KEY) ? bag.text(await found.small(LOG_KEY)) : "";
    if (line.trim() === "" || proofs.length === 0) {
      conclude(told, "log", [], [{ word: "no-proofs" }], "none");
      return;
    }
    key = await logKey(line);
  } catch (error) {
    const isUnknown = error instanceof DOMException && error.name === "NotSupportedError";
    told.check("log", isUnknown ? "unknown" : "failed", [isUnknown ? new Fault("no-ed25519") : new Fault("unreadable", LOG_KEY)], []);
    return;
  }
  const faults: Fault[] = [];
  let [count, total] = [0, 0];
  for (const name of proofs) {
    const custody = await lines(found, name.replace(/proofs\.jsonl$/, "custody.jsonl"), faults);
    const proved = await lines(found, name, faults);
    total += custody.length;
    count += proved.length;
    faults.push(...(await unproved(name, proved, custody, key)));
  }
  conclude(told, "log", faults, [{ word: "proved", count, total }]);
}

async function lines(found: Package, name: string, faults: Fault[]): Promise<unknown[]> {
  try {
    const written = bag.text(await found.small(name)).split("\n").filter((line) => line !== "");
    return written.map((line) => JSON.parse(line) as unknown);
  } catch (error) {
    faults.push(faultOf(error, name));
    return [];
  }
}

type Line = Readonly<Record<string, unknown>>;

async function unproved(name: string, proofs: readonly unknown[], custody: readonly unknown[], log: { name: string; key: CryptoKey }): Promise<Fault[]> {
  const known = new Map((custody as Line[]).map((entry) => [`${entry["writer"]} ${entry["sequence"]}`, entry]));
  const faults: Fault[] = [];
  for (const [place, proof] of (proofs as Proof[]).entries()) {
    try {
      const entry = JSON.parse(proof.entry) as Line;
      const shown = known.get(`${entry["writer"]} ${entry["sequence"]}`);
      if (shown === undefined || !agree(entry, shown)) faults.push(new Fault("not-custody", name, place + 1));
      if (!(await isProved(proof, log.name, log.key))) faults.push(new Fault("not-proved", name, place + 1));
    } catch {
      faults.push(new Fault("not-proved", name, place + 1));
    }
  }
  return faults;
}

/** Whether an entry that is proved says what the custody shows: every field, and the same moment. */
function agree(entry: Line, shown: Line): boolean {
  const names = Object.keys(entry).filter((name) => name !== "version" && name !== "at");
  return Date.parse(String(entry["at"])) === Date.parse(String(shown["at"])) && names.every((name) => entry[name] === shown[name]);
}
