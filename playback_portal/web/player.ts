// The player of a recording: sound by the browser's own audio element, the picture by `wave.ts`.
// Here it is put together and takes the pointer; keys are in `keys.ts`.

import { htmx } from "./exchange";
import { bindKeys, type Player } from "./keys";
import { Marks } from "./marks";
import { Parties } from "./parties";
import { Parts } from "./parts";
import { Position } from "./position";
import { Transport } from "./transport";
import type { Peaks } from "./wave";

const FINE_PEAKS_MS_MAX = 2 * 3600 * 1000;

function start(root: HTMLElement): void {
  const parts = new Parts(root);
  const position = new Position(parts);
  const player = { parts, position, transport: new Transport(parts, position), parties: new Parties(parts), marks: new Marks(parts) };
  bindPointer(player);
  bindButtons(player);
  bindKeys(player);
  showWindow(parts);
  position.begin();
  void drawPeaks(parts);
}

function bindPointer({ parts, position }: Player): void {
  const { slider, wave } = parts;
  let dragged: "lanes" | "overview" | null = null;
  function within(event: PointerEvent): void {
    const box = slider.getBoundingClientRect();
    position.seek(wave.timeAt(event.clientX - box.left, dragged === "overview"));
  }
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
}

function bindButtons({ parts, position, transport, parties, marks }: Player): void {
  document.addEventListener("click", (event) => {
    const pressed = (event.target as Element).closest<HTMLElement>("[data-seek], [data-marker-ms] [data-seek-here]");
    if (pressed?.dataset["seek"] !== undefined) position.seek(Number(pressed.dataset["seek"]));
  });
  parts.root.addEventListener("click", (event) => {
    const pressed = (event.target as Element).closest<HTMLElement>("button");
    if (pressed === null) return;
    const { jump, speed, mute, mark, zoom, skip } = pressed.dataset;
    if (pressed === parts.play) void transport.toggle();
    else if (jump !== undefined) position.jump(Number(jump));
    else if (speed !== undefined) transport.speed(Number(speed));
    else if (mute !== undefined) parties.mute(Number(mute));
    else if (mark !== undefined) position.go([...marks.gaps, ...marks.comments], Number(mark));
    else if (skip !== undefined) transport.skip();
    else if (zoom !== undefined) {
      parts.wave.zoom(Number(zoom));
      showWindow(parts);
    }
  });
  parts.need<HTMLInputElement>("[data-volume]").addEventListener("input", (event) => {
    parts.audio.volume = Number((event.target as HTMLInputElement).value) / 100;
  });
}

/** Say how much of the call is in view. */
function showWindow(parts: Parts): void {
  const { wave, words } = parts;
  const seconds = Math.round(wave.windowMs / 1000);
  const text = seconds >= 120 ? `${Math.round(seconds / 60)} ${words["minute"]}` : `${seconds} ${words["second"]}`;
  parts.need<HTMLElement>("[data-in-view]").textContent = words["inView"]!.replace("#", text);
}

async function drawPeaks(parts: Parts): Promise<void> {
  const { call, wave, words } = parts;
  try {
    const answer = await fetch(`/v1/recordings/${call.id}/peaks?pps=${call.durationMs > FINE_PEAKS_MS_MAX ? 2 : 20}`);
    if (!answer.ok) throw new Error(String(answer.status));
    wave.show((await answer.json()) as Peaks);
  } catch {
    parts.fault(words["picture"]!);
  }
}

const element = document.querySelector<HTMLElement>("#player");
if (element !== null) start(element);

// A panel that is in sight from the beginning (by the address, or the first one) is fetched too.
htmx.onLoad((loaded) => {
  if (loaded !== document.body) return;
  for (const panel of document.querySelectorAll("[role=tabpanel][hx-get]:not([hidden])")) panel.dispatchEvent(new CustomEvent("shown", { bubbles: true }));
});
