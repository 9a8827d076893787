// The player of a recording: sound by the browser's own audio element, the picture by `wave.ts`.
// Keys: portal-wide ones through `shortcuts.ts`; those of the slider work whenever it has the focus.

import { bandsAt, clock, duration, nameOf, spoken, type Call, type Words } from "./call";
import { htmx } from "./exchange";
import { markers, onMarkers } from "./marker";
import { on } from "./shortcuts";
import { Sound } from "./sound";
import { Wave, type Peaks } from "./wave";

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3];
const KEPT_EVERY_MS = 30_000;
const ADDRESS_EVERY_MS = 1000;
const BUSY_AFTER_MS = 250;
// Silence is left a little before somebody speaks, so that no first syllable is lost.
const SKIP_FROM_MS = 1500;
const SKIP_LEAD_MS = 250;
const RESUMED_MS_MIN = 3000;
const BACK_WHILE_TYPING_MS = 2000;
const FINE_PEAKS_MS_MAX = 2 * 3600 * 1000;

function start(root: HTMLElement): void {
  const call = JSON.parse(root.dataset["call"]!) as Call;
  const words = JSON.parse(root.dataset["words"]!) as Words;
  const need = <T extends Element>(selector: string): T => root.querySelector<T>(selector)!;
  const audio = need<HTMLAudioElement>("audio");
  const slider = need<HTMLElement>(".slider");
  const play = need<HTMLButtonElement>("[data-play]");
  const told = need<HTMLElement>("[data-told]");
  const wave = new Wave(need<SVGSVGElement>("svg.lanes"), call, words);
  const sound = new Sound(audio, call.channels.length);
  const skips = call.quiet.filter(([from, to]) => to - from >= SKIP_FROM_MS);
  let skipping = false;
  let wanted: number | null = null;
  let kept = 0;
  let addressed = 0;

  const position = (): number => Math.min(wanted ?? audio.currentTime * 1000, call.durationMs);
  const tell = (text: string): void => {
    told.textContent = text;
  };

  // ---------------------------------------------------------------- where we are

  function shown(): void {
    const ms = position();
    wave.move(ms);
    need<HTMLElement>("[data-position]").textContent = duration(ms);
    need<HTMLElement>("[data-clock]").textContent = clock(call, ms);
  }

  /** The words of the slider change by the second and at every seek, not at every frame. */
  function said(): void {
    const ms = position();
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

  function address(): void {
    if (performance.now() - addressed < ADDRESS_EVERY_MS) return;
    addressed = performance.now();
    const here = new URL(location.href);
    here.searchParams.set("t", (position() / 1000).toFixed(1).replace(/\.0$/, ""));
    history.replaceState(history.state, "", here);
  }

  function keep(): void {
    kept = performance.now();
    const headers = JSON.parse(document.body.getAttribute("hx-headers") ?? "{}") as Record<string, string>;
    // What can't be kept is no reason to disturb who listens; the next time tries again.
    fetch(`/v1/recordings/${call.id}/position`, {
      method: "PUT",
      keepalive: true,
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify({ positionMs: Math.round(position()) }),
    }).catch(() => undefined);
  }

  function seek(ms: number): void {
    const target = Math.min(Math.max(ms, 0), call.durationMs);
    // Before its metadata the element forgets where it was sent: it is sent again then.
    wanted = target;
    if (audio.readyState > 0) audio.currentTime = target / 1000;
    shown();
    said();
    addressed = 0;
    address();
  }

  const jump = (ms: number): void => seek(position() + ms);

  async function toggle(): Promise<void> {
    if (!audio.paused) {
      audio.pause();
      return;
    }
    if (position() >= call.durationMs - 50) seek(0);
    await sound.wake();
    // A refusal is told by the error of the element; being paused meanwhile is none.
    await audio.play().catch(() => undefined);
  }

  // ---------------------------------------------------------------- speed, silence, parties

  function speed(rate: number): void {
    audio.playbackRate = rate;
    audio.preservesPitch = true;
    for (const button of root.querySelectorAll<HTMLElement>("[data-speed]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset["speed"]) === rate));
    }
    const text = `${rate.toLocaleString(document.documentElement.lang)}×`;
    tell(`${words["speed"]} ${text}`);
  }

  function step(by: number): void {
    const place = SPEEDS.findIndex((rate) => rate >= audio.playbackRate);
    speed(SPEEDS[Math.min(Math.max(place + by, 0), SPEEDS.length - 1)]!);
  }

  function skip(): void {
    skipping = !skipping;
    need<HTMLElement>("[data-skip]").setAttribute("aria-pressed", String(skipping));
    const saved = skips.reduce((sum, [from, to]) => sum + to - from - SKIP_LEAD_MS, 0);
    const left = call.durationMs - saved;
    const share = Math.round((saved / call.durationMs) * 100);
    tell(skipping ? `${duration(call.durationMs)} → ${duration(left)}, ${words["saved"]!.replace("#", String(share))}` : "");
  }

  function party(channel: number, act: (channel: number) => void): void {
    if (channel >= call.channels.length || !sound.separable) return;
    void sound.wake().then(() => {
      act(channel);
      for (const button of root.querySelectorAll<HTMLElement>("[data-mute]")) {
        const muted = sound.isMuted(Number(button.dataset["mute"]));
        button.setAttribute("aria-pressed", String(muted));
        button.querySelector("use")!.setAttribute("href", root.dataset[muted ? "muteIcon" : "soundIcon"]!);
      }
    });
  }

  // ---------------------------------------------------------------- marks

  function to(places: number[], direction: number): void {
    const here = position();
    const sorted = [...new Set(places)].sort((one, other) => one - other);
    // Going back from just behind a mark means the one before it.
    const found = direction > 0 ? sorted.find((ms) => ms > here + 100) : sorted.findLast((ms) => ms < here - 1000);
    if (found !== undefined) seek(found);
  }

  /** What came later to the timeline (comments) gets its place by its time. */
  function sorted(): void {
    const list = document.querySelector("[data-marks]");
    if (list === null) return;
    const items = [...list.querySelectorAll<HTMLElement>(":scope > li[data-from]")];
    const after = (one: HTMLElement, other: HTMLElement): number => Number(one.dataset["from"]) - Number(other.dataset["from"]);
    const wanted = items.toSorted(after);
    // Moving an element takes its focus away: only what stands wrong moves.
    if (wanted.some((item, place) => item !== items[place])) list.append(...wanted);
  }

  const comments = (): number[] => markers().map((mark) => mark.ms);
  const gaps = (): number[] => call.bands.map((band) => band.fromMs);

  // ---------------------------------------------------------------- the element's own events

  function each(): void {
    if (skipping && wanted === null) {
      const ms = position();
      const quiet = skips.find(([from, to]) => ms >= from + SKIP_LEAD_MS && ms < to - SKIP_LEAD_MS);
      if (quiet !== undefined) {
        seek(quiet[1] - SKIP_LEAD_MS);
        return void requestAnimationFrame(each);
      }
    }
    shown();
    if (!audio.paused && !audio.ended) requestAnimationFrame(each);
  }

  function playing(): void {
    const paused = audio.paused;
    play.setAttribute("aria-label", words[paused ? "play" : "pause"]!);
    play.querySelector("use")!.setAttribute("href", root.dataset[paused ? "playIcon" : "pauseIcon"]!);
    if ("mediaSession" in navigator) navigator.mediaSession.playbackState = paused ? "paused" : "playing";
  }

  let waiting = 0;
  const busy = (): void => {
    clearTimeout(waiting);
    waiting = window.setTimeout(() => play.setAttribute("aria-busy", "true"), BUSY_AFTER_MS);
  };
  const idle = (): void => {
    clearTimeout(waiting);
    play.removeAttribute("aria-busy");
  };

  audio.addEventListener("loadedmetadata", () => {
    if (wanted !== null) audio.currentTime = wanted / 1000;
  });
  audio.addEventListener("play", () => {
    playing();
    fault("");
    requestAnimationFrame(each);
  });
  audio.addEventListener("pause", () => {
    playing();
    shown();
    said();
    addressed = 0;
    address();
    keep();
  });
  audio.addEventListener("seeked", () => {
    wanted = null;
    idle();
    shown();
    said();
  });
  audio.addEventListener("seeking", busy);
  audio.addEventListener("waiting", busy);
  audio.addEventListener("playing", idle);
  audio.addEventListener("canplay", idle);
  audio.addEventListener("progress", () => wave.buffer(audio.buffered));
  audio.addEventListener("timeupdate", () => {
    said();
    address();
    if (!audio.paused && performance.now() - kept > KEPT_EVERY_MS) keep();
  });
  audio.addEventListener("error", () => {
    idle();
    playing();
    // A recording without an index of its frames is had as it was archived.
    const otherwise = audio.dataset["otherwise"];
    if (otherwise === undefined) return void explain();
    delete audio.dataset["otherwise"];
    wanted ??= position();
    audio.src = otherwise;
  });
  addEventListener("pagehide", () => {
    if (!audio.paused) keep();
  });

  function fault(text: string): void {
    need<HTMLElement>("[data-fault-text]").textContent = text;
    need<HTMLElement>("[data-fault]").hidden = text === "";
  }

  /** The element tells nothing of an answer it did not like; the answer itself does. */
  async function explain(): Promise<void> {
    let reason = words["away"]!;
    try {
      const answer = await fetch(audio.src, { headers: { Range: "bytes=0-0" } });
      if (answer.ok) reason = words["undecodable"]!;
      else reason = ((await answer.json()) as { detail?: string }).detail ?? reason;
    } catch {
      // The portal does not answer at all: the sentence above says so.
    }
    fault(reason);
  }

  // ---------------------------------------------------------------- buttons, pointer, keys

  function within(event: PointerEvent): void {
    const box = slider.getBoundingClientRect();
    seek(wave.timeAt(event.clientX - box.left, dragged === "overview"));
  }

  let dragged: "lanes" | "overview" | null = null;
  slider.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragged = event.clientY - slider.getBoundingClientRect().top > wave.bottom ? "overview" : "lanes";
    slider.setPointerCapture(event.pointerId);
    within(event);
  });
  slider.addEventListener("pointermove", (event) => {
    if (dragged !== null) within(event);
  });
  for (const name of ["pointerup", "pointercancel"]) slider.addEventListener(name, () => (dragged = null));

  document.addEventListener("click", (event) => {
    const pressed = (event.target as Element).closest<HTMLElement>("[data-seek], [data-marker-ms] [data-seek-here]");
    if (pressed?.dataset["seek"] !== undefined) seek(Number(pressed.dataset["seek"]));
  });
  root.addEventListener("click", (event) => {
    const pressed = (event.target as Element).closest<HTMLElement>("button");
    if (pressed === null) return;
    const { jump: by, speed: rate, mute, mark, zoom } = pressed.dataset;
    if (pressed === play) void toggle();
    else if (by !== undefined) jump(Number(by));
    else if (rate !== undefined) speed(Number(rate));
    else if (mute !== undefined) party(Number(mute), (channel) => sound.mute(channel));
    else if (mark !== undefined) to([...gaps(), ...comments()], Number(mark));
    else if (zoom !== undefined) {
      wave.zoom(Number(zoom));
      viewed();
    } else if (pressed.dataset["skip"] !== undefined) skip();
  });
  need<HTMLInputElement>("[data-volume]").addEventListener("input", (event) => {
    audio.volume = Number((event.target as HTMLInputElement).value) / 100;
  });

  function viewed(): void {
    const seconds = Math.round(wave.windowMs / 1000);
    const text = seconds >= 120 ? `${Math.round(seconds / 60)} ${words["minute"]}` : `${seconds} ${words["second"]}`;
    need<HTMLElement>("[data-in-view]").textContent = words["inView"]!.replace("#", text);
  }

  const moves: Record<string, (event: KeyboardEvent) => void> = {
    ArrowLeft: (event) => jump(event.shiftKey ? -1000 : -5000),
    ArrowRight: (event) => jump(event.shiftKey ? 1000 : 5000),
    ArrowDown: () => jump(-5000),
    ArrowUp: () => jump(5000),
    PageDown: () => jump(-30_000),
    PageUp: () => jump(30_000),
    Home: () => seek(0),
    End: () => seek(call.durationMs),
    " ": () => void toggle(),
  };
  slider.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(event);
  });

  /** Keys that mean something to what has the focus are left to it. */
  const free = (event: KeyboardEvent): boolean => (event.target as Element).closest("button, a, summary, [role=tab], [role=slider]") === null;
  const spare = (act: () => void) => (event: KeyboardEvent): void => {
    if (!free(event)) return;
    event.preventDefault();
    act();
  };
  on(" ", spare(() => void toggle()));
  on("ArrowLeft", spare(() => jump(-5000)));
  on("ArrowRight", spare(() => jump(5000)));
  on("Shift+ArrowLeft", spare(() => jump(-1000)));
  on("Shift+ArrowRight", spare(() => jump(1000)));
  on("k", () => void toggle());
  on("j", () => jump(-10_000));
  on("l", () => jump(10_000));
  on("[", () => step(-1));
  on("]", () => step(1));
  on("\\", () => speed(1));
  on("s", skip);
  on(",", () => to(comments(), -1));
  on(".", () => to(comments(), 1));
  on("p", () => to(gaps(), 1));
  for (const channel of [0, 1]) {
    on(String(channel + 1), () => party(channel, (each) => sound.mute(each)));
    on(`Shift+${channel + 1}`, () => party(channel, (each) => sound.solo(each)));
  }
  // With the shift key most keyboards say another sign than the digit: the key itself is looked at.
  document.addEventListener("keydown", (event) => {
    const digit = /^Digit([12])$/.exec(event.code)?.[1];
    if (digit === undefined || !event.shiftKey || /^[12]$/.test(event.key) || document.body.dataset["shortcuts"] === "off") return;
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target as Element).closest("input, textarea, select, dialog[open]")) return;
    party(Number(digit) - 1, (each) => sound.solo(each));
  });
  // Esc plays and pauses for who is typing what they hear (data-plays), and goes back a little.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !(event.target as Element).matches("[data-plays]")) return;
    event.preventDefault();
    if (audio.paused) jump(-BACK_WHILE_TYPING_MS);
    void toggle();
  });

  if ("mediaSession" in navigator) {
    const session = navigator.mediaSession;
    session.metadata = new MediaMetadata({ title: words["title"]!, artist: root.dataset["owner"] ?? "" });
    session.setActionHandler("play", () => void toggle());
    session.setActionHandler("pause", () => audio.pause());
    session.setActionHandler("seekbackward", (details) => jump(-1000 * (details.seekOffset ?? 10)));
    session.setActionHandler("seekforward", (details) => jump(1000 * (details.seekOffset ?? 10)));
    for (const [track, way] of [["previoustrack", "prev"], ["nexttrack", "next"]] as const) {
      session.setActionHandler(track, () => document.querySelector<HTMLAnchorElement>(`a[rel=${way}]`)?.click());
    }
    session.setActionHandler("seekto", (details) => seek((details.seekTime ?? 0) * 1000));
  }

  // ---------------------------------------------------------------- begin

  if (sound.separable) for (const button of root.querySelectorAll<HTMLElement>("[data-mute]")) button.hidden = false;
  const asked = new URL(location.href).searchParams.get("t");
  const there = asked !== null && Number.isFinite(Number(asked)) ? Number(asked) * 1000 : null;
  const resumed = call.positionMs >= RESUMED_MS_MIN && call.positionMs < call.durationMs - RESUMED_MS_MIN ? call.positionMs : null;
  wave.mark(markers());
  sorted();
  onMarkers(() => {
    wave.mark(markers());
    sorted();
  });
  viewed();
  if (there !== null) seek(there);
  else if (resumed !== null) {
    seek(resumed);
    tell(words["resumed"]!);
  }
  shown();
  said();
  if (audio.error !== null) audio.dispatchEvent(new Event("error"));
  fetch(`/v1/recordings/${call.id}/peaks?pps=${call.durationMs > FINE_PEAKS_MS_MAX ? 2 : 20}`)
    .then(async (answer) => {
      if (!answer.ok) throw new Error(String(answer.status));
      wave.show((await answer.json()) as Peaks);
    })
    .catch(() => fault(words["picture"]!));
}

const player = document.querySelector<HTMLElement>("#player");
if (player !== null) start(player);

// A panel that is in sight from the beginning (by the address, or the first one) is fetched too.
htmx.onLoad((loaded) => {
  if (loaded !== document.body) return;
  for (const panel of document.querySelectorAll("[role=tabpanel][hx-get]:not([hidden])")) panel.dispatchEvent(new CustomEvent("shown", { bubbles: true }));
});
