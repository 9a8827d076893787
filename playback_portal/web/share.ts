// The player of a play link. A play is counted when it is pressed; the sound then comes in short
// pieces at the link's pace, by the browser's own audio element. Nothing of the link is kept.

import { duration, spoken, type Words } from "./call";

const JUMPS: Record<string, number> = { ArrowLeft: -5, ArrowRight: 5, ArrowDown: -5, ArrowUp: 5, PageDown: -30, PageUp: 30 };
const WAIT_AFTER_MS = 1500;

function start(root: HTMLElement): void {
  const words = JSON.parse(root.dataset["words"]!) as Words;
  const address = root.dataset["address"]!;
  const lengthS = Number(root.dataset["length"]) / 1000;
  const need = <T extends Element>(selector: string): T => root.querySelector<T>(selector)!;
  const audio = need<HTMLAudioElement>("audio");
  const slider = need<HTMLElement>(".slider");
  const play = need<HTMLButtonElement>("[data-play]");
  let wanted = 0;
  let counted = false;
  let asking = false;

  const position = (): number => Math.min(audio.src === "" ? wanted : audio.currentTime, lengthS);
  const tell = (text: string): void => {
    need<HTMLElement>("[data-told]").textContent = text;
  };
  const fault = (text: string): void => {
    need<HTMLElement>("[data-fault-text]").textContent = text;
    need<HTMLElement>("[data-fault]").hidden = text === "";
  };

  function shown(): void {
    const share = lengthS > 0 ? position() / lengthS : 0;
    const x = `${(share * 100).toFixed(2)}%`;
    need("[data-head]").setAttribute("x1", x);
    need("[data-head]").setAttribute("x2", x);
    need("[data-knob]").setAttribute("cx", x);
    need("[data-heard]").setAttribute("width", (share * 240).toFixed(2));
    need<HTMLElement>("[data-position]").textContent = duration(position() * 1000);
  }

  function said(): void {
    slider.setAttribute("aria-valuenow", String(Math.floor(position())));
    slider.setAttribute("aria-valuetext", `${spoken(position() * 1000, words)} ${words["of"]} ${spoken(lengthS * 1000, words)}`);
  }

  function each(): void {
    shown();
    if (!audio.paused && !audio.ended) requestAnimationFrame(each);
  }

  /** Have the play counted; the sound may be asked for after it. */
  async function count(): Promise<boolean> {
    const late = window.setTimeout(() => tell(words["wait"]!), WAIT_AFTER_MS);
    try {
      const answer = await fetch(`${address}/plays`, { method: "POST", referrerPolicy: "no-referrer" });
      if (answer.ok) return true;
      if (answer.status === 403) location.reload();
      else fault(answer.status === 404 ? words[root.dataset["spent"] === undefined ? "over" : "spent"]! : words["away"]!);
    } catch {
      fault(words["away"]!);
    } finally {
      clearTimeout(late);
      tell("");
    }
    return false;
  }

  async function toggle(): Promise<void> {
    if (!audio.paused) return audio.pause();
    if (asking) return;
    fault("");
    if (!counted) {
      asking = true;
      play.setAttribute("aria-busy", "true");
      counted = await count();
      asking = false;
      play.removeAttribute("aria-busy");
      if (!counted) return;
      audio.src = `${address}/sound`;
      audio.preload = "auto";
    }
    // What goes wrong is told by the element's error.
    await audio.play().catch(() => undefined);
  }

  function seek(seconds: number): void {
    wanted = Math.min(Math.max(seconds, 0), lengthS);
    if (audio.src !== "" && audio.readyState > 0) audio.currentTime = wanted;
    shown();
    said();
  }

  function playing(): void {
    play.setAttribute("aria-label", words[audio.paused ? "play" : "pause"]!);
    play.querySelector("use")!.setAttribute("href", root.dataset[audio.paused ? "playIcon" : "pauseIcon"]!);
    if ("mediaSession" in navigator) navigator.mediaSession.playbackState = audio.paused ? "paused" : "playing";
    requestAnimationFrame(each);
  }

  audio.addEventListener("loadedmetadata", () => {
    if (wanted > 0) audio.currentTime = wanted;
  });
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, playing);
  for (const name of ["pause", "seeked"]) audio.addEventListener(name, said);
  audio.addEventListener("seeked", shown);
  audio.addEventListener("waiting", () => play.setAttribute("aria-busy", "true"));
  for (const name of ["playing", "canplay", "pause"]) audio.addEventListener(name, () => play.removeAttribute("aria-busy"));
  audio.addEventListener("error", () => {
    // The play may be over: pressing play again counts another one and goes on from here.
    wanted = audio.currentTime;
    counted = false;
    audio.removeAttribute("src");
    play.removeAttribute("aria-busy");
    playing();
    fault(words["away"]!);
  });

  let dragged = false;
  const pointed = (event: PointerEvent): void => {
    const box = slider.getBoundingClientRect();
    seek(((event.clientX - box.left) / box.width) * lengthS);
  };
  slider.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragged = true;
    slider.setPointerCapture(event.pointerId);
    pointed(event);
  });
  // Each seek takes a piece of sound: only where the pointer is let go counts.
  slider.addEventListener("pointerup", (event) => {
    if (dragged) pointed(event);
    dragged = false;
  });
  slider.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by = JUMPS[event.key];
    if (by !== undefined) seek(position() + by);
    else if (event.key === "Home") seek(0);
    else if (event.key === "End") seek(lengthS);
    else if (event.key === " ") void toggle();
    else return;
    event.preventDefault();
  });
  play.addEventListener("click", () => void toggle());
  root.addEventListener("click", (event) => {
    const pressed = (event.target as Element).closest<HTMLElement>("[data-jump], [data-speed]");
    if (pressed === null) return;
    const { jump, speed } = pressed.dataset;
    if (jump !== undefined) seek(position() + Number(jump));
    if (speed === undefined) return;
    audio.playbackRate = audio.defaultPlaybackRate = Number(speed);
    for (const button of root.querySelectorAll("[data-speed]")) button.setAttribute("aria-pressed", String(button === pressed));
  });

  if ("mediaSession" in navigator) {
    navigator.mediaSession.metadata = new MediaMetadata({ title: root.dataset["title"]!, artist: root.dataset["by"]! });
    navigator.mediaSession.setActionHandler("play", () => void toggle());
    navigator.mediaSession.setActionHandler("pause", () => audio.pause());
  }
  said();
}

const listen = document.querySelector<HTMLElement>("#listen");
if (listen !== null) start(listen);
