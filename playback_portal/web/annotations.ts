// Writing on recordings: a comment at the moment that is heard, labels and favourites by their keys.
// The page is right without it; this knows where the sound is, and keeps the keyboard's place.

import { clock, type Call } from "./call";
import { on } from "./shortcuts";

const player = document.querySelector<HTMLElement>("#player");
const audio = player?.querySelector<HTMLAudioElement>("audio") ?? null;
const call = player === null ? null : (JSON.parse(player.dataset["call"]!) as Call);
const compose = document.querySelector<HTMLFormElement>("#compose");

// ---------------------------------------------------------------- the moment of a comment

function moment(): number {
  return Math.round((audio?.currentTime ?? 0) * 1000);
}

/** The comment stands where the sound was when its first letter was typed, and not where it is by its last. */
function follow(): void {
  if (compose === null || call === null) return;
  const text = compose.elements.namedItem("text") as HTMLTextAreaElement;
  if (text.value !== "") return;
  const at = Math.min(moment(), call.durationMs);
  (compose.elements.namedItem("at_ms") as HTMLInputElement).value = String(at);
  compose.querySelector("[data-comment-at]")!.textContent = clock(call, at);
}

audio?.addEventListener("timeupdate", follow);
audio?.addEventListener("seeking", follow);
compose?.addEventListener("focusin", follow);

// ---------------------------------------------------------------- keys

function press(selector: string): void {
  document.querySelector<HTMLElement>(selector)?.click();
}

on("c", (event) => {
  const text = compose?.querySelector<HTMLTextAreaElement>("textarea");
  if (!text) return;
  event.preventDefault();
  press("#tab-timeline");
  text.focus();
});
on("f", () => press("[data-star]"));
on("Shift+l", (event) => {
  event.preventDefault();
  press("[data-labels]");
});

// A box that opens wants to be typed in.
document.addEventListener(
  "toggle",
  (event) => {
    const opened = event.target as HTMLElement;
    if ((event as ToggleEvent).newState !== "open" || !opened.matches(".choice, .writing")) return;
    opened.querySelector<HTMLElement>("input:not([type=hidden]), textarea, select")?.focus();
  },
  true,
);

// ---------------------------------------------------------------- what htmx does and brought

interface Swap {
  target: HTMLElement;
  shouldSwap: boolean;
  isError: boolean;
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, shouldSwap, isError } = (event as CustomEvent<Swap>).detail;
  // All threads come anew, for their numbers may have changed.
  if (target.id === "marks" && shouldSwap && !isError) {
    for (const thread of target.querySelectorAll("li.thread")) thread.remove();
  }
});

document.addEventListener("htmx:afterRequest", (event) => {
  const { elt, successful } = (event as CustomEvent<{ elt: HTMLElement; successful: boolean }>).detail;
  if (!successful) return;
  if (elt === compose) {
    compose.reset();
    follow();
  } else if (elt.matches("[hx-post='/recordings/labels']")) {
    const box = elt.closest<HTMLElement>("[popover]");
    box?.hidePopover();
    for (const field of box?.querySelectorAll("input") ?? []) field.value = "";
  } else if (elt.matches(".star")) {
    const marked = elt.getAttribute("aria-pressed") !== "true";
    elt.setAttribute("aria-pressed", String(marked));
    elt.setAttribute("hx-vals", JSON.stringify({ on: String(!marked) }));
  }
});

document.addEventListener("htmx:afterSettle", (event) => {
  const { target } = (event as CustomEvent<{ target: HTMLElement }>).detail;
  const wanted = document.querySelector<HTMLElement>("[data-focus]");
  wanted?.removeAttribute("data-focus");
  count();
  if (document.activeElement !== document.body && document.activeElement !== compose?.querySelector("textarea")) return;
  // What had the focus was replaced: it goes to what took its place.
  if (wanted !== null) wanted.focus({ preventScroll: true });
  else if (target.id === "marks") document.querySelector<HTMLElement>("#tab-timeline")?.focus();
  else if (target.id === "labels") document.querySelector<HTMLElement>("#add-label")?.focus();
});

/** The tab tells how many lines there are. */
function count(): void {
  const shown = document.querySelector("#tab-timeline .n");
  const lines = document.querySelectorAll("#marks > li").length;
  if (shown !== null && lines > 0) shown.textContent = lines.toLocaleString(document.documentElement.lang);
}

count();
follow();
