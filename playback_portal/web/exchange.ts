// htmx as the portal uses it: fragments from our own server, nothing evaluated, nothing remembered.
// Its settings stand in the <meta name="htmx-config"> of the base template.
import htmx from "htmx.org";

export { htmx };


// Buttons say that something goes on: aria-busy for what is pressed, until the answer is there.
document.addEventListener("htmx:beforeRequest", (event) => busy(event, true));
document.addEventListener("htmx:afterRequest", (event) => busy(event, false));

function busy(event: Event, on: boolean): void {
  const pressed = (event as CustomEvent<{ elt: Element }>).detail.elt;
  if (on) pressed.setAttribute("aria-busy", "true");
  else pressed.removeAttribute("aria-busy");
}

// When the portal can't be reached at all there is no answer to show: the page has the sentence ready.
document.addEventListener("htmx:sendError", () => {
  const ready = document.querySelector<HTMLTemplateElement>("#unreachable");
  const region = document.querySelector("#toasts");
  if (ready !== null && region !== null) region.append(ready.content.cloneNode(true));
});
