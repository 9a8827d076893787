// Ctrl+K: to any page by typing its name; what is no page is looked for among the recordings.
// The dialog stands in <template id="palette">; its places are those of the menu.

const template = document.querySelector<HTMLTemplateElement>("#palette");

function offer(ready: HTMLTemplateElement): void {
  const dialog = (ready.content.cloneNode(true) as DocumentFragment).querySelector("dialog")!;
  const field = dialog.querySelector("input")!;
  const list = dialog.querySelector("ul")!;
  const places = [...document.querySelectorAll<HTMLAnchorElement>("#nav a[href]")];

  function fill(): void {
    const text = field.value.trim().toLowerCase();
    const found = places.filter((place) => place.textContent.toLowerCase().includes(text));
    list.replaceChildren(
      ...found.map((place) => {
        const item = document.createElement("li");
        const link = document.createElement("a");
        link.href = place.href;
        link.append(...[...place.childNodes].map((child) => child.cloneNode(true)));
        item.append(link);
        return item;
      }),
    );
  }

  field.addEventListener("input", fill);
  dialog.addEventListener("keydown", (event) => {
    const stops = [field, ...list.querySelectorAll<HTMLElement>("a")];
    const at = stops.indexOf(document.activeElement as HTMLInputElement);
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    stops[(at + by + stops.length) % stops.length]!.focus();
  });
  dialog.querySelector("form")!.addEventListener("submit", (event) => {
    const first = list.querySelector("a");
    if (first === null) return;
    event.preventDefault();
    first.click();
  });
  dialog.addEventListener("close", () => dialog.remove(), { once: true });
  fill();
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
}

document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey || event.key.toLowerCase() !== "k") return;
  if (template === null || document.querySelector("dialog[open]") !== null) return;
  event.preventDefault();
  offer(template);
});
