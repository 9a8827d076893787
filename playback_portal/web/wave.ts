// The picture of a call: lanes, bands, marks and the overview, drawn as SVG from the server's peaks.
// The outer drawing has no viewBox and places in percent, so that patterns and text keep their size;
// bars stand in inner drawings that stretch. What is played is the same path, clipped at the playhead.

import { clock, duration, nameOf, type Band, type Call, type Words } from "./call";
import type { Marker } from "./marker";

export interface Peaks {
  pps: number;
  levelMax: number;
  data: number[][];
}

const SVG = "http://www.w3.org/2000/svg";
const TOP = 52;
const LANE = 84;
const OVERVIEW = 48;
const BAR_PX = 2.75;
const WINDOW_MS_MIN = 10_000;
const WINDOW_MS = 300_000;
const WINDOW_SMALL_MS = 90_000;
const SMALL = matchMedia("(max-width: 40rem)");
// Grid lines are round times, far enough apart for their labels.
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200];
const LABEL_PX = 76;

type Attributes = Record<string, string | number>;

function make(name: string, attributes: Attributes = {}, ...children: (Element | string)[]): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

export class Wave {
  readonly bottom: number;
  private fromMs = 0;
  private toMs: number;
  private peaks: Peaks | null = null;
  private marks: Marker[] = [];
  private top = 1;
  private at = 0;
  private clips: SVGElement[] = [];
  private heads: SVGElement[] = [];
  private knob = make("g");
  private buffered = make("path", { class: "buffered" });
  private frame = make("rect", { class: "window" });

  constructor(
    private readonly svg: SVGSVGElement,
    private readonly call: Call,
    private readonly words: Words,
  ) {
    this.bottom = TOP + LANE * call.channels.length;
    svg.setAttribute("height", String(this.bottom + 60));
    this.toMs = Math.min(call.durationMs, SMALL.matches ? WINDOW_SMALL_MS : WINDOW_MS);
    new ResizeObserver(() => this.draw()).observe(svg);
  }

  get windowMs(): number {
    return this.toMs - this.fromMs;
  }

  show(peaks: Peaks): void {
    this.peaks = peaks;
    // A quiet call is drawn as large as a loud one; one click must not make all else small.
    const loud = peaks.data.flatMap((levels) => levels.filter((level) => level > 0)).sort((a, b) => a - b);
    this.top = Math.max(loud[Math.floor(loud.length * 0.985)] ?? 1, 8);
    this.draw();
  }

  mark(marks: Marker[]): void {
    this.marks = marks;
    this.draw();
  }

  zoom(factor: number): void {
    const size = Math.min(Math.max(this.windowMs * factor, Math.min(WINDOW_MS_MIN, this.call.durationMs)), this.call.durationMs);
    this.look(this.at - size / 2, size);
  }

  /** Move the playhead; the window follows when it would leave it. */
  move(ms: number): void {
    this.at = ms;
    if (ms < this.fromMs || ms > this.toMs) this.look(ms - this.windowMs * 0.1, this.windowMs);
    else this.place();
  }

  /** The time at a place of the drawing, given in pixels from its corner. */
  timeAt(x: number, overview: boolean): number {
    const share = Math.min(Math.max(x / Math.max(this.svg.clientWidth, 1), 0), 1);
    return overview ? share * this.call.durationMs : this.fromMs + share * this.windowMs;
  }

  buffer(ranges: TimeRanges): void {
    let path = "";
    for (let n = 0; n < ranges.length; n++) path += `M${ranges.start(n) * 1000} 1H${ranges.end(n) * 1000}`;
    this.buffered.setAttribute("d", path);
  }

  private look(fromMs: number, size: number): void {
    this.fromMs = Math.min(Math.max(fromMs, 0), Math.max(this.call.durationMs - size, 0));
    this.toMs = this.fromMs + size;
    this.draw();
  }

  private share(ms: number): number {
    return ((ms - this.fromMs) / Math.max(this.windowMs, 1)) * 100;
  }

  private whole(ms: number): number {
    return (ms / Math.max(this.call.durationMs, 1)) * 100;
  }

  private draw(): void {
    const width = this.svg.clientWidth;
    if (width === 0) return;
    this.clips = [];
    const visible = this.call.bands.filter((band) => band.toMs > this.fromMs && band.fromMs < this.toMs);
    const lanes = this.call.channels.map((_, lane) => this.lane(lane, Math.round(width / BAR_PX)));
    this.svg.replaceChildren(
      make("g", { class: "wave" }, ...this.grid(width), ...visible.flatMap((band) => this.band(band)), ...this.axes(), ...lanes),
      make("g", { class: "wave" }, ...visible.flatMap((band) => this.label(band, width)), ...this.flags(), ...this.overview(width), ...this.head()),
    );
    this.place();
  }

  private grid(width: number): SVGElement[] {
    const step = 1000 * (STEPS_S.find((each) => (each * 1000 * width) / this.windowMs >= LABEL_PX) ?? STEPS_S.at(-1)!);
    const found: SVGElement[] = [];
    const first = Math.ceil((this.call.beganMs + this.fromMs) / step) * step - this.call.beganMs;
    for (let ms = first; ms < this.toMs; ms += step) {
      const x = `${this.share(ms)}%`;
      found.push(make("line", { class: "grid", x1: x, x2: x, y1: 28, y2: this.bottom }));
      // A label that would be cut at the edge says nothing.
      if ((this.share(ms) / 100) * width > width - (step < 60_000 ? 60 : 42)) continue;
      found.push(make("svg", { x, y: 0, overflow: "visible" }, make("text", { class: "ax", x: 5, y: 38 }, clock(this.call, ms, step < 60_000))));
    }
    return found;
  }

  private axes(): SVGElement[] {
    const lines = this.call.channels.map((_, lane) => {
      const y = TOP + lane * LANE;
      return make("line", { class: lane === 0 ? "axis" : "grid", x1: 0, x2: "100%", y1: y, y2: y });
    });
    return [...lines, make("line", { class: "axis", x1: 0, x2: "100%", y1: this.bottom, y2: this.bottom })];
  }

  private band(band: Band): SVGElement[] {
    const from = Math.max(this.share(band.fromMs), 0);
    const to = Math.min(this.share(band.toMs), 100);
    const y = TOP + (band.lane ?? 0) * LANE;
    const height = band.lane === null ? this.bottom - TOP : LANE;
    const box = { x: `${from}%`, y, width: `${Math.max(to - from, 0.15)}%`, height };
    const edge = (x: number): SVGElement => make("line", { class: `e-${band.kind}`, x1: `${x}%`, x2: `${x}%`, y1: y, y2: y + height });
    return [make("rect", { class: `b-${band.kind}`, ...box }), make("rect", { ...box, fill: `url(#h-${band.kind})` }), edge(from), edge(to)];
  }

  private label(band: Band, width: number): SVGElement[] {
    const from = Math.max(this.share(band.fromMs), 0);
    const to = Math.min(this.share(band.toMs), 100);
    const text = nameOf(band, this.words) + (band.kind === "loss" ? "" : ` ${duration(band.toMs - band.fromMs + 500)}`);
    const size = text.length * 6.4 + 12;
    // Beside neighbours a label needs its own room; what has none is told by the list.
    if (((to - from) / 100) * width < size && (band.kind === "loss" ? band.toMs - band.fromMs < 1000 : true)) return [];
    const y = band.lane === null ? (TOP + this.bottom) / 2 : TOP + (band.lane + 0.5) * LANE;
    return [
      make("svg", { class: "lbl", x: `${(from + to) / 2}%`, y: y - 10, overflow: "visible" },
        make("rect", { class: "pill", x: -size / 2, y: 0, width: size, height: 20, rx: 4 }),
        make("text", { class: `t-${band.kind}`, y: 14, "text-anchor": "middle" }, text)),
    ];
  }

  private lane(lane: number, bars: number): SVGElement {
    const middle = LANE / 2;
    const party = lane % 2 === 0 ? "wa" : "wb";
    const path = this.bars(lane, bars, this.fromMs, this.toMs, (x, height) => `M${x} ${middle - height}V${middle + height}`, middle - 8);
    const id = `played-${lane}`;
    const clip = make("rect", { x: 0, y: 0, width: 0, height: LANE });
    this.clips.push(clip);
    clip.dataset["bars"] = String(bars);
    return make("svg", { y: TOP + lane * LANE, width: "100%", height: LANE, viewBox: `0 0 ${bars} ${LANE}`, preserveAspectRatio: "none" },
      make("clipPath", { id }, clip),
      make("path", { class: "w-base", d: this.baseline(lane, bars, middle) }),
      make("path", { class: `${party} rest`, d: path }),
      make("path", { class: party, d: path, "clip-path": `url(#${id})` }));
  }

  /** Recorded silence has a baseline; where nothing was recorded it stops. */
  private baseline(lane: number, bars: number, y: number): string {
    let path = "";
    let from = this.fromMs;
    const x = (ms: number): number => ((ms - this.fromMs) / this.windowMs) * bars;
    const holes = this.call.bands.filter((band) => band.lane === null || band.lane === lane).sort((one, other) => one.fromMs - other.fromMs);
    for (const hole of holes) {
      if (hole.fromMs > from && from < this.toMs) path += `M${x(from)} ${y}H${x(Math.min(hole.fromMs, this.toMs))}`;
      from = Math.max(from, hole.toMs);
    }
    return from < this.toMs ? `${path}M${x(from)} ${y}H${bars}` : path;
  }

  private bars(lane: number, bars: number, fromMs: number, toMs: number, stroke: (x: number, height: number) => string, height: number): string {
    const levels = this.peaks?.data[lane];
    if (levels === undefined || this.peaks === null) return "";
    let path = "";
    const perMs = this.peaks.pps / 1000;
    for (let bar = 0; bar < bars; bar++) {
      const first = Math.floor((fromMs + ((toMs - fromMs) * bar) / bars) * perMs);
      const last = Math.max(Math.floor((fromMs + ((toMs - fromMs) * (bar + 1)) / bars) * perMs), first + 1);
      let level = 0;
      for (let n = first; n < last && n < levels.length; n++) level = Math.max(level, levels[n]!);
      const size = Math.min(level / this.top, 1) ** 0.8 * height;
      if (size >= 1) path += stroke(bar + 0.5, Math.round(size * 10) / 10);
    }
    return path;
  }

  private overview(width: number): SVGElement[] {
    const y = this.bottom + 6;
    const middle = OVERVIEW / 2 - 2;
    const bars = Math.round(width / 4);
    const several = this.call.channels.length > 1;
    const lanes = this.call.channels.map((_, lane) => {
      const up = lane % 2 === 0;
      const path = this.bars(lane, bars, 0, this.call.durationMs,
        several ? (x, height) => (up ? `M${x} ${middle}V${middle - height}` : `M${x} ${middle + 1}V${middle + 1 + height}`) : (x, height) => `M${x} ${middle - height}V${middle + height}`, middle - 4);
      return make("path", { class: `${up ? "wa" : "wb"} rest`, d: path });
    });
    const boxes = this.call.bands.flatMap((band) => {
      const box = { x: `${this.whole(band.fromMs)}%`, width: `${Math.max(this.whole(band.toMs - band.fromMs), 0.2)}%` };
      return [make("rect", { class: `b-${band.kind}`, ...box, y, height: OVERVIEW - 4 }), make("rect", { class: `f-${band.kind}`, ...box, y: y + OVERVIEW - 4, height: 4 })];
    });
    const stretched = (height: number, top: number, viewBox: string, ...inner: SVGElement[]): SVGElement =>
      make("svg", { y: top, width: "100%", height, viewBox, preserveAspectRatio: "none" }, ...inner);
    return [
      ...boxes,
      stretched(OVERVIEW, y, `0 0 ${bars} ${OVERVIEW}`, ...lanes),
      stretched(2, y + OVERVIEW + 2, `0 0 ${this.call.durationMs} 2`, this.buffered),
      this.frame,
    ];
  }

  private flags(): SVGElement[] {
    const shown = this.marks.map((mark, place) => ({ mark, number: place + 1 })).filter(({ mark }) => mark.ms >= this.fromMs && mark.ms <= this.toMs);
    return shown.flatMap(({ mark, number }) => {
      const x = `${this.share(mark.ms)}%`;
      return [
        make("line", { class: "pin-line", x1: x, x2: x, y1: 20, y2: this.bottom }),
        make("svg", { x, y: 4, overflow: "visible" }, make("path", { class: "pin", d: "M0 16V0h18v14H2z" }), make("text", { class: "pin-t", x: 9.5, y: 11, "text-anchor": "middle" }, String(number))),
      ];
    });
  }

  private head(): SVGElement[] {
    const line = (y1: number, y2: number): SVGElement => make("line", { class: "head-line", y1, y2 });
    this.heads = [line(20, this.bottom), line(this.bottom + 4, this.bottom + 56)];
    const text = make("text", { class: "head-t", y: 13, "text-anchor": "middle" });
    this.knob = make("svg", { y: 2, overflow: "visible" }, make("rect", { class: "head-knob", x: -19, width: 38, height: 18, rx: 4 }), text);
    return [...this.heads, this.knob];
  }

  /** What changes as time passes: the playhead, what is played, and the window in the overview. */
  private place(): void {
    const x = `${this.share(this.at)}%`;
    const [line, small] = this.heads;
    if (line === undefined || small === undefined) return;
    for (const name of ["x1", "x2"]) {
      line.setAttribute(name, x);
      small.setAttribute(name, `${this.whole(this.at)}%`);
    }
    const text = duration(this.at);
    const half = text.length > 5 ? 27 : 19;
    const width = this.svg.clientWidth;
    const pixel = Math.min(Math.max((this.share(this.at) / 100) * width, half), Math.max(width - half, half));
    this.knob.setAttribute("x", String(pixel));
    this.knob.firstElementChild!.setAttribute("x", String(-half));
    this.knob.firstElementChild!.setAttribute("width", String(half * 2));
    this.knob.lastElementChild!.textContent = text;
    for (const clip of this.clips) {
      clip.setAttribute("width", String(Math.max((this.share(this.at) / 100) * Number(clip.dataset["bars"]), 0)));
    }
    const box = { x: `${this.whole(this.fromMs)}%`, y: this.bottom + 4, width: `${this.whole(this.windowMs)}%`, height: 52, rx: 4 };
    for (const [name, value] of Object.entries(box)) this.frame.setAttribute(name, String(value));
  }
}
