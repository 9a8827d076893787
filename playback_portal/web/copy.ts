// <button data-copies="id" data-copied="text"> copies what stands in a field, and says so.

document.addEventListener("click", (event) => {
  const pressed = (event.target as Element).closest<HTMLElement>("[data-copies]");
  const field = pressed === null ? null : (document.getElementById(pressed.dataset["copies"]!) as HTMLInputElement | null);
  if (pressed === null || field === null) return;
  // Where the clipboard is closed to pages, the text stands selected: the keys for copying do the rest.
  field.select();
  void navigator.clipboard?.writeText(field.value).then(() => {
    const told = document.getElementById(`${field.id}-told`);
    if (told !== null) told.textContent = pressed.dataset["copied"]!;
  }).catch(() => undefined);
});
