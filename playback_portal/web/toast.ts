// Toasts: what was done, with a way back. They go by themselves after 8 s, errors when they are closed.
// <div class="toast" data-toast> and <div class="notice bad" data-stays> come from the server into #toasts.

const SHOWN_MS = 8000;

const region = document.querySelector<HTMLElement>("#toasts");

function leave(toast: Element): void {
  // Whoever reads or is about to press the button needs the time that takes (WCAG 2.2.1).
  if (toast.matches(":hover") || toast.contains(document.activeElement)) setTimeout(() => leave(toast), SHOWN_MS / 4);
  else toast.remove();
}

if (region !== null) {
  const seen = new WeakSet<Element>();
  const begin = (): void => {
    for (const toast of region.querySelectorAll("[data-toast]")) {
      if (seen.has(toast)) continue;
      seen.add(toast);
      setTimeout(() => leave(toast), SHOWN_MS);
    }
  };
  new MutationObserver(begin).observe(region, { childList: true });
  begin();
  region.addEventListener("click", (event) => {
    const pressed = (event.target as Element).closest("[data-close]");
    const toast = pressed?.closest<HTMLElement>("[data-toast], [data-stays]");
    if (!pressed || !toast) return;
    // A button that undoes must stay in the page until its answer is there; else htmx drops it.
    if (pressed.hasAttribute("hx-post")) pressed.addEventListener("htmx:afterRequest", () => toast.remove(), { once: true });
    else toast.remove();
  });
}

/** Show a sentence that needs no server, such as "Copied". The text comes from the page, in its language. */
export function say(text: string): void {
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.dataset["toast"] = "";
  toast.textContent = text;
  region?.append(toast);
}
