// The page that checks a package: takes the file, shows each check as it goes, and says how it ended.
import type { Certificate } from "pkijs";
import { certificateOf, certificatesIn, fingerprintOf } from "./cms";
import { type Check, type Said, type State, type Told, type Trust, check } from "./evidence";
import { fromBase64 } from "./bag";
import type { Fault } from "./zip";

const FAULTS_SHOWN_MAX = 50;
const page = document.querySelector<HTMLElement>("#verify")!;
const [verdict, progress, checks] = ["#verdict", "#progress", "#checks"].map((id) => page.querySelector<HTMLElement>(id)!) as [HTMLElement, HTMLElement, HTMLElement];
const trusted = page.querySelector<HTMLElement>("#trusted")!;
const [chosen, other] = ["#package", "#authority"].map((id) => page.querySelector<HTMLInputElement>(id)!) as [HTMLInputElement, HTMLInputElement];
const target = page.querySelector<HTMLElement>("[data-drop]")!;
const certificates = (written: string): Certificate[] =>
  written.split(" ").filter((each) => each !== "").map((each) => certificateOf(fromBase64(each)));

let trust: Trust = { authority: certificates(page.dataset["authority"]!)[0]!, stamping: certificates(page.dataset["stamping"]!) };
let running = 0;

function word(code: string, fields: Readonly<Record<string, string | number>> = {}): string {
  const text = page.querySelector(`[data-word="${code}"]`)?.textContent ?? code;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(fields[name] ?? whole));
}

function number(value: number): string {
  return value.toLocaleString(document.documentElement.lang);
}

function filled(said: Said): string {
  const moment = said.word === "stamped" ? new Date(said.name!).toLocaleString(document.documentElement.lang, { dateStyle: "long", timeStyle: "long" }) : said.name;
  return word(said.word, { name: moment ?? "", count: number(said.count ?? 0), total: number(said.total ?? 0) });
}

function item(which: Check): HTMLElement {
  return checks.querySelector<HTMLElement>(`[data-check="${which}"]`)!;
}

function show(which: Check, state: State | "waits", faults: readonly Fault[], said: readonly Said[]): void {
  const shown = item(which);
  shown.dataset["state"] = state;
  shown.querySelector(".state")!.textContent = word(state);
  shown.querySelector(".said")!.textContent = said.map(filled).join(" ");
  const told = faults.slice(0, FAULTS_SHOWN_MAX).map((fault) => word(fault.word, { name: fault.name, line: fault.line }));
  if (faults.length > FAULTS_SHOWN_MAX) told.push(word("more", { count: number(faults.length - FAULTS_SHOWN_MAX) }));
  shown.querySelector(".faults")!.replaceChildren(
    ...told.map((text) => {
      const line = document.createElement("li");
      line.textContent = text;
      return line;
    }),
  );
}

function conclude(): void {
  const states = [...checks.children].map((each) => (each as HTMLElement).dataset["state"]);
  const ended = states.includes("failed") ? "broken" : states.some((each) => each === "unknown" || each === "waits") ? "partly" : "sound";
  verdict.textContent = word(ended);
  verdict.dataset["state"] = { broken: "failed", partly: "unknown", sound: "ok" }[ended];
  verdict.hidden = false;
}

async function run(file: File): Promise<void> {
  const mine = (running += 1);
  verdict.hidden = true;
  checks.hidden = progress.hidden = false;
  for (const each of checks.children) show((each as HTMLElement).dataset["check"] as Check, "waits", [], []);
  const told: Told = {
    check: (which, state, faults, said) => mine === running && show(which, state, faults, said),
    progress(done, total) {
      if (mine !== running) return;
      const bar = progress.querySelector("progress")!;
      bar.value = total === 0 ? 1 : done / total;
      const megabytes = (octets: number): string => `${number(Math.round(octets / 100_000) / 10)} MB`;
      progress.querySelector(".help")!.textContent = word("progress", { done: megabytes(done), total: megabytes(total) });
    },
  };
  await check(file, trust, new Date(), told);
  if (mine !== running) return;
  progress.hidden = true;
  conclude();
}

chosen.addEventListener("change", () => {
  const file = chosen.files?.[0];
  if (file !== undefined) void run(file);
});

// Anywhere on the page: who misses the frame must not open the package as a page.
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  target.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) target.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  target.classList.remove("over");
  const file = event.dataTransfer?.files[0];
  if (file !== undefined) void run(file);
});

other.addEventListener("change", () => {
  void (async () => {
    const [file, known] = [other.files?.[0], trust];
    if (file === undefined) return;
    let found: Certificate[] = [];
    try {
      found = certificatesIn(await file.text());
    } catch {
      // Told below: it holds none.
    }
    const authority = found[0];
    trusted.textContent = authority === undefined ? word("authority-none") : word("authority-other", { name: await fingerprintOf(authority) });
    // Whose time-stamps count here says nothing of another archive.
    trust = authority === undefined ? known : { authority, stamping: [] };
    const again = chosen.files?.[0];
    if (authority !== undefined && again !== undefined) await run(again);
  })();
});
