// The chart of a report, drawn from the very cells of its table: what is seen is what stands there.
// Days stand on a line of time as bars, everything else as bars beside each other. The table is the text
// of the drawing, so that the drawing itself is hidden from readers and shown only once it is there.

import uPlot from "uplot";

const BARS_MAX = 30;
const HEIGHT = 220;
const SHARE_OF_PLACE = 0.7;
const BAR_WIDTH_MAX = 44;
const NAME_CHARS_MAX = 14;

interface Drawn {
  names: string[];
  values: number[];
  also: (number | null)[] | null;
}

function read(figure: HTMLElement): Drawn {
  const { table = "", names = "0", measure = "1", also = "-1" } = figure.dataset;
  const rows = [...document.querySelectorAll<HTMLTableRowElement>(`#${table} tbody tr`)];
  const shown = figure.dataset["by"] === "day" ? rows : rows.slice(0, BARS_MAX);
  const number = (row: HTMLTableRowElement, place: string): number => Number(row.cells[Number(place)]?.dataset["value"] ?? 0);
  const second = (row: HTMLTableRowElement): number | null => {
    const value = row.cells[Number(also)]?.dataset["value"];
    return value === undefined ? null : Number(value);
  };
  const told = figure.querySelector(".told");
  if (told !== null && shown.length < rows.length) told.textContent = `${figure.dataset["more"] ?? ""}.`;
  return {
    names: shown.map((row) => row.cells[Number(names)]?.textContent?.trim() ?? ""),
    values: shown.map((row) => number(row, measure)),
    also: also === "-1" ? null : shown.map(second),
  };
}

const WHOLE = Array.from({ length: 12 }, (_, tens) => [1, 2, 5].map((step) => step * 10 ** tens)).flat();
const MINUTE = 60;
const HOUR = 3600;

/** The steps an axis may have: of counts never a part of one, of time whole minutes and hours. */
function steps(kind: string): number[] | undefined {
  if (kind === "count") return WHOLE;
  if (kind === "seconds") return [...[1, 2, 5, 10, 20, 30].map((step) => step * MINUTE), ...WHOLE.map((step) => step * HOUR)];
  return undefined;
}

/** What a step of the axis is written as: hours and minutes, sizes in their unit, or a plain number. */
function written(kind: string, language: string): (value: number) => string {
  const plain = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  if (kind === "seconds") return (value) => (value >= 3600 ? `${plain.format(value / 3600)} h` : `${plain.format(value / 60)} min`);
  if (kind !== "bytes") return (value) => plain.format(value);
  return (value) => {
    const step = value <= 0 ? 0 : Math.min(5, Math.floor(Math.log10(value) / 3));
    return `${plain.format(value / 1000 ** step)} ${["B", "kB", "MB", "GB", "TB", "PB"][step] ?? ""}`;
  };
}

/** The colour a class of the style sheet has now, in this theme. */
function colour(figure: HTMLElement, name: string): string {
  const probe = document.createElement("i");
  probe.className = name;
  figure.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function cut(name: string): string {
  return name.length > NAME_CHARS_MAX ? `${name.slice(0, NAME_CHARS_MAX - 1)}…` : name;
}

function draw(figure: HTMLElement): void {
  const place = figure.querySelector<HTMLElement>(".plot");
  if (place === null) return;
  const { names, values, also } = read(figure);
  const font = `11px ${getComputedStyle(figure).fontFamily}`;
  const [ink, line, bar, limit] = ["axis", "grid", "bar-1", "limit"].map((name) => colour(figure, name)) as [string, string, string, string];
  const value = written(figure.dataset["kind"] ?? "", figure.dataset["language"] ?? "nl");
  figure.hidden = false;
  place.replaceChildren();
  const axis = { stroke: ink, font, ticks: { show: false }, grid: { show: false } };
  const bars = uPlot.paths.bars?.({ size: [SHARE_OF_PLACE, BAR_WIDTH_MAX] });
  const series: uPlot.Series[] = [{}, { fill: bar, width: 0, points: { show: false }, ...(bars ? { paths: bars } : {}) }];
  const incrs = steps(figure.dataset["kind"] ?? "");
  const highest = Math.max(1, ...values, ...(also ?? []).map((each) => each ?? 0));
  // Each has a limit of their own, and a neighbour may have none: a dash at each bar, no line from one to the next.
  const limits = (plot: uPlot): void => {
    const { ctx } = plot;
    ctx.save();
    ctx.strokeStyle = limit;
    ctx.lineWidth = 2 * devicePixelRatio;
    for (const [n, each] of (also ?? []).entries()) {
      if (each === null) continue;
      const height = plot.valToPos(each, "y", true);
      ctx.beginPath();
      ctx.moveTo(plot.valToPos(n - SHARE_OF_PLACE / 2, "x", true), height);
      ctx.lineTo(plot.valToPos(n + SHARE_OF_PLACE / 2, "x", true), height);
      ctx.stroke();
    }
    ctx.restore();
  };
  new uPlot(
    {
      width: place.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: () => [-0.5, names.length - 0.5] },
        y: { range: () => [0, highest * 1.05] },
      },
      axes: [
        { ...axis, space: 90, incrs: [1, 2, 5, 7, 10, 14, 31, 62, 93], values: (_plot, splits) => splits.map((n) => cut(names[n] ?? "")) },
        { ...axis, ...(incrs ? { incrs } : {}), size: 62, grid: { show: true, stroke: line, width: 1 }, values: (_plot, splits) => splits.map(value) },
      ],
      series,
      hooks: { draw: [limits] },
    },
    [names.map((_, n) => n), values],
    place,
  );
}

// On a narrow window the reports are a strip: the one that is shown stands in sight.
document.querySelector(".picks [aria-current=page]")?.scrollIntoView({ inline: "center", block: "nearest" });

for (const figure of document.querySelectorAll<HTMLElement>("figure.report-chart")) {
  draw(figure);
  let width = figure.clientWidth;
  new ResizeObserver(() => {
    if (figure.clientWidth === width) return;
    width = figure.clientWidth;
    draw(figure);
  }).observe(figure);
  const again = (): void => draw(figure);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class"] });
}
