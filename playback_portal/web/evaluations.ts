// Evaluating by the keyboard while listening: E shows the form, a digit answers the marked question, N says that it
// does not apply, and each answer tells where the sound was. Nothing is decided here: the server says which
// question is next, so that presses that come faster wait for its answer. Each answer brings the whole panel anew:
// words that were typed elsewhere in it and not sent go along with every press, and are sent when the page is left.

import { htmx } from "./exchange";
import { enabled, on, typing } from "./shortcuts";

interface Press {
  digit: string;
  atMs: number;
}

const panel = document.querySelector<HTMLElement>("#evaluations");
const audio = document.querySelector<HTMLAudioElement>("#player audio");
const waiting: Press[] = [];
let busy = false;
/** Whether the focus goes to the question that is next: after E and after an answer, not while only looking. */
let follows = false;

function moment(): number {
  return Math.round((audio?.currentTime ?? 0) * 1000);
}

function current(): HTMLFormElement | null {
  return panel?.querySelector<HTMLFormElement>("form.question.current") ?? null;
}

function shown(): boolean {
  return panel !== null && !panel.hidden;
}

/** Give the next waiting press to the question that is marked now. */
function next(): void {
  while (!busy && waiting.length > 0) {
    const { digit, atMs } = waiting.shift()!;
    const button = current()?.querySelector<HTMLButtonElement>(`button[data-digit="${digit}"]`);
    if (button === null || button === undefined) continue;
    button.form!.dataset["atMs"] = String(atMs);
    button.click();
  }
}

function go(): void {
  const question = current();
  const words = question?.querySelector<HTMLElement>("textarea[aria-required]");
  const wanted = words ?? question ?? panel?.querySelector<HTMLElement>("[data-release], #settlement");
  wanted?.focus({ preventScroll: true });
  (question ?? wanted)?.scrollIntoView({ block: "nearest" });
}

on("e", (event) => {
  const tab = document.querySelector<HTMLElement>("#tab-evaluations");
  if (tab === null) return;
  event.preventDefault();
  follows = true;
  tab.click();
  go();
});

// Before the keys of the player: here a digit is an answer.
document.addEventListener(
  "keydown",
  (event) => {
    if (!enabled || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || typing(event)) return;
    const digit = event.key.toLowerCase();
    if (!/^[0-9n]$/.test(digit) || !shown() || (current() === null && !busy)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    waiting.push({ digit, atMs: moment() });
    next();
  },
  true,
);

// By mouse too, an answer stands where the sound was when it was given.
panel?.addEventListener(
  "click",
  (event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("button[data-digit]");
    if (button === null) return;
    const form = button.form!;
    (form.elements.namedItem("at_ms") as HTMLInputElement).value = form.dataset["atMs"] ?? String(moment());
    delete form.dataset["atMs"];
    busy = true;
    follows = true;
  },
  true,
);

/** What was typed beside answers and not sent, but for one form that is sent itself. */
function unsent(but: Element | null): HTMLTextAreaElement[] {
  const texts = [...(panel?.querySelectorAll<HTMLTextAreaElement>("form.question textarea") ?? [])];
  return texts.filter((text) => text.form !== but && text.value !== text.defaultValue);
}

function send(): void {
  for (const { form } of unsent(null)) {
    const body = new URLSearchParams([...new FormData(form!)].map(([name, value]) => [name, String(value)]));
    // As a fragment: its answer is read by nobody, and leads to no page that would be opened unseen.
    void fetch(form!.action, { method: "POST", body, keepalive: true, headers: { "HX-Request": "true" } });
  }
}

interface Request {
  elt: Element;
  verb: string;
  parameters: Record<string, string>;
}

document.addEventListener("htmx:configRequest", (event) => {
  const { elt, verb, parameters } = (event as CustomEvent<Request>).detail;
  if (panel === null || !panel.contains(elt)) return;
  if (verb === "get") {
    send();
    return;
  }
  for (const text of unsent(elt)) parameters[`said.${text.id.replace(/^words-/, "")}`] = text.value;
  const settling = panel.querySelector<HTMLTextAreaElement>("#settlement");
  if (settling !== null && settling.form !== elt) parameters["settling"] = settling.value;
});

addEventListener("pagehide", send);

function ours(event: Event): boolean {
  return (event as CustomEvent<{ target: HTMLElement }>).detail.target === panel;
}

document.addEventListener("htmx:afterRequest", (event) => {
  if (!ours(event) || (event as CustomEvent<{ successful: boolean }>).detail.successful) return;
  // What was typed on is not given to a question that was not answered.
  busy = false;
  waiting.length = 0;
});

// A form that is just put in place is sent by htmx a moment later only: a press in between would open the page anew
// and lose those behind it.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (ours(event) && (event as CustomEvent<{ shouldSwap: boolean }>).detail.shouldSwap) busy = true;
});

document.addEventListener("htmx:afterSettle", (event) => {
  if (!ours(event)) return;
  busy = false;
  if (waiting.length > 0) next();
  else if (follows) go();
});

htmx.onLoad((loaded) => {
  if (loaded === document.body && shown()) follows = true;
});
