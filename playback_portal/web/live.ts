// The page of calls under way: it hears of changes by server-sent events and asks for the lists again, so that
// every state it shows is one the recorder told. Nothing is shown before that, and nothing as current when the
// connection is lost.
//
// Rows keep their place: who begins to talk comes below, what ends stays for a moment, and what is being
// pressed is left alone until its answer is there. Times count by the clock of the server.

import { follow, type Link } from "./follow";
import { LiveList } from "./live-list";
import { LiveClock } from "./live-clock";
import { enabled, on } from "./shortcuts";

type Words = Record<"follows" | "lost" | "paused" | "over" | "why" | "unreachable" | "look", string>;

const LISTS = "/live/calls";
const SETTLE_MS = 150;
const RETRY_MS = 5000;
// Without a change the lists are as they were; this is for a change whose event was missed.
const AGAIN_MS = 60_000;
// Who waits longer for the lists is not connected, whatever the connection says of itself.
const PATIENCE_MS = 5000;

const root = document.querySelector<HTMLElement>("#live");

function need<T extends HTMLElement>(selector: string): T {
  return root!.querySelector<T>(selector)!;
}

function begin(): void {
  const words = JSON.parse(root!.dataset["words"]!) as Words;
  const clock = new LiveClock(root!, words.paused, say);
  const list = new LiveList(need("[data-lists]"), words, say);
  let shown: boolean | null = null;
  let asking = false;
  let again = false;
  let waiting = 0;

  function say(text: string): void {
    need("[data-said]").textContent = text;
  }

  function show(lost: boolean): void {
    for (const button of root!.querySelectorAll("[data-command] button")) {
      if (lost) button.setAttribute("aria-disabled", "true");
      else button.removeAttribute("aria-disabled");
    }
    if (shown === lost) return;
    shown = lost;
    root!.classList.toggle("stale", lost);
    need("[data-lost]").hidden = !lost;
    need("[data-fresh-text]").textContent = lost ? words.lost.replace("{time}", clock.told()) : words.follows;
    clock.run(!lost);
  }

  async function ask(): Promise<void> {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const headers = { "HX-Request": "true", "HX-Current-URL": location.href };
      const answer = await fetch(LISTS, { headers, redirect: "error", signal: AbortSignal.timeout(PATIENCE_MS) });
      const elsewhere = answer.headers.get("HX-Redirect");
      if (elsewhere !== null) location.assign(elsewhere);
      else if (answer.ok) take(await answer.text());
      else fail();
    } catch {
      fail();
    }
    asking = false;
    if (again) {
      again = false;
      void ask();
    }
  }

  function fail(): void {
    show(true);
    window.clearTimeout(waiting);
    waiting = window.setTimeout(() => void ask(), RETRY_MS);
  }

  function take(text: string): void {
    const fresh = new DOMParser().parseFromString(text, "text/html").querySelector<HTMLElement>("[data-list]");
    if (fresh === null) return;
    clock.set(Number(fresh.dataset["now"]), Number(fresh.dataset["longMs"]));
    list.take(fresh);
    clock.tick();
    show(!link.open);
  }

  function soon(): void {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(() => void ask(), SETTLE_MS);
  }

  const link: Link = follow({
    opened: () => void ask(),
    heard: (kind, call) => {
      if (kind === "call.ended" && call !== null) list.ended(call);
      soon();
    },
    lost: (refused) => {
      show(true);
      // Who is signed out in another window is told the way in, and waits for no connection.
      if (refused) void ask();
    },
  });
  const first = need<HTMLElement>("[data-list]");
  clock.set(Number(first.dataset["now"]), Number(first.dataset["longMs"]));
  clock.run(true);
  window.setInterval(() => {
    if (link.open && !document.hidden) void ask();
  }, AGAIN_MS);
  // Timers stand still while a machine sleeps or a window is hidden.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) void ask();
  });
  root!.addEventListener("htmx:beforeRequest", () => need("[data-told]").replaceChildren());
  root!.addEventListener("htmx:afterRequest", () => void ask());
  for (const event of ["htmx:sendError", "htmx:timeout"]) {
    root!.addEventListener(event, () => {
      need("[data-told]").replaceChildren(list.notice(words.unreachable, words.look));
      show(true);
    });
  }
  onePressEach();
  if (enabled) bindKeys();
}

/** A press is one: the second of a double click, and a key that is held down, obey no button that has just come. */
function onePressEach(): void {
  const pressed = (event: Event): boolean => (event.target as Element).closest("[data-command]") !== null;
  root!.addEventListener(
    "click",
    (event) => {
      if (!pressed(event) || (event.target as Element).closest("[data-settling]") === null) return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );
  root!.addEventListener("keydown", (event) => {
    if (event.repeat && pressed(event)) event.preventDefault();
  });
}

/** A letter presses the button of one's own call that has it; with two calls at once, of the first. */
function bindKeys(): void {
  for (const key of ["p", "b", "s"]) {
    on(key, (event) => {
      if (!event.repeat) root!.querySelector<HTMLButtonElement>(`[data-own] button[data-key="${key}"]`)?.click();
    });
  }
}

if (root !== null) begin();
