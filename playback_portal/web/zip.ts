// Reads a zip where it is (PKWARE APPNOTE 6.3.10): its directory, and each file when it is asked for.
// Stored and deflated files, with and without ZIP64; nothing encrypted, nothing over several disks.

/** What is wrong with a package: a word of the page, and which file it is about. */
export class Fault extends Error {
  override readonly name: string;

  constructor(readonly word: string, name = "", readonly line = 0) {
    super(`${word} ${name}`);
    this.name = name;
  }
}

export interface Entry {
  readonly name: string;
  readonly sizeBytes: number;
  readonly packedBytes: number;
  readonly method: number;
  readonly offset: number;
  readonly hasExtra: boolean;
  readonly isPlainFile: boolean;
}

/** A package of ten thousand recordings has some hundred thousand files. */
export const FILES_COUNT_MAX = 200_000;
const DIRECTORY_BYTES_MAX = 64 * 1024 * 1024;

/** WebCrypto hashes a file at once, so that it has to be in memory; longer ones are for the script. */
export const FILE_BYTES_MAX = 1024 * 1024 * 1024;

const END_BYTES = 22;
const LOCATOR_BYTES = 20;
const END_64_BYTES = 56;
const COMMENT_BYTES_MAX = 65_535;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const NOT_HERE_32 = 0xffffffff;
const STORED = 0;
const DEFLATED = 8;
const UNIX = 3;
const FILE_TYPE = 0o170000;
const REGULAR_FILE = 0o100000;

async function view(blob: Blob, first: number, size: number): Promise<DataView> {
  if (first < 0 || first + size > blob.size) throw new Fault("no-zip");
  return new DataView(await blob.slice(first, first + size).arrayBuffer());
}

function large(at: DataView, offset: number): number {
  const value = at.getBigUint64(offset, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Fault("no-zip");
  return Number(value);
}

interface Directory {
  readonly count: number;
  readonly sizeBytes: number;
  readonly offset: number;
}

/** Find the directory from the end of the file on, which is where a zip begins to be read. */
async function directoryOf(blob: Blob): Promise<Directory> {
  const size = Math.min(blob.size, END_BYTES + COMMENT_BYTES_MAX);
  const start = blob.size - size;
  const tail = await view(blob, start, size);
  for (let place = size - END_BYTES; place >= 0; place -= 1) {
    if (tail.getUint32(place, true) !== 0x06054b50 || tail.getUint16(place + 20, true) !== size - END_BYTES - place) continue;
    const small = { count: tail.getUint16(place + 10, true), sizeBytes: tail.getUint32(place + 12, true), offset: tail.getUint32(place + 16, true) };
    return (await directory64(blob, start + place)) ?? small;
  }
  throw new Fault("no-zip");
}

async function directory64(blob: Blob, end: number): Promise<Directory | null> {
  if (end < LOCATOR_BYTES) return null;
  const locator = await view(blob, end - LOCATOR_BYTES, LOCATOR_BYTES);
  if (locator.getUint32(0, true) !== 0x07064b50) return null;
  const found = await view(blob, large(locator, 8), END_64_BYTES);
  if (found.getUint32(0, true) !== 0x06064b50) throw new Fault("no-zip");
  return { count: large(found, 32), sizeBytes: large(found, 40), offset: large(found, 48) };
}

/** Return the files of a zip in the order of its directory; folders are left out. Throws Fault. */
export async function entriesOf(blob: Blob): Promise<Entry[]> {
  const directory = await directoryOf(blob);
  if (directory.count > FILES_COUNT_MAX || directory.sizeBytes > DIRECTORY_BYTES_MAX) throw new Fault("too-many");
  const at = await view(blob, directory.offset, directory.sizeBytes);
  const entries: Entry[] = [];
  let place = 0;
  for (let number = 0; number < directory.count; number += 1) {
    if (place + CENTRAL_BYTES > at.byteLength || at.getUint32(place, true) !== 0x02014b50) throw new Fault("no-zip");
    const [name, extra, comment] = [28, 30, 32].map((offset) => at.getUint16(place + offset, true)) as [number, number, number];
    const end = place + CENTRAL_BYTES + name + extra + comment;
    if (end > at.byteLength) throw new Fault("no-zip");
    const entry = entryAt(at, place, name, extra);
    if (!entry.name.endsWith("/")) entries.push(entry);
    place = end;
  }
  if (place !== at.byteLength) throw new Fault("no-zip");
  return entries;
}

function entryAt(at: DataView, place: number, nameBytes: number, extraBytes: number): Entry {
  const name = textOf(new Uint8Array(at.buffer, place + CENTRAL_BYTES, nameBytes));
  if ((at.getUint16(place + 8, true) & 1) !== 0) throw new Fault("unreadable", name);
  const told = [24, 20, 42].map((offset) => at.getUint32(place + offset, true)) as [number, number, number];
  const [sizeBytes, packedBytes, offset] = wide(at, place + CENTRAL_BYTES + nameBytes, extraBytes, told);
  const mode = at.getUint8(place + 5) === UNIX ? (at.getUint32(place + 38, true) >>> 16) & FILE_TYPE : 0;
  return {
    name, sizeBytes, packedBytes, offset,
    method: at.getUint16(place + 10, true),
    hasExtra: extraBytes > 0,
    isPlainFile: mode === 0 || mode === REGULAR_FILE,
  };
}

/** Return size, packed size and offset, from the ZIP64 record where the directory has no room for them. */
function wide(at: DataView, start: number, length: number, told: [number, number, number]): [number, number, number] {
  const result: [number, number, number] = [...told];
  for (let place = start; place + 4 <= start + length; place += 4 + at.getUint16(place + 2, true)) {
    if (at.getUint16(place, true) !== 1) continue;
    let next = place + 4;
    for (const index of [0, 1, 2] as const) {
      if (told[index] !== NOT_HERE_32) continue;
      if (next + 8 > start + length) throw new Fault("no-zip");
      result[index] = large(at, next);
      next += 8;
    }
  }
  return result;
}

function textOf(octets: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(octets);
  } catch {
    throw new Fault("bad-name", "?");
  }
}

/** Return the octets of a file; throws Fault for one that is longer than `sizeBytesMax`, or is not what is told. */
export async function read(blob: Blob, entry: Entry, sizeBytesMax = FILE_BYTES_MAX): Promise<ArrayBuffer> {
  if (entry.sizeBytes > sizeBytesMax) throw new Fault("too-large", entry.name);
  const local = await view(blob, entry.offset, LOCAL_BYTES);
  if (local.getUint32(0, true) !== 0x04034b50) throw new Fault("unreadable", entry.name);
  const [name, extra] = [local.getUint16(26, true), local.getUint16(28, true)];
  const named = await view(blob, entry.offset + LOCAL_BYTES, name);
  // A file of two names would be one thing here and another to the program that unpacks it.
  if (textOf(new Uint8Array(named.buffer)) !== entry.name) throw new Fault("unreadable", entry.name);
  const start = entry.offset + LOCAL_BYTES + name + extra;
  if (start + entry.packedBytes > blob.size) throw new Fault("unreadable", entry.name);
  const packed = blob.slice(start, start + entry.packedBytes);
  const octets = await unpacked(packed, entry);
  if (octets.byteLength !== entry.sizeBytes) throw new Fault("unreadable", entry.name);
  return octets;
}

async function unpacked(packed: Blob, entry: Entry): Promise<ArrayBuffer> {
  if (entry.method === STORED) return packed.arrayBuffer();
  if (entry.method !== DEFLATED) throw new Fault("unreadable", entry.name);
  const whole = new Uint8Array(entry.sizeBytes);
  let length = 0;
  try {
    const reader = packed.stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      if (length + piece.value.byteLength > whole.byteLength) throw new Fault("unreadable", entry.name);
      whole.set(piece.value, length);
      length += piece.value.byteLength;
    }
  } catch {
    throw new Fault("unreadable", entry.name);
  }
  return whole.buffer.slice(0, length);
}
