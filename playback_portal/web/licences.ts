// Licences of many: what is ticked and chosen asks what it would do. The button that does it comes
// with the answer, so that what was chosen since can't be confirmed by an old one.

function ticks(): HTMLInputElement[] {
  return [...document.querySelectorAll<HTMLInputElement>("#licensed input[name=id]")];
}

function showTicks(): void {
  const all = ticks();
  const ticked = all.filter((box) => box.checked);
  for (const box of all) box.closest("tr")?.setAttribute("aria-selected", String(box.checked));
  const number = document.querySelector("#assign [data-count]");
  if (number !== null) number.textContent = String(ticked.length);
  const every = document.querySelector<HTMLInputElement>("#assign [data-all]");
  if (every === null) return;
  every.checked = all.length > 0 && ticked.length === all.length;
  every.indeterminate = ticked.length > 0 && ticked.length < all.length;
}

function ask(): void {
  const effect = document.querySelector<HTMLElement>("#effect")!;
  const chosen = [...document.querySelectorAll<HTMLSelectElement>("#assign select")].some((each) => each.value !== "");
  effect.textContent = chosen && !ticks().some((box) => box.checked) ? (effect.dataset["nobody"] ?? "") : "";
  if (chosen && effect.textContent === "") effect.dispatchEvent(new CustomEvent("ask"));
}

document.addEventListener("change", (event) => {
  const target = event.target as HTMLElement;
  if (target.matches("#assign [data-all]")) for (const box of ticks()) box.checked = (target as HTMLInputElement).checked;
  else if (!target.matches("#licensed input[name=id], #assign select")) return;
  showTicks();
  ask();
});

// After a change the button that was pressed is gone; reading goes on where the list begins.
document.addEventListener("htmx:afterSettle", (event) => {
  const brought = (event as CustomEvent<{ elt: Element }>).detail.elt;
  if (brought.id !== "licensed") return;
  showTicks();
  if (document.activeElement === document.body) document.querySelector<HTMLElement>("#licensed")?.focus({ preventScroll: true });
});

showTicks();
