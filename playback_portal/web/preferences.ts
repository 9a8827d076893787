// Light or dark at once, and kept by the server for the next page; without this module the form itself works.

document.addEventListener("submit", (event) => {
  const form = event.target as HTMLFormElement;
  if (!form.matches("[data-theme-form]")) return;
  event.preventDefault();
  const root = document.documentElement;
  const field = form.elements.namedItem("theme") as HTMLInputElement;
  const dark = root.dataset["theme"] ? root.dataset["theme"] === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset["theme"] = field.value = dark ? "light" : "dark";
  void fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form) as unknown as Record<string, string>), redirect: "manual" });
});
