"use strict";
(() => {
  const root = document.documentElement;
  const plots = [...document.querySelectorAll(".plot")];
  const printedWidth = 660;
  const hovers = matchMedia("(hover: hover)").matches;
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // The colours of text and grid follow the page's theme; those of data stay.
  function themed(layout) {
    const changes = { "font.color": colour("--ink") };
    const axes = Object.keys({ xaxis: 0, yaxis: 0, ...layout }).filter((key) => /^[xy]axis\d*$/.test(key));
    for (const axis of axes) {
      changes[`${axis}.gridcolor`] = changes[`${axis}.zerolinecolor`] = colour("--grid");
      changes[`${axis}.linecolor`] = colour("--line");
    }
    return changes;
  }

  function draw(plot) {
    if (plot.dataset.drawn) return;
    plot.dataset.drawn = "yes";
    const spec = JSON.parse(document.getElementById(`${plot.dataset.figure}-data`).textContent);
    // A finger that moves over a figure scrolls the page.
    if (!hovers) spec.layout.dragmode = false;
    const options = { responsive: true, displaylogo: false, displayModeBar: hovers ? "hover" : false };
    Plotly.newPlot(plot, spec.data, spec.layout, options);
    Plotly.relayout(plot, themed(spec.layout));
  }

  const seen = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "400px" },
  );
  plots.forEach((plot) => seen.observe(plot));

  const recolour = () => plots.filter((plot) => plot.dataset.drawn).forEach((plot) => Plotly.relayout(plot, themed(plot.layout)));
  const setTheme = (dark) => {
    root.dataset.theme = dark ? "dark" : "light";
    root.style.colorScheme = root.dataset.theme;
    recolour();
  };
  const preferred = matchMedia("(prefers-color-scheme: dark)");
  setTheme(preferred.matches);
  preferred.addEventListener("change", (event) => setTheme(event.matches));
  document.getElementById("theme").addEventListener("click", () => setTheme(root.dataset.theme !== "dark"));

  // On paper all figures are drawn, in its width; what is folded stays away.
  let before = "light";
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    setTheme(false);
    plots.forEach((plot) => {
      draw(plot);
      const half = plot.closest(".grid") ? 0.48 : 1;
      Plotly.relayout(plot, { autosize: false, width: printedWidth * half });
    });
  });
  addEventListener("afterprint", () => {
    plots.forEach((plot) => Plotly.relayout(plot, { autosize: true, width: null }));
    setTheme(before === "dark");
  });

  // A click on a heading sorts: numbers as numbers, dashes last.
  const value = (row, place) => {
    const cell = row.cells[place];
    return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  };
  const compare = (one, other) => {
    if ((one === "–") !== (other === "–")) return one === "–" ? 1 : -1;
    const numbers = typeof one === "number" && typeof other === "number";
    return numbers ? one - other : String(one).localeCompare(String(other));
  };
  document.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => {
    const heading = button.parentElement, table = heading.closest("table"), place = heading.cellIndex;
    const down = heading.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("th").forEach((each) => each.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const one = value(a, place), other = value(b, place);
      return (down && one !== "–" && other !== "–" ? -1 : 1) * compare(one, other);
    });
    table.tBodies[0].append(...rows);
  }));

  document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", async () => {
    const text = button.nextElementSibling;
    getSelection().selectAllChildren(text);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected";
    }
  }));
})();
