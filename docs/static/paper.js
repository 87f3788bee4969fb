// The theme prints a dark page on dark paper. Paper is light, whatever theme is chosen.
(() => {
  const root = document.documentElement;
  let chosen = "light";
  matchMedia("print").addEventListener("change", ({ matches }) => {
    if (matches) chosen = root.dataset.theme;
    root.dataset.theme = matches ? "light" : chosen;
  });
})();
