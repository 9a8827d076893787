// The lists of calls, brought up to date row by row: what did not change is not touched, what has the focus
// keeps it, what waits for its answer is left alone, and a call that ended stays for a moment, with its link.

import { htmx } from "./exchange";

const LINGERS_MS = 10_000;
// That a call ended may be heard a moment after it went from the list.
const LATE_MS = 5000;
// How long a button that came in the place of another obeys nobody: a double click is over by then.
const SETTLES_MS = 600;
// A pointer may lie on the list for hours.
const STAYS_MS = 60_000;

interface Words {
  over: string;
  why: string;
}

export class LiveList {
  private readonly endings = new Set<string>();
  private readonly left = new Map<string, { row: HTMLElement; place: Element }>();

  constructor(
    private readonly root: HTMLElement,
    private readonly words: Words,
    private readonly say: (text: string) => void,
  ) {}

  /** Remember that a call ended; one that goes without having ended may not be told of, and goes at once. */
  ended(call: string): void {
    this.endings.add(call);
    const last = this.left.get(call);
    if (last === undefined || this.root.querySelector(`[data-call="${call}"]`) !== null) return;
    this.left.delete(call);
    last.place.append(last.row);
    last.place.closest<HTMLElement>("[data-section]")!.hidden = false;
    this.gone(call, last.row);
    this.empty();
  }

  take(fresh: HTMLElement): void {
    for (const section of fresh.querySelectorAll<HTMLElement>("[data-section]")) {
      const shown = this.root.querySelector<HTMLElement>(`[data-section="${section.dataset["section"]}"]`)!;
      const rows = section.querySelector<HTMLElement>("[data-rows]");
      if (rows !== null) this.rows(shown.querySelector<HTMLElement>("[data-rows]")!, rows);
      for (const part of ["[data-count]", "[data-foot]"]) {
        const [old, now] = [shown.querySelector(part), section.querySelector(part)];
        if (old !== null && now !== null && old.textContent !== now.textContent) old.textContent = now.textContent;
      }
      shown.hidden = section.hidden && (shown.querySelector("[data-call]") === null || rows === null);
    }
    this.empty();
  }

  /** A notice that the server could not write. */
  notice(strong: string, text: string): HTMLElement {
    const notice = document.createElement("div");
    notice.className = "notice bad";
    notice.setAttribute("role", "alert");
    const words = document.createElement("div");
    words.append(Object.assign(document.createElement("strong"), { textContent: strong }), ` ${text}`);
    notice.append(words);
    return notice;
  }

  private rows(shown: HTMLElement, fresh: HTMLElement): void {
    const known = new Map([...shown.children].map((row) => [(row as HTMLElement).dataset["call"]!, row as HTMLElement]));
    for (const row of [...fresh.children] as HTMLElement[]) {
      const call = row.dataset["call"]!;
      const old = known.get(call);
      known.delete(call);
      // Elsewhere in the page it is the same call, which has moved.
      if (old === undefined) {
        this.root.querySelector(`[data-call="${call}"]`)?.remove();
        shown.append(row);
        htmx.process(row);
        if (row.dataset["own"] !== undefined) this.say(begun(row));
      } else this.replace(old, row);
    }
    for (const [call, row] of known) this.gone(call, row);
  }

  private replace(old: HTMLElement, row: HTMLElement): void {
    if (old.dataset["print"] === row.dataset["print"] || old.querySelector("[aria-busy=true]") !== null) return;
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const verb = (focused as HTMLElement | null)?.dataset["verb"];
    old.replaceWith(row);
    htmx.process(row);
    if (verbs(old) !== verbs(row)) settle(row);
    if (old.dataset["own"] !== undefined && old.dataset["says"] !== row.dataset["says"]) this.say(row.dataset["says"]!);
    if (focused === null) return;
    // The button that was pressed has gone with its state; what takes its place is the next to press.
    const same = verb === undefined ? null : row.querySelector<HTMLElement>(`[data-verb="${verb}"]`);
    const next = verb === undefined ? null : row.querySelector<HTMLElement>("[data-verb]");
    (same ?? next ?? row.querySelector<HTMLElement>("a, button"))?.focus();
  }

  private gone(call: string, row: HTMLElement): void {
    if (!this.endings.has(call)) {
      this.left.set(call, { row, place: row.parentElement! });
      window.setTimeout(() => this.left.delete(call), LATE_MS);
      row.remove();
      return;
    }
    if (row.dataset["ended"] !== undefined) return;
    row.dataset["ended"] = "";
    for (const part of row.querySelectorAll("form, [data-passing], .full, .rec-dot, .glyph")) part.remove();
    for (const time of row.querySelectorAll<HTMLElement>("[data-since]")) delete time.dataset["since"];
    const state = row.querySelector("[data-state-text]");
    if (state !== null) state.textContent = this.words.over;
    if (row.dataset["own"] !== undefined) this.say(this.words.over);
    window.setTimeout(() => this.leave(call, row), LINGERS_MS);
  }

  /** Take a row away once nobody is about to press something near it; a finger hovers nowhere. */
  private leave(call: string, row: HTMLElement, stayed = 0): void {
    const near = stayed < STAYS_MS && matchMedia("(hover: hover)").matches && this.root.matches(":hover");
    if (near || row.contains(document.activeElement)) {
      window.setTimeout(() => this.leave(call, row, stayed + LINGERS_MS / 4), LINGERS_MS / 4);
      return;
    }
    const section = row.closest<HTMLElement>("[data-section]");
    row.remove();
    this.endings.delete(call);
    if (section !== null && section.querySelector("[data-call]") === null) section.hidden = true;
    this.empty();
  }

  private empty(): void {
    const none = this.root.querySelector<HTMLElement>('[data-section="none"]')!;
    none.hidden = this.root.querySelector("[data-call]") !== null;
  }
}

/** Which buttons a row has. */
function verbs(row: HTMLElement): string {
  return [...row.querySelectorAll<HTMLElement>("[data-verb]")].map((button) => button.dataset["verb"]).join(" ");
}

/** Let what has just come under a pointer or a key be seen first. */
function settle(row: HTMLElement): void {
  row.dataset["settling"] = "";
  window.setTimeout(() => delete row.dataset["settling"], SETTLES_MS);
}

/** What is said of one's own call that begins: with whom, and whether it is recorded. */
function begun(row: HTMLElement): string {
  return `${row.querySelector("h2")?.textContent ?? ""}: ${row.dataset["says"] ?? ""}`;
}
