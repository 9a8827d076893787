// What somebody was writing when their session turned out to be over: it is put back when they have signed in again
// in this window, on the page they wrote it on.
//
// It is kept in the storage of this one tab, from the moment the page leads to signing in until the next page of a
// person: it goes when it is back in its place, when somebody else signs in, on signing out and with the tab.
// Nothing is sent anywhere, and of who goes on working nothing is kept.

import { say } from "./toast";

interface Field {
  id: string;
  text: string;
  // What the form says beside it: the moment of a comment, the revision that was changed.
  beside: Record<string, string>;
  moment: string;
}

interface Kept {
  who: string;
  path: string;
  fields: Field[];
}

const KEY = "ew-unsent";
const MOMENT = "[data-comment-at]";
const who = document.body.dataset["who"] ?? "";

function hidden(form: HTMLFormElement | null): HTMLInputElement[] {
  return [...(form?.querySelectorAll<HTMLInputElement>("input[type=hidden]:not([name=csrf])") ?? [])];
}

function keep(): void {
  const written = [...document.querySelectorAll<HTMLTextAreaElement>("textarea[data-sends]")];
  const fields = written
    .filter((field) => field.value !== field.defaultValue)
    .map((field) => ({
      id: field.id,
      text: field.value,
      beside: Object.fromEntries(hidden(field.form).map((each) => [each.name, each.value])),
      moment: field.form?.querySelector(MOMENT)?.textContent ?? "",
    }));
  if (fields.length > 0) store({ who, path: location.pathname, fields });
}

function store(kept: Kept): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // A browser that keeps nothing shows the way in all the same.
  }
}

function found(): Kept | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Kept | null;
  } catch {
    return null;
  }
}

function forget(): void {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // There is nothing then.
  }
}

/** Put a text where it was written; False where its field is there no more. */
function put(kept: Field): boolean {
  const field = document.getElementById(kept.id);
  if (!(field instanceof HTMLTextAreaElement)) return false;
  field.value = kept.text;
  for (const each of hidden(field.form)) each.value = kept.beside[each.name] ?? each.value;
  const moment = field.form?.querySelector(MOMENT);
  if (moment && kept.moment !== "") moment.textContent = kept.moment;
  field.closest("details")?.setAttribute("open", "");
  return true;
}

function putBack(): void {
  const kept = found();
  if (kept === null) return;
  if (kept.who === who && kept.path !== location.pathname) return;
  forget();
  if (kept.who !== who) return;
  let fields = kept.fields;
  const again = (): void => {
    const back = fields.filter(put);
    fields = fields.filter((each) => !back.includes(each));
    if (back.length === 0) return;
    say(document.body.dataset["isBack"] ?? "");
    document.getElementById(back[0]!.id)?.focus();
  };
  again();
  // The form of an evaluation comes by itself, later than the page.
  if (fields.length > 0) document.addEventListener("htmx:afterSettle", again);
}

// Pages for strangers, on the way in, have nobody.
if (who !== "") {
  putBack();
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if ((event as CustomEvent<{ xhr: XMLHttpRequest }>).detail.xhr.status === 401) keep();
  });
  document.addEventListener("click", (event) => {
    if ((event.target as Element).closest("#session-ends a[href^='/sign-in']") !== null) keep();
  });
  document.addEventListener("submit", (event) => {
    if ((event.target as HTMLFormElement).matches("form[action='/sign-out']")) forget();
  });
}
