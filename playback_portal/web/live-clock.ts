// Times that count on the page of calls: by the clock of the server, whatever the machine's own says.

const TITLE = document.title;

export class LiveClock {
  // What the server's clock says when `performance.now()` is 0.
  private origin = 0;
  private longMs = Infinity;
  private timer = 0;
  private reminded = new Set<string>();

  constructor(
    private readonly root: HTMLElement,
    private readonly paused: string,
    private readonly say: (text: string) => void,
  ) {}

  /** Learn what time it is at the server, in milliseconds. */
  set(now: number, longMs: number): void {
    this.origin = now - performance.now();
    this.longMs = longMs;
  }

  /** The time of day at which the server last told something. */
  told(): string {
    return new Date(this.now()).toLocaleTimeString(document.documentElement.lang, { timeZone: "Europe/Amsterdam", hour12: false });
  }

  run(on: boolean): void {
    window.clearInterval(this.timer);
    if (!on) return;
    this.tick();
    this.timer = window.setInterval(() => this.tick(), 500);
  }

  tick(): void {
    for (const place of this.root.querySelectorAll<HTMLElement>("[data-since]")) {
      const text = duration(this.now() - Number(place.dataset["since"]));
      if (place.textContent !== text) place.textContent = text;
    }
    this.remind();
  }

  private now(): number {
    return this.origin + performance.now();
  }

  /** Show which pauses last long; of one's own the title of the page tells too, and it is said once. */
  private remind(): void {
    let title = TITLE;
    for (const place of this.root.querySelectorAll<HTMLElement>("[data-reminder]")) {
      const lasts = this.now() - Number(place.dataset["reminder"]);
      const long = lasts >= this.longMs;
      place.classList.toggle("late", long);
      if (!long || place.closest("[data-own]") === null) continue;
      if (title === TITLE) title = `${this.paused.replace("{time}", duration(lasts))} - ${TITLE}`;
      const key = `${place.closest<HTMLElement>("[data-call]")!.dataset["call"]} ${place.dataset["reminder"]}`;
      if (this.reminded.has(key)) continue;
      this.reminded.add(key);
      this.say(place.textContent?.trim() ?? "");
    }
    if (document.title !== title) document.title = title;
  }
}

/** 0:48, 9:40 or 1:02:03, as the server writes it. */
function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (value: number): string => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
