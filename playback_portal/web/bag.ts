// The lists of a package (archive/evidence/bag.py): names, manifests, and what its information says.
import { Fault } from "./zip";

export const [BAGIT, BAG_INFO] = ["bagit.txt", "bag-info.txt"];
export const [MANIFEST, TAG_MANIFEST] = ["manifest-sha256.txt", "tagmanifest-sha256.txt"];
export const SIGNATURE = `${TAG_MANIFEST}.p7s`;
export const TIMESTAMP = `${SIGNATURE}.tsr`;
export const TIMESTAMP_SIGNATURE = `${TIMESTAMP}.p7s`;
export const PAYLOAD = "data/";
export const [MIMETYPE, ASIC_MANIFEST, ASIC_SIGNATURE] = ["mimetype", "META-INF/ASiCManifest001.xml", "META-INF/signature001.p7s"];
export const ASIC_FILES: readonly string[] = [MIMETYPE, ASIC_MANIFEST, ASIC_SIGNATURE];
export const ASIC_TYPE = "application/vnd.etsi.asic-e+zip";

const NAME_CHARS_MAX = 200;
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;
const LINE = /^([0-9a-f]{64}) {2}(.+)$/;

export function isName(name: string): boolean {
  return name.length <= NAME_CHARS_MAX && NAME.test(name);
}

/** Sorted as octets, which is how names of ASCII sort by their code units. */
function byName([one]: [string, string], [other]: [string, string]): number {
  return one < other ? -1 : Number(one > other);
}

export function text(octets: ArrayBuffer): string {
  return new TextDecoder().decode(octets);
}

/** Return name to SHA-256 of a manifest; throws Fault for one that is not written as ours are. */
export function listed(octets: ArrayBuffer, file: string): Map<string, string> {
  const found = new Map<string, string>();
  const whole = text(octets);
  for (const line of whole.split("\n").slice(0, -1)) {
    const [, hash, name] = LINE.exec(line) ?? [];
    if (hash === undefined || name === undefined || !isName(name)) throw new Fault("bad-list", file);
    found.set(name, hash);
  }
  const again = [...found].sort(byName).map(([name, hash]) => `${hash}  ${name}\n`).join("");
  if (found.size === 0 || again !== whole) throw new Fault("bad-list", file);
  return found;
}

/** Return whether a time-stamp belongs to the package, as its signed information says; null if it does not say. */
export function requiresStamp(octets: ArrayBuffer): boolean | null {
  const said = text(octets).split("\n").filter((line) => line.startsWith("Timestamp-Required:"));
  if (said.length !== 1) return null;
  return said[0] === "Timestamp-Required: yes" ? true : said[0] === "Timestamp-Required: no" ? false : null;
}

/** Write the manifest of an ASiC-E container anew, in the one form it has (archive/evidence/asic.py). */
export function asicManifest(hashes: Iterable<[string, string]>): string {
  const lines = [...hashes].sort(byName).map(
    ([name, hash]) =>
      `<asic:DataObjectReference URI="${name}"><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>` +
      `<ds:DigestValue>${base64(octetsOf(hash))}</ds:DigestValue></asic:DataObjectReference>\n`,
  );
  return (
    '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n' +
    '<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">\n' +
    `<asic:SigReference URI="${ASIC_SIGNATURE}" MimeType="application/x-pkcs7-signature"/>\n` +
    `${lines.join("")}</asic:ASiCManifest>\n`
  );
}

export function hex(octets: ArrayBuffer | Uint8Array): string {
  return [...new Uint8Array(octets)].map((octet) => octet.toString(16).padStart(2, "0")).join("");
}

export function octetsOf(hexadecimal: string): Uint8Array<ArrayBuffer> {
  if (!/^([0-9a-f]{2})*$/.test(hexadecimal)) throw new Error("no hexadecimal");
  return Uint8Array.from(hexadecimal.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function base64(octets: Uint8Array): string {
  return btoa(String.fromCharCode(...octets));
}

export function fromBase64(written: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(written), (each) => each.charCodeAt(0));
}

export async function sha256(octets: BufferSource): Promise<string> {
  return hex(await crypto.subtle.digest("SHA-256", octets));
}
