// Keys that work everywhere: "/" to the search box, "?" shows the keys, "g" and a letter to a page, "Shift+n" and
// "Shift+p" to what follows and what went before.
// Pages add theirs with `on`. Dead while typing, and when the person switched them off (WCAG 2.1.4).

import { htmx } from "./exchange";

type Action = (event: KeyboardEvent) => void;

const actions = new Map<string, Action>();
const CHORD_MS = 1500;
let chord = -CHORD_MS;

/** Whether single keys are switched on for this person. */
export const enabled = document.body.dataset["shortcuts"] !== "off";

/** Do something at a key (`event.key`, letters in lower case; "Shift+n" with the shift key). */
export function on(key: string, action: Action): void {
  actions.set(key, action);
}

/** Whether the keys go into a field or a dialog now. */
export function typing(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  return target.isContentEditable || target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, dialog[open]") !== null;
}

function go(selector: string): void {
  document.querySelector<HTMLAnchorElement>(selector)?.click();
}

on("/", (event) => {
  const box = document.querySelector<HTMLInputElement>("[data-search], [role=search] input[type=search]");
  if (box === null) return;
  event.preventDefault();
  box.focus();
  box.select();
});
on("?", () => {
  if (document.querySelector("#keys-shown") === null) void htmx.ajax("get", "/help/keys", { target: "body", swap: "beforeend" });
});
on("Shift+n", () => go("a[rel=next]"));
on("Shift+p", () => go("a[rel=prev]"));

document.addEventListener("keydown", (event) => {
  if (!enabled || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
  const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (performance.now() - chord < CHORD_MS) {
    chord = -CHORD_MS;
    go(`a[data-go="${CSS.escape(letter)}"]`);
    return;
  }
  const key = event.shiftKey && /^[a-z0-9]$|^[A-Z]\w+$/.test(letter) ? `Shift+${letter}` : letter;
  const action = actions.get(key);
  if (action !== undefined) action(event);
  else if (key === "g") chord = performance.now();
});
