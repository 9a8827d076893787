// Marks in a call that people made (comments): whoever has some adds them, and the player draws them.
// An element with data-marker-ms, data-marker-label and data-marker-href is a mark by being in the page.

export interface Marker {
  ms: number;
  label: string;
  href: string;
}

const added: Marker[] = [];

/** Add a mark at a place in the recording; `href` is where its text stands ("#comment-7"). */
export function addMarker(ms: number, label: string, href = ""): void {
  added.push({ ms, label, href });
  document.dispatchEvent(new CustomEvent("markers"));
}

/** All marks in the order of time: those that were added and those of the page. */
export function markers(): Marker[] {
  const found = [...document.querySelectorAll<HTMLElement>("[data-marker-ms]")].map((each) => ({
    ms: Number(each.dataset["markerMs"]),
    label: each.dataset["markerLabel"] ?? "",
    href: each.dataset["markerHref"] ?? "",
  }));
  return [...added, ...found].filter((each) => Number.isFinite(each.ms)).sort((one, other) => one.ms - other.ms);
}

/** Be told when marks came or went. */
export function onMarkers(changed: () => void): void {
  document.addEventListener("markers", changed);
  // Fragments of htmx may bring marks, or take them away.
  document.addEventListener("htmx:afterSettle", changed);
}
