// Tabs by the pattern of the ARIA authoring practices: arrows move, the hash of the address remembers.

function tabsOf(list: Element): HTMLElement[] {
  return [...list.querySelectorAll<HTMLElement>("[role=tab]")];
}

function show(tab: HTMLElement): void {
  for (const each of tabsOf(tab.closest("[role=tablist]")!)) {
    each.setAttribute("aria-selected", String(each === tab));
    each.tabIndex = each === tab ? 0 : -1;
    const panel = document.getElementById(each.getAttribute("aria-controls") ?? "");
    if (panel !== null) panel.hidden = each !== tab;
  }
  // Panels that are fetched when first looked at listen for this.
  document.getElementById(tab.getAttribute("aria-controls") ?? "")?.dispatchEvent(new CustomEvent("shown", { bubbles: true }));
}

function choose(): void {
  for (const list of document.querySelectorAll("[role=tablist]")) {
    const wanted = tabsOf(list).find((tab) => `#${tab.getAttribute("aria-controls")}` === location.hash);
    if (wanted !== undefined) show(wanted);
  }
}

document.addEventListener("click", (event) => {
  const tab = (event.target as Element).closest<HTMLElement>("[role=tab]");
  if (tab === null) return;
  show(tab);
  history.replaceState(history.state, "", `#${tab.getAttribute("aria-controls")}`);
});

document.addEventListener("keydown", (event) => {
  const tab = (event.target as Element).closest<HTMLElement>("[role=tab]");
  if (tab === null) return;
  const tabs = tabsOf(tab.closest("[role=tablist]")!);
  const at = tabs.indexOf(tab);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  const wanted = tabs[(next + tabs.length) % tabs.length]!;
  wanted.focus();
  show(wanted);
});

addEventListener("hashchange", choose);
choose();
