// Playing and pausing, speed, leaving out silence; and what the audio element says of itself.

import { duration } from "./call";
import type { Parts } from "./parts";
import type { Position } from "./position";

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3];
const BUSY_AFTER_MS = 250;
// Silence is left a little before somebody speaks, so that no first syllable is lost.
const SKIP_LEAD_MS = 250;
// How somebody listens belongs to them and not to one call. Which party is mute belongs to the call alone.
const [KEPT_SPEED, KEPT_SKIP] = ["ew-speed", "ew-skip"];

export class Transport {
  private readonly skips: [number, number][];
  private skipping = false;
  private waiting = 0;

  constructor(
    private readonly parts: Parts,
    private readonly position: Position,
  ) {
    const least = Number(parts.root.dataset["skipFromMs"]);
    this.skips = parts.call.quiet.filter(([from, to]) => to - from >= least);
    this.listen();
    const kept = Number(localStorage.getItem(KEPT_SPEED));
    if (SPEEDS.includes(kept)) this.play(kept);
    this.leaveOut(localStorage.getItem(KEPT_SKIP) === "on");
  }

  async toggle(): Promise<void> {
    const { audio, call, sound } = this.parts;
    if (!audio.paused) {
      audio.pause();
      return;
    }
    if (this.position.ms >= call.durationMs - 50) this.position.seek(0);
    await sound.wake();
    // A refusal is told by the error of the element; being paused meanwhile is none.
    await audio.play().catch(() => undefined);
  }

  speed(rate: number): void {
    this.play(rate);
    localStorage.setItem(KEPT_SPEED, String(rate));
    this.parts.tell(`${this.parts.words["speed"]} ${rate.toLocaleString(document.documentElement.lang)}×`);
  }

  private play(rate: number): void {
    const { audio, root } = this.parts;
    // Whatever is loaded later begins at the default.
    audio.defaultPlaybackRate = rate;
    audio.playbackRate = rate;
    audio.preservesPitch = true;
    for (const button of root.querySelectorAll<HTMLElement>("[data-speed]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset["speed"]) === rate));
    }
  }

  /** Go on to the next speed, or with a negative number back. */
  step(by: number): void {
    const place = SPEEDS.findIndex((rate) => rate >= this.parts.audio.playbackRate);
    this.speed(SPEEDS[Math.min(Math.max(place + by, 0), SPEEDS.length - 1)]!);
  }

  /** Leave out silence from now on, or no more. */
  skip(): void {
    const { call, words } = this.parts;
    this.leaveOut(!this.skipping);
    localStorage.setItem(KEPT_SKIP, this.skipping ? "on" : "off");
    const saved = this.skips.reduce((sum, [from, to]) => sum + to - from - SKIP_LEAD_MS, 0);
    const left = duration(call.durationMs - saved);
    const share = words["saved"]!.replace("#", String(Math.round((saved / call.durationMs) * 100)));
    this.parts.tell(this.skipping ? `${duration(call.durationMs)} → ${left}, ${share}` : "");
  }

  private leaveOut(skipping: boolean): void {
    this.skipping = skipping;
    this.parts.need<HTMLElement>("[data-skip]").setAttribute("aria-pressed", String(skipping));
  }

  private listen(): void {
    const { audio, wave } = this.parts;
    const { position } = this;
    const on = (name: string, act: () => void): void => audio.addEventListener(name, act);
    on("loadedmetadata", () => position.ready());
    on("play", () => {
      this.turn();
      this.parts.fault("");
      requestAnimationFrame(() => this.frame());
    });
    on("pause", () => {
      this.turn();
      position.show();
      position.say();
      position.address(true);
      position.keep(true);
    });
    on("seeked", () => {
      position.arrived();
      this.idle();
    });
    for (const name of ["seeking", "waiting"]) on(name, () => this.busy());
    for (const name of ["playing", "canplay"]) on(name, () => this.idle());
    on("progress", () => wave.buffer(audio.buffered));
    on("timeupdate", () => {
      position.say();
      position.address();
      if (!audio.paused) position.keep();
    });
    on("error", () => this.fail());
    addEventListener("pagehide", () => {
      if (!audio.paused) position.keep(true);
    });
    // It may have failed before anybody listened.
    if (audio.error !== null) this.fail();
  }

  private frame(): void {
    const { audio } = this.parts;
    if (this.skipping && !this.position.moving) {
      const ms = this.position.ms;
      const quiet = this.skips.find(([from, to]) => ms >= from + SKIP_LEAD_MS && ms < to - SKIP_LEAD_MS);
      if (quiet !== undefined) {
        this.position.seek(quiet[1] - SKIP_LEAD_MS);
        return void requestAnimationFrame(() => this.frame());
      }
    }
    this.position.show();
    if (!audio.paused && !audio.ended) requestAnimationFrame(() => this.frame());
  }

  /** Show on the button what pressing it does now. */
  private turn(): void {
    const { audio, play, root, words } = this.parts;
    play.setAttribute("aria-label", words[audio.paused ? "play" : "pause"]!);
    play.querySelector("use")!.setAttribute("href", root.dataset[audio.paused ? "playIcon" : "pauseIcon"]!);
    if ("mediaSession" in navigator) navigator.mediaSession.playbackState = audio.paused ? "paused" : "playing";
  }

  private busy(): void {
    clearTimeout(this.waiting);
    this.waiting = window.setTimeout(() => this.parts.play.setAttribute("aria-busy", "true"), BUSY_AFTER_MS);
  }

  private idle(): void {
    clearTimeout(this.waiting);
    this.parts.play.removeAttribute("aria-busy");
  }

  private fail(): void {
    const { audio } = this.parts;
    this.idle();
    this.turn();
    // A recording without an index of its frames is had as it was archived.
    const otherwise = audio.dataset["otherwise"];
    if (otherwise === undefined) return void this.explain();
    delete audio.dataset["otherwise"];
    this.position.stay();
    audio.src = otherwise;
  }

  /** The element tells nothing of an answer it did not like; the answer itself does. */
  private async explain(): Promise<void> {
    const { audio, words } = this.parts;
    let reason = words["away"]!;
    try {
      const answer = await fetch(audio.src, { headers: { Range: "bytes=0-0" } });
      if (answer.ok) reason = words["undecodable"]!;
      else reason = ((await answer.json()) as { detail?: string }).detail ?? reason;
    } catch {
      // The portal does not answer at all: the sentence above says so.
    }
    this.parts.fault(reason);
  }
}
