// What the player knows of a call (written by playback_portal/player.py), and its times in words.

export interface Band {
  kind: "pause" | "hold" | "loss";
  late: boolean;
  fromMs: number;
  toMs: number;
  lane: number | null;
}

export interface Call {
  id: string;
  durationMs: number;
  beganMs: number;
  positionMs: number;
  channels: string[];
  bands: Band[];
  quiet: [number, number][];
}

export type Words = Record<string, string>;

const DAY_S = 24 * 3600;
const two = (value: number): string => String(value).padStart(2, "0");

/** 0:48, 9:40, 1:02:03; parts of a second are cut. */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** The time on the wall at a place in the call: 14:05:24. */
export function clock(call: Call, ms: number, seconds = true): string {
  const at = Math.floor((call.beganMs + ms) / 1000) % DAY_S;
  const short = `${two(Math.floor(at / 3600))}:${two(Math.floor(at / 60) % 60)}`;
  return seconds ? `${short}:${two(at % 60)}` : short;
}

/** A place as it is said: "3 minutes 12 seconds". */
export function spoken(ms: number, words: Words): string {
  const seconds = Math.floor(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 3600), words["hours"]!],
    [Math.floor(seconds / 60) % 60, words["minutes"]!],
    [seconds % 60, words["seconds"]!],
  ];
  const said = parts.filter(([value], place) => value > 0 || place === 2);
  return said.map(([value, word]) => `${value} ${word}`).join(" ");
}

/** The bands a place lies in, longest reason first. */
export function bandsAt(call: Call, ms: number): Band[] {
  return call.bands.filter((band) => ms >= band.fromMs && ms < band.toMs);
}

export function nameOf(band: Band, words: Words): string {
  if (band.late) return words["bandLate"]!;
  return { pause: words["bandPause"]!, hold: words["bandHold"]!, loss: words["bandLoss"]! }[band.kind];
}
