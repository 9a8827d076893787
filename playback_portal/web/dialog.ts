// Dialogs: <button data-opens="id"> shows <dialog id>, data-closes hides the one around it.
// A field with data-typed="word" holds back the button of its form until the word stands in it.

document.addEventListener("click", (event) => {
  const pressed = (event.target as Element).closest<HTMLElement>("[data-opens], [data-closes]");
  if (pressed === null) return;
  const wanted = pressed.dataset["opens"];
  if (wanted === undefined) pressed.closest("dialog")?.close();
  else (document.getElementById(wanted) as HTMLDialogElement | null)?.showModal();
});

document.addEventListener("input", (event) => {
  const field = event.target as HTMLInputElement;
  const word = field.dataset?.["typed"];
  if (word === undefined) return;
  const sure = field.form?.querySelector<HTMLButtonElement>("[data-sure]");
  if (sure) sure.setAttribute("aria-disabled", String(field.value.trim() !== word));
});

// aria-disabled keeps the button focusable, so that the reason beside it is read; it must still not work.
document.addEventListener("submit", refuse, true);
document.addEventListener("click", refuse, true);

function refuse(event: Event): void {
  const pressed = event instanceof SubmitEvent ? event.submitter : (event.target as Element).closest("button, a");
  const form = event instanceof SubmitEvent ? (event.target as HTMLFormElement).querySelector("[data-sure]") : null;
  if ((pressed ?? form)?.getAttribute("aria-disabled") !== "true") return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

// A dialog that came as a fragment is meant to be seen.
document.addEventListener("htmx:afterSettle", () => {
  for (const dialog of document.querySelectorAll<HTMLDialogElement>("dialog[data-now]:not([open])")) {
    delete dialog.dataset["now"];
    dialog.addEventListener("close", () => dialog.remove(), { once: true });
    dialog.showModal();
  }
});
