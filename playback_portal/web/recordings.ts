// The list of recordings: a row plays in its place, ticks bring up the bar, arrows move between rows.
// One <audio> outlives every change of the list; the browser asks it for ranges with the session's cookie.
import { say } from "./toast";

const WIDTH = 240;
const SVG = "http://www.w3.org/2000/svg";
const STEP_S = 5;

const audio = document.querySelector<HTMLAudioElement>("#inline-audio")!;
// With an index before it every place can be sought; what was archived without one comes as it is.
const INDEXED = "?format=mp4";
let playing = "";

function buttonOf(address: string): HTMLButtonElement | null {
  return address === "" ? null : document.querySelector<HTMLButtonElement>(`button[data-play="${CSS.escape(address)}"]`);
}

function durationOf(row: HTMLElement): number {
  return Number(row.dataset["durationMs"]) / 1000;
}

// ---------------------------------------------------------------- the row that plays

function play(address: string): void {
  if (address !== playing) {
    forget();
    playing = address;
    audio.src = address + INDEXED;
  }
  audio.play().catch(() => undefined);
}

function toggle(button: HTMLButtonElement): void {
  const address = button.dataset["play"]!;
  if (address === playing && !audio.paused) audio.pause();
  else play(address);
}

/** Show what plays, also in rows that came after it began. */
function show(): void {
  const button = buttonOf(playing);
  const row = button?.closest("tr");
  if (!button || !row) return;
  const on = !audio.paused;
  if (button.classList.contains("on") !== on) {
    const use = button.querySelector("use");
    const [sprite] = (use?.getAttribute("href") ?? "").split("#");
    use?.setAttribute("href", `${sprite}#i-${on ? "pause" : "play"}`);
    button.dataset["start"] ??= button.getAttribute("aria-label") ?? "";
    button.setAttribute("aria-label", (on ? button.dataset["pause"] : button.dataset["start"]) ?? "");
    button.classList.toggle("on", on);
  }
  row.classList.add("now");
  drawHead(row, audio.currentTime / Math.max(durationOf(row), 0.001));
}

function forget(): void {
  const button = buttonOf(playing);
  audio.pause();
  show();
  button?.closest("tr")?.classList.remove("now");
  button?.closest("tr")?.querySelectorAll("[data-head]").forEach((each) => each.remove());
  playing = "";
}

/** Draw the playhead, and what was played in the full colour of its party. */
function drawHead(row: HTMLElement, share: number): void {
  const mini = row.querySelector<SVGElement>(".mini");
  if (mini === null) return;
  const x = Math.min(Math.max(share, 0), 1) * WIDTH;
  let clip = mini.querySelector<SVGRectElement>("clipPath rect");
  if (clip === null) clip = addHead(mini, row.id);
  clip.setAttribute("width", x.toFixed(1));
  mini.querySelector(".head-line")?.setAttribute("d", `M${x.toFixed(1)} -2v32`);
}

function addHead(mini: SVGElement, id: string): SVGRectElement {
  const make = <K extends keyof SVGElementTagNameMap>(name: K, attributes: Record<string, string>): SVGElementTagNameMap[K] => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const clip = make("clipPath", { id: `played-${id}`, "data-head": "" });
  const rect = make("rect", { x: "0", y: "-2", height: "32", width: "0" });
  const played = make("g", { "clip-path": `url(#played-${id})`, "data-head": "" });
  clip.append(rect);
  for (const path of mini.querySelectorAll(":scope > .rest")) {
    const copy = path.cloneNode() as Element;
    copy.classList.remove("rest");
    played.append(copy);
  }
  mini.append(clip, played, make("path", { class: "head-line", "vector-effect": "non-scaling-stroke", "data-head": "" }));
  return rect;
}

for (const name of ["play", "playing", "pause", "timeupdate", "seeked"]) audio.addEventListener(name, show);
audio.addEventListener("ended", forget);
audio.addEventListener("error", () => {
  if (playing === "") return;
  if (audio.src.endsWith(INDEXED)) {
    audio.src = playing;
    audio.play().catch(() => undefined);
    return;
  }
  forget();
  say(audio.dataset["failed"] ?? "");
});

// ---------------------------------------------------------------- ticks and the bar

let anchor: HTMLInputElement | null = null;

function ticks(): HTMLInputElement[] {
  return [...document.querySelectorAll<HTMLInputElement>("#results .recs input[name=id]")];
}

function count(): void {
  const all = ticks();
  const ticked = all.filter((box) => box.checked);
  for (const box of all) box.closest("tr")?.toggleAttribute("aria-selected", false);
  for (const box of ticked) box.closest("tr")?.setAttribute("aria-selected", "true");
  const bar = document.querySelector<HTMLElement>("#bulk");
  if (bar === null) return;
  bar.hidden = ticked.length === 0;
  bar.querySelector("[data-count]")!.textContent = String(ticked.length);
  const download = bar.querySelector<HTMLButtonElement>("[data-download]");
  if (download) download.hidden = !ticked.some((box) => "downloads" in box.dataset);
  const every = document.querySelector<HTMLInputElement>("#results input[data-all]");
  if (every === null) return;
  every.checked = all.length > 0 && ticked.length === all.length;
  every.indeterminate = ticked.length > 0 && ticked.length < all.length;
}

function tickAll(on: boolean): void {
  for (const box of ticks()) box.checked = on;
  count();
}

/** With shift, all between the box pressed last and this one become as this one. */
function tickTo(box: HTMLInputElement): void {
  const all = ticks();
  const [one, other] = [anchor === null ? -1 : all.indexOf(anchor), all.indexOf(box)];
  if (one < 0) return;
  for (const each of all.slice(Math.min(one, other), Math.max(one, other) + 1)) each.checked = box.checked;
}

/** Hand over the files one by one; each is a request, and an audit entry, of its own. */
async function download(): Promise<void> {
  for (const box of ticks().filter((each) => each.checked && "downloads" in each.dataset)) {
    const link = document.createElement("a");
    link.href = `/v1/recordings/${box.value}/audio?download=1`;
    link.download = "";
    link.click();
    // Browsers drop a download that begins in the same moment as another.
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

// ---------------------------------------------------------------- what is pressed

document.addEventListener("click", (event) => {
  const target = event.target as Element;
  const button = target.closest<HTMLButtonElement>("button[data-play]");
  if (target instanceof HTMLInputElement && target.matches("#results input[name=id]")) {
    if (event.shiftKey) tickTo(target);
    anchor = target;
    count();
  } else if (button) toggle(button);
  else if (target.closest("#bulk [data-clear]")) tickAll(false);
  else if (target.closest("#bulk [data-download]")) void download();
  else seekBy(event);
});

/** A press on the waveform of the row that plays goes there. */
function seekBy(event: MouseEvent): void {
  const mini = (event.target as Element).closest<SVGElement>("tr.now .mini");
  const row = mini?.closest("tr");
  if (!mini || !row) return;
  const box = mini.getBoundingClientRect();
  audio.currentTime = ((event.clientX - box.left) / box.width) * durationOf(row);
}

document.addEventListener("change", (event) => {
  const box = event.target as HTMLInputElement;
  if (box.matches("#results input[data-all]")) tickAll(box.checked);
});

document.addEventListener("keydown", (event) => {
  const cell = (event.target as Element).closest<HTMLElement>(".recs tbody td");
  if (cell === null || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") move(event, cell, event.key === "ArrowDown" ? 1 : -1);
  const sideways = { ArrowLeft: -STEP_S, ArrowRight: STEP_S }[event.key];
  if (sideways === undefined || !(event.target as Element).matches("[data-play].on")) return;
  event.preventDefault();
  audio.currentTime += sideways;
});

/** Up and down go to the same control of the next row; with shift, boxes are ticked on the way. */
function move(event: KeyboardEvent, cell: HTMLElement, by: number): void {
  const rows = [...document.querySelectorAll<HTMLTableRowElement>(".recs tbody tr[id]")];
  const next = rows[rows.indexOf(cell.closest("tr")!) + by];
  const column = [...cell.parentElement!.children].indexOf(cell);
  const control = next?.children[column]?.querySelector<HTMLElement>("a, button, input");
  if (!control) return;
  event.preventDefault();
  control.focus();
  if (!event.shiftKey || !(control instanceof HTMLInputElement)) return;
  for (const box of [cell.querySelector<HTMLInputElement>("input[name=id]"), control]) if (box !== null) box.checked = true;
  anchor = control;
  count();
}

// ---------------------------------------------------------------- what htmx brought

document.addEventListener("htmx:afterSettle", (event) => {
  show();
  count();
  const brought = (event as CustomEvent<{ elt: Element }>).detail.elt;
  // The chip that was pressed may be gone; reading goes on where the results begin.
  if (brought.id === "results" && document.activeElement === document.body) {
    document.querySelector<HTMLElement>("#results")?.focus({ preventScroll: true });
  }
});

count();
