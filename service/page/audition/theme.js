// A button and the visitor's system in, dark or light out; a choice is kept for the next visit.

const KEPT = "yuyin-theme";

export function initTheme(button, onChange) {
  const system = matchMedia("(prefers-color-scheme: light)");
  const now = () => localStorage.getItem(KEPT) ?? (system.matches ? "light" : "dark");
  const apply = () => {
    document.documentElement.dataset.theme = now();
    button.textContent = now() === "light" ? "Dark" : "Light";
    button.setAttribute("aria-label", `${button.textContent} colours`);
    onChange();
  };
  button.addEventListener("click", () => { localStorage.setItem(KEPT, now() === "light" ? "dark" : "light"); apply(); });
  system.addEventListener("change", apply);
  apply();
}
