// Ctrl+Enter sends what is typed in a field of several lines, where a page says so.

document.addEventListener("keydown", (event) => {
  const text = event.target as HTMLElement;
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !text.matches("[data-sends]")) return;
  event.preventDefault();
  (text as HTMLTextAreaElement).form?.requestSubmit();
});
