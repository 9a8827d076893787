// The places of a call that are worth going to: its bands, and the comments as they come and go.

import { markers, onMarkers } from "./marker";
import type { Parts } from "./parts";

export class Marks {
  constructor(private readonly parts: Parts) {
    this.show();
    onMarkers(() => this.show());
  }

  get comments(): number[] {
    return markers().map((mark) => mark.ms);
  }

  get gaps(): number[] {
    return this.parts.call.bands.map((band) => band.fromMs);
  }

  private show(): void {
    this.parts.wave.mark(markers());
    sort();
  }
}

/** What came later to the timeline (comments) gets its place by its time. */
function sort(): void {
  const list = document.querySelector("[data-marks]");
  if (list === null) return;
  const items = [...list.querySelectorAll<HTMLElement>(":scope > li[data-from]")];
  const after = (one: HTMLElement, other: HTMLElement): number => Number(one.dataset["from"]) - Number(other.dataset["from"]);
  const sorted = items.toSorted(after);
  // Moving an element takes its focus away: only what stands wrong moves.
  if (sorted.some((item, place) => item !== items[place])) list.append(...sorted);
}
