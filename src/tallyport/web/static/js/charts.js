// Charts of reports, drawn from what stands in data-chart; and printing.
import { size } from "./element.js";

const drawn = new Map();
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const count = new Intl.NumberFormat();

function draw(canvas) {
  drawn.get(canvas)?.destroy();
  const given = JSON.parse(canvas.dataset.chart);
  const unit = given.sets[0].unit;
  const words = (value) => (unit === "bytes" ? size(value) : count.format(value));
  const ink = document.documentElement.getAttribute("data-bs-theme") === "dark" ? "#a3b1c4" : "#55606e";
  const values = { ticks: { color: ink, callback: words }, grid: { color: "rgba(128, 140, 155, .22)" }, beginAtZero: true };
  const names = { ticks: { color: ink }, grid: { display: false } };
  drawn.set(canvas, new Chart(canvas, {
    type: given.type,
    data: { labels: given.labels, datasets: given.sets.map((set) => ({ label: set.label, data: set.data, backgroundColor: given.colours ?? "#2f7fd6", borderWidth: 0, maxBarThickness: 26 })) },
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, indexAxis: given.across ? "y" : "x",
      plugins: { legend: { display: given.type === "doughnut", position: "right", labels: { color: ink, boxWidth: 12 } }, tooltip: { callbacks: { label: (item) => ` ${words(item.raw)}` } } },
      scales: given.type === "doughnut" ? {} : given.across ? { x: values, y: names } : { x: names, y: values },
    },
  }));
}
function draw_all() {
  for (const [canvas, chart] of drawn) if (!canvas.isConnected) { chart.destroy(); drawn.delete(canvas); }
  for (const canvas of document.querySelectorAll("canvas[data-chart]")) draw(canvas);
}
draw_all();
document.addEventListener("theme", draw_all);
document.addEventListener("htmx:afterSwap", () => {
  for (const canvas of document.querySelectorAll("canvas[data-chart]")) if (!drawn.has(canvas)) draw(canvas);
});
document.addEventListener("click", (event) => { if (event.target.closest("[data-print]")) print(); });
for (const many of document.querySelectorAll("select[data-many]")) new TomSelect(many, { plugins: ["remove_button"], maxOptions: 500 });
