// Signatures of packages and time-stamps over them: CMS (RFC 5652) and RFC 3161, by pkijs and WebCrypto.
// A signature of ours has one form (keys/cms.py): it is assembled anew from what was read of it and has to
// be the same octets. Time-stamps come from others, in whatever form they sign.
import { Integer, OctetString, Sequence, fromBER } from "asn1js";
import {
  AlgorithmIdentifier,
  Certificate,
  ContentInfo,
  EncapsulatedContentInfo,
  IssuerAndSerialNumber,
  SignedAndUnsignedAttributes,
  SignedData,
  SignerInfo,
  TSTInfo,
  TimeStampResp,
} from "pkijs";
import { fromBase64, hex, sha256 } from "./bag";

const SHA_256 = "2.16.840.1.101.3.4.2.1";
const ECDSA_SHA_256 = "1.2.840.10045.4.3.2";
const ATTRIBUTES = ["1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.5", "1.2.840.113549.1.9.16.2.47"];
const SIGNING_CERTIFICATES = ["1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"];
const EXTENDED_KEY_USAGE = "2.5.29.37";
const GRANTED = 0;
const TIME_STAMP = "1.2.840.113549.1.9.16.1.4";
const TIME_STAMPING = "1.3.6.1.5.5.7.3.8";
const COMMON_NAME = "2.5.4.3";
const ORGANISATION = "2.5.4.10";
const HASHES: Readonly<Record<string, string>> = {
  [SHA_256]: "SHA-256",
  "2.16.840.1.101.3.4.2.2": "SHA-384",
  "2.16.840.1.101.3.4.2.3": "SHA-512",
};
const BY_LENGTH: Readonly<Record<number, string>> = { 20: "SHA-1", 32: "SHA-256", 48: "SHA-384", 64: "SHA-512" };

/** One signer and two certificates take about 2 kB; a token with its chain some 10. */
const SIGNATURE_BYTES_MAX = 64 * 1024;

/** A signature, token or certificate is not what it should be. */
export class NotSigned extends Error {}

function require(condition: boolean): asserts condition {
  if (!condition) throw new NotSigned();
}

function parsed(octets: ArrayBuffer): Sequence {
  require(octets.byteLength <= SIGNATURE_BYTES_MAX);
  const { offset, result } = fromBER(octets);
  require(offset === octets.byteLength && result instanceof Sequence);
  return result;
}

function same(one: ArrayBuffer, other: ArrayBuffer): boolean {
  return hex(one) === hex(other);
}

/** Return who signed `content`; throws NotSigned when the signature is not of it, or not one of ours. */
export async function signerOf(signature: ArrayBuffer, content: ArrayBuffer): Promise<Certificate> {
  try {
    const data = new SignedData({ schema: new ContentInfo({ schema: parsed(signature) }).content });
    const [certificate] = (data.certificates ?? []) as Certificate[];
    const [info] = data.signerInfos;
    require(certificate instanceof Certificate && info?.signedAttrs !== undefined);
    require(same(assembled(certificate, info), signature));
    const kinds = info.signedAttrs.attributes.map((each) => (each.values.length === 1 ? each.type : ""));
    require(kinds.sort().join() === [...ATTRIBUTES].sort().join() && (await isNamedBy(certificate, info)));
    // Where the two numbers of a signature are read, nobody asks what they are wrapped in.
    const numbers = info.signature.getValue();
    require(same(parsed(numbers).toBER(), numbers));
    // It compares the digest of the content with the one that is signed, and checks the signature over that.
    require(await data.verify({ signer: 0, data: content, checkChain: false }));
    return certificate;
  } catch {
    throw new NotSigned();
  }
}

function assembled(certificate: Certificate, info: SignerInfo): ArrayBuffer {
  const hash = (): AlgorithmIdentifier => new AlgorithmIdentifier({ algorithmId: SHA_256 });
  const signer = new SignerInfo({
    version: 1,
    sid: new IssuerAndSerialNumber({ issuer: certificate.issuer, serialNumber: certificate.serialNumber as Integer }),
    digestAlgorithm: hash(),
    signedAttrs: new SignedAndUnsignedAttributes({ type: 0, attributes: info.signedAttrs!.attributes }),
    signatureAlgorithm: new AlgorithmIdentifier({ algorithmId: ECDSA_SHA_256 }),
    signature: new OctetString({ valueHex: info.signature.valueBlock.valueHexView }),
  });
  const data = new SignedData({
    version: 1,
    digestAlgorithms: [hash()],
    encapContentInfo: new EncapsulatedContentInfo({ eContentType: SignedData.ID_DATA }),
    certificates: [certificate],
    signerInfos: [signer],
  });
  const wrapped = new ContentInfo({ contentType: ContentInfo.SIGNED_DATA, content: data.toSchema(true) });
  return wrapped.toSchema().toBER();
}

/** Tell whether the signed attributes name this certificate (RFC 5035), so that no other can stand in its place. */
async function isNamedBy(certificate: Certificate, info: SignerInfo): Promise<boolean> {
  const naming = info.signedAttrs?.attributes.find((each) => SIGNING_CERTIFICATES.includes(each.type));
  const first = naming?.values[0]?.valueBlock?.value?.[0]?.valueBlock?.value?.[0]?.valueBlock?.value as unknown[] | undefined;
  const named = first?.find((each) => each instanceof OctetString);
  if (!(named instanceof OctetString)) return false;
  const told = named.valueBlock.valueHexView;
  const hash = BY_LENGTH[told.byteLength];
  return hash !== undefined && hex(await crypto.subtle.digest(hash, certificate.toSchema().toBER())) === hex(told);
}

/** Tell whether `authority` issued `certificate` and both were valid at that moment. */
export async function isIssuedBy(certificate: Certificate, authority: Certificate, at: Date): Promise<boolean> {
  const valid = [certificate, authority].every((each) => each.notBefore.value <= at && at <= each.notAfter.value);
  try {
    return valid && certificate.issuer.isEqual(authority.subject) && (await certificate.verify(authority));
  } catch {
    return false;
  }
}

/** Return when `data` was stamped by somebody these roots vouch for; throws NotSigned. */
export async function stampedAt(token: ArrayBuffer, data: ArrayBuffer, roots: readonly Certificate[]): Promise<Date> {
  try {
    const schema = parsed(token);
    require(same(schema.toBER(), token));
    const response = new TimeStampResp({ schema });
    require(response.status.status === GRANTED && response.timeStampToken !== undefined);
    require(response.timeStampToken.contentType === ContentInfo.SIGNED_DATA);
    const signed = new SignedData({ schema: response.timeStampToken.content });
    require(signed.version === 3 && signed.encapContentInfo.eContentType === TIME_STAMP);
    require(signed.digestAlgorithms.every((each) => HASHES[each.algorithmId] !== undefined));
    const stamp = TSTInfo.fromBER(signed.encapContentInfo.eContent!.getValue());
    const hash = HASHES[stamp.messageImprint.hashAlgorithm.algorithmId];
    require(hash !== undefined && signed.signerInfos.length === 1);
    require(same(await crypto.subtle.digest(hash, data), stamp.messageImprint.hashedMessage.getValue()));
    const [trustedCerts, checkDate] = [[...roots], stamp.genTime];
    const verified = await signed.verify({ signer: 0, data, trustedCerts, checkDate, checkChain: true, extendedMode: true });
    require(verified.signatureVerified === true && verified.signerCertificateVerified === true);
    const signer = verified.signerCertificate;
    require(signer instanceof Certificate && mayStamp(signer) && (await isNamedBy(signer, signed.signerInfos[0]!)));
    return stamp.genTime;
  } catch {
    throw new NotSigned();
  }
}

/** RFC 3161, 2.3: the certificate is for time-stamping and nothing else, and says that this is critical. */
function mayStamp(certificate: Certificate): boolean {
  const usage = certificate.extensions?.find((each) => each.extnID === EXTENDED_KEY_USAGE);
  const purposes = (usage?.parsedValue as { keyPurposes?: string[] } | undefined)?.keyPurposes;
  return usage?.critical === true && purposes?.length === 1 && purposes[0] === TIME_STAMPING;
}

export function certificateOf(der: BufferSource): Certificate {
  return Certificate.fromBER(der);
}

/** Return the certificates of a PEM; none when there is none in it. */
export function certificatesIn(pem: string): Certificate[] {
  const found = pem.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g);
  return [...found].map(([, written]) => certificateOf(fromBase64(written!.replace(/\s/g, ""))));
}

/** Return who a certificate names: common name and organisation. */
export function nameOf(certificate: Certificate): string {
  const part = (type: string): string =>
    String(certificate.subject.typesAndValues.find((each) => each.type === type)?.value.valueBlock.value ?? "");
  return [part(COMMON_NAME), part(ORGANISATION)].filter((each) => each !== "").join(", ");
}

export async function fingerprintOf(certificate: Certificate): Promise<string> {
  const digest = await sha256(certificate.toSchema().toBER());
  return digest.toUpperCase().match(/../g)!.join(":");
}
