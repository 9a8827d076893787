// Before a session ends by itself its person is told, and one press keeps it (WCAG 2.2.1).
//
// <body data-session-s="1800"> says how long there is without activity; <dialog id="session-ends"> is shown
// WARNING_S before. Other windows and listening are activity that this page does not see, so the server is
// asked first; asking keeps nothing open.

// Its names are its own.
export {};

const WARNING_S = 120;
const PATH = "/me/session";

interface Left {
  seconds: number;
  lasts: boolean;
}

const dialog = document.querySelector<HTMLDialogElement>("#session-ends");
const given = Number(document.body.dataset["sessionS"] ?? 0);
let endsAt = Date.now() + given * 1000;
let timer = 0;
let warned = false;

function left(): number {
  return Math.max(0, Math.ceil((endsAt - Date.now()) / 1000));
}

async function asked(method: "GET" | "POST"): Promise<Left | null> {
  const headers = { "X-CSRF-Token": dialog!.dataset["csrf"] ?? "" };
  try {
    const answer = await fetch(PATH, { method, headers, redirect: "error" });
    return answer.ok ? ((await answer.json()) as Left) : null;
  } catch {
    return null;
  }
}

function wait(seconds: number): void {
  window.clearTimeout(timer);
  timer = window.setTimeout(() => void check(), seconds * 1000);
}

function take(now: Left): void {
  endsAt = Date.now() + now.seconds * 1000;
  if (now.seconds > WARNING_S) {
    warned = false;
    if (dialog!.open) dialog!.close();
    wait(now.seconds - WARNING_S);
    return;
  }
  show(now.seconds === 0 ? "over" : now.lasts ? "soon" : "day");
  count();
}

// Each part of the dialog is for one state; the first button of the one that is shown has the focus.
function show(state: string): void {
  warned = true;
  const changed = dialog!.dataset["state"] !== state;
  dialog!.dataset["state"] = state;
  for (const part of dialog!.querySelectorAll<HTMLElement>("[data-when]")) part.hidden = part.dataset["when"] !== state;
  if (!dialog!.open) dialog!.showModal();
  if (changed) dialog!.querySelector<HTMLElement>(`[data-when="${state}"] :is(button, a)`)?.focus();
}

// Seen and not heard: a screen reader that said every second could say nothing else.
function count(): void {
  const seconds = left();
  const over = dialog!.dataset["state"] === "over";
  const text = over ? "" : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  for (const place of dialog!.querySelectorAll("[data-left]")) place.textContent = text;
  if (!over) wait(1);
}

async function check(): Promise<void> {
  if (warned && left() > 0) {
    // Who closed it knows; they hear again when it is over.
    if (dialog!.open) count();
    else wait(left());
    return;
  }
  const now = await asked("GET");
  if (now !== null) take(now);
  else wait(10);
}

if (dialog !== null && given > 0) {
  wait(given - WARNING_S);
  // Timers stand still while a machine sleeps.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && left() <= WARNING_S) void asked("GET").then((now) => now && take(now));
  });
  dialog.querySelector("[data-stay]")?.addEventListener("click", (event) => {
    const button = event.currentTarget as HTMLElement;
    button.setAttribute("aria-busy", "true");
    void asked("POST").then((now) => {
      button.removeAttribute("aria-busy");
      if (now !== null) take(now);
    });
  });
  // Escape is an answer too: somebody is there.
  dialog.addEventListener("cancel", (event) => {
    if (dialog.dataset["state"] !== "soon") return;
    event.preventDefault();
    void asked("POST").then((now) => now && take(now));
  });
}
