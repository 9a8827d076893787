// Passkeys: the browser asks the device, the server decides. Without this module, or without devices,
// the parts of a page that need it stay hidden and a password or code does.
//
// <div data-passkey="/path" data-next data-csrf data-failed hidden> holds a button [data-passkey-start] and a
// region [data-passkey-told]. `data-make` makes a passkey; else one is asked for. POST /path/options gives
// {options, challenge}; POST /path takes {challenge, credential, name, next} and answers {location}.

interface Begun {
  options: PublicKeyCredentialRequestOptionsJSON & PublicKeyCredentialCreationOptionsJSON;
  challenge: string;
}

// The parsers are in every browser that has passkeys as people use them; types of the DOM know them late.
interface WithParsers {
  parseCreationOptionsFromJSON?(json: unknown): PublicKeyCredentialCreationOptions;
  parseRequestOptionsFromJSON?(json: unknown): PublicKeyCredentialRequestOptions;
  isConditionalMediationAvailable?(): Promise<boolean>;
}

const parsers = globalThis.PublicKeyCredential as unknown as WithParsers | undefined;

async function send<T>(part: HTMLElement, path: string, body: unknown): Promise<T> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  const csrf = part.dataset["csrf"];
  if (csrf) headers["X-CSRF-Token"] = csrf;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), redirect: "error" });
  const told = (await answer.json()) as T & { message?: string };
  if (!answer.ok) throw new Error(told.message ?? "");
  return told;
}

async function asked(begun: Begun, mediation: CredentialMediationRequirement, signal: AbortSignal): Promise<unknown> {
  const publicKey = parsers!.parseRequestOptionsFromJSON!(begun.options);
  return navigator.credentials.get({ publicKey, mediation, signal });
}

async function made(begun: Begun, signal: AbortSignal): Promise<unknown> {
  const publicKey = parsers!.parseCreationOptionsFromJSON!(begun.options);
  return navigator.credentials.create({ publicKey, signal });
}

// One question to the device at a time: pressing the button ends the offer in the field.
let waiting = new AbortController();

async function begin(part: HTMLElement, mediation: CredentialMediationRequirement): Promise<void> {
  waiting.abort();
  const mine = (waiting = new AbortController());
  const path = part.dataset["passkey"]!;
  const name = part.querySelector<HTMLInputElement>("[data-passkey-name]")?.value ?? "";
  const begun = await send<Begun>(part, `${path}/options`, {});
  const making = "make" in part.dataset;
  const credential = making ? await made(begun, mine.signal) : await asked(begun, mediation, mine.signal);
  if (credential === null) throw new Error("");
  const { location } = await send<{ location: string }>(part, path, {
    challenge: begun.challenge,
    credential: (credential as PublicKeyCredential).toJSON(),
    name,
    next: part.dataset["next"] ?? "/",
  });
  globalThis.location.assign(location + globalThis.location.hash);
}

function told(part: HTMLElement, text: string): void {
  const region = part.querySelector<HTMLElement>("[data-passkey-told]");
  if (region === null) return;
  const notice = document.createElement("p");
  notice.className = "notice bad";
  notice.textContent = text;
  region.replaceChildren(notice);
}

async function pressed(part: HTMLElement, button: HTMLElement): Promise<void> {
  button.setAttribute("aria-busy", "true");
  part.querySelector("[data-passkey-told]")?.replaceChildren();
  try {
    await begin(part, "optional");
  } catch (error) {
    told(part, (error instanceof Error && error.name === "Error" && error.message) || part.dataset["failed"] || "");
  } finally {
    button.removeAttribute("aria-busy");
  }
}

// The field for the name offers the passkeys of this device, where browsers can; failing is no news to anybody.
async function offered(part: HTMLElement): Promise<void> {
  if (document.querySelector('[autocomplete~="webauthn"]') === null) return;
  if (!(await parsers?.isConditionalMediationAvailable?.())) return;
  await begin(part, "conditional").catch(() => undefined);
}

if (parsers?.parseRequestOptionsFromJSON !== undefined && parsers.parseCreationOptionsFromJSON !== undefined) {
  for (const part of document.querySelectorAll<HTMLElement>("[data-passkey]")) {
    part.hidden = false;
    const button = part.querySelector<HTMLElement>("[data-passkey-start]");
    button?.addEventListener("click", () => void pressed(part, button));
    if (!("make" in part.dataset)) void offered(part);
  }
}
