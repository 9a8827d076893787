// The keys of the player: portal-wide ones through `shortcuts.ts`; those of the slider work whenever it
// has the focus; and those of the machine itself (Media Session).

import type { Marks } from "./marks";
import type { Parties } from "./parties";
import type { Parts } from "./parts";
import type { Position } from "./position";
import { on } from "./shortcuts";
import type { Transport } from "./transport";

const BACK_WHILE_TYPING_MS = 2000;

export interface Player {
  parts: Parts;
  position: Position;
  transport: Transport;
  parties: Parties;
  marks: Marks;
}

export function bindKeys(player: Player): void {
  bindSlider(player);
  bindShortcuts(player);
  bindSolo(player);
  bindTyping(player);
  if ("mediaSession" in navigator) bindMachine(player);
}

function bindSlider({ parts, position, transport }: Player): void {
  const moves: Record<string, (event: KeyboardEvent) => void> = {
    ArrowLeft: (event) => position.jump(event.shiftKey ? -1000 : -5000),
    ArrowRight: (event) => position.jump(event.shiftKey ? 1000 : 5000),
    ArrowDown: () => position.jump(-5000),
    ArrowUp: () => position.jump(5000),
    PageDown: () => position.jump(-30_000),
    PageUp: () => position.jump(30_000),
    Home: () => position.seek(0),
    End: () => position.seek(parts.call.durationMs),
    " ": () => void transport.toggle(),
  };
  parts.slider.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(event);
  });
}

/** Keys that mean something to what has the focus are left to it. */
function spare(act: () => void): (event: KeyboardEvent) => void {
  return (event) => {
    if ((event.target as Element).closest("button, a, summary, [role=tab], [role=slider]") !== null) return;
    event.preventDefault();
    act();
  };
}

function bindShortcuts({ position, transport, parties, marks }: Player): void {
  on(" ", spare(() => void transport.toggle()));
  on("ArrowLeft", spare(() => position.jump(-5000)));
  on("ArrowRight", spare(() => position.jump(5000)));
  on("Shift+ArrowLeft", spare(() => position.jump(-1000)));
  on("Shift+ArrowRight", spare(() => position.jump(1000)));
  on("k", () => void transport.toggle());
  on("j", () => position.jump(-10_000));
  on("l", () => position.jump(10_000));
  on("[", () => transport.step(-1));
  on("]", () => transport.step(1));
  on("\\", () => transport.speed(1));
  on("s", () => transport.skip());
  on(",", () => position.go(marks.comments, -1));
  on(".", () => position.go(marks.comments, 1));
  on("p", () => position.go(marks.gaps, 1));
  for (const channel of [0, 1]) {
    on(String(channel + 1), () => parties.mute(channel));
    on(`Shift+${channel + 1}`, () => parties.solo(channel));
  }
}

/** With the shift key most keyboards say another sign than the digit: the key itself is looked at. */
function bindSolo({ parties }: Player): void {
  document.addEventListener("keydown", (event) => {
    const digit = /^Digit([12])$/.exec(event.code)?.[1];
    if (digit === undefined || !event.shiftKey || /^[12]$/.test(event.key) || document.body.dataset["shortcuts"] === "off") return;
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target as Element).closest("input, textarea, select, dialog[open]")) return;
    parties.solo(Number(digit) - 1);
  });
}

/** Esc plays and pauses for who is typing what they hear (data-plays), and goes back a little. */
function bindTyping({ parts, position, transport }: Player): void {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !(event.target as Element).matches("[data-plays]")) return;
    event.preventDefault();
    if (parts.audio.paused) position.jump(-BACK_WHILE_TYPING_MS);
    void transport.toggle();
  });
}

function bindMachine({ parts, position, transport }: Player): void {
  const session = navigator.mediaSession;
  session.metadata = new MediaMetadata({ title: parts.words["title"]!, artist: parts.root.dataset["owner"] ?? "" });
  session.setActionHandler("play", () => void transport.toggle());
  session.setActionHandler("pause", () => parts.audio.pause());
  session.setActionHandler("seekbackward", (details) => position.jump(-1000 * (details.seekOffset ?? 10)));
  session.setActionHandler("seekforward", (details) => position.jump(1000 * (details.seekOffset ?? 10)));
  for (const [track, way] of [["previoustrack", "prev"], ["nexttrack", "next"]] as const) {
    session.setActionHandler(track, () => document.querySelector<HTMLAnchorElement>(`a[rel=${way}]`)?.click());
  }
  session.setActionHandler("seekto", (details) => position.seek((details.seekTime ?? 0) * 1000));
}
