// Where a player is: shown, said, kept in the address and on the server, and moved.

import { bandsAt, clock, duration, nameOf, spoken } from "./call";
import { markers } from "./marker";
import type { Parts } from "./parts";

const KEPT_EVERY_MS = 30_000;
const ADDRESS_EVERY_MS = 1000;
const RESUMED_MS_MIN = 3000;

export class Position {
  private wanted: number | null = null;
  private kept = 0;
  private addressed = 0;

  constructor(private readonly parts: Parts) {}

  get ms(): number {
    // Sent to 2.002 s an element says 2.001999, which is just before what begins there.
    const told = Math.round(this.parts.audio.currentTime * 1000);
    return Math.min(this.wanted ?? told, this.parts.call.durationMs);
  }

  /** Whether the sound is on its way to another place. */
  get moving(): boolean {
    return this.wanted !== null;
  }

  seek(ms: number): void {
    const { audio, call } = this.parts;
    const target = Math.min(Math.max(ms, 0), call.durationMs);
    // Before its metadata the element forgets where it was sent: it is sent again then.
    this.wanted = target;
    if (audio.readyState > 0) audio.currentTime = target / 1000;
    this.show();
    this.say();
    this.address(true);
  }

  jump(ms: number): void {
    this.seek(this.ms + ms);
  }

  /** Go to the next of these places, or with a negative direction to the one before. */
  go(places: number[], direction: number): void {
    const here = this.ms;
    const sorted = [...new Set(places)].sort((one, other) => one - other);
    // Going back from just behind a mark means the one before it.
    const found = direction > 0 ? sorted.find((ms) => ms > here + 100) : sorted.findLast((ms) => ms < here - 1000);
    if (found !== undefined) this.seek(found);
  }

  /** Go where the address says, or where somebody stopped the last time. */
  begin(): void {
    const { call, words } = this.parts;
    const asked = new URL(location.href).searchParams.get("t");
    const stopped = call.positionMs;
    if (asked !== null && Number.isFinite(Number(asked))) this.seek(Number(asked) * 1000);
    else if (stopped >= RESUMED_MS_MIN && stopped < call.durationMs - RESUMED_MS_MIN) {
      this.seek(stopped);
      this.parts.tell(words["resumed"]!);
    }
    this.show();
    this.say();
  }

  show(): void {
    const ms = this.ms;
    this.parts.wave.move(ms);
    this.parts.need<HTMLElement>("[data-position]").textContent = duration(ms);
    this.parts.need<HTMLElement>("[data-clock]").textContent = clock(this.parts.call, ms);
  }

  /** The words of the slider change by the second and at every seek, not at every frame. */
  say(): void {
    const { audio, call, slider, words } = this.parts;
    const ms = this.ms;
    const here = bandsAt(call, ms).map((band) => nameOf(band, words));
    const marks = markers().filter((mark) => Math.abs(mark.ms - ms) < 1000).map((mark) => `${words["comment"]} ${mark.label}`);
    const text = `${spoken(ms, words)} ${words["of"]} ${spoken(call.durationMs, words)}, ${clock(call, ms)}`;
    slider.setAttribute("aria-valuenow", String(Math.floor(ms / 1000)));
    slider.setAttribute("aria-valuetext", [text, ...new Set([...here, ...marks])].join(", "));
    for (const line of document.querySelectorAll<HTMLElement>("[data-marks] > li[data-from]")) {
      line.classList.toggle("here", ms >= Number(line.dataset["from"]) && ms < Number(line.dataset["to"]));
    }
    if ("mediaSession" in navigator && call.durationMs > 0) {
      navigator.mediaSession.setPositionState({ duration: call.durationMs / 1000, position: ms / 1000, playbackRate: audio.playbackRate });
    }
  }

  /** Put it into the address: at once, or when a while has passed since. */
  address(now = false): void {
    if (!now && performance.now() - this.addressed < ADDRESS_EVERY_MS) return;
    this.addressed = performance.now();
    const here = new URL(location.href);
    here.searchParams.set("t", (this.ms / 1000).toFixed(1).replace(/\.0$/, ""));
    history.replaceState(history.state, "", here);
  }

  /** Keep it for other devices: at once, or when a while has passed since. */
  keep(now = false): void {
    if (!now && performance.now() - this.kept <= KEPT_EVERY_MS) return;
    this.kept = performance.now();
    const headers = JSON.parse(document.body.getAttribute("hx-headers") ?? "{}") as Record<string, string>;
    // What can't be kept is no reason to disturb who listens; the next time tries again.
    fetch(`/v1/recordings/${this.parts.call.id}/position`, {
      method: "PUT",
      keepalive: true,
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify({ positionMs: Math.round(this.ms) }),
    }).catch(() => undefined);
  }

  /** The element knows its length by now, and can be sent where it was to go. */
  ready(): void {
    if (this.wanted !== null) this.parts.audio.currentTime = this.wanted / 1000;
  }

  /** The sound is where it was to go. */
  arrived(): void {
    this.wanted = null;
    this.show();
    this.say();
  }

  /** The element starts anew with another source: it is to go where it is now. */
  stay(): void {
    this.wanted ??= this.ms;
  }
}
