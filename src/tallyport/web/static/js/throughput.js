// The live chart: bytes and items a second of the last hour. What is new comes with the summary of the first page;
// elsewhere it is asked for every four seconds, never while nobody looks.
import { call } from "./api.js";

const units = ["B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"];
function rate(value) {
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
// In the browser's own way of writing times, as everywhere on the pages.
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" }), exact = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const times = (u, all, index, space, step) => all.map((at) => (step < 60 ? exact : clock).format(new Date(at * 1000)));
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function draw(place) {
  const data = [[], [], []];
  let last = 0, chart = null;
  function make() {
    chart?.destroy();
    const axis = { stroke: colour("--tblr-secondary"), grid: { stroke: "rgba(128, 140, 155, .22)", width: 1 }, ticks: { show: false } };
    chart = new uPlot({
      width: place.clientWidth, height: place.clientHeight - 34, cursor: { y: false },
      scales: { x: { range: (u, min, max) => [Math.min(min ?? 0, (max ?? 0) - 120), max ?? 0] }, bytes: { range: (u, min, max) => [0, Math.max(max, 1024)] }, items: { range: (u, min, max) => [0, Math.max(max, 1)] } },
      axes: [{ ...axis, space: 84, values: times }, { ...axis, scale: "bytes", size: 76, values: (u, all) => all.map(rate) }, { ...axis, scale: "items", side: 1, size: 56, grid: { show: false }, values: (u, all) => all.map((one) => `${Math.round(one)}/s`) }],
      series: [{ label: "time", value: (u, at) => at == null ? "–" : exact.format(new Date(at * 1000)) }, { label: "bytes", scale: "bytes", stroke: "#2f7fd6", width: 2, fill: "rgba(47, 127, 214, .14)", value: (u, v) => v == null ? "–" : rate(v) },
        { label: "items", scale: "items", stroke: "#2a9d5c", width: 1.5, value: (u, v) => v == null ? "–" : `${v.toFixed(1)}/s` }],
    }, data, place);
  }
  async function more() {
    if (document.hidden) return;
    try {
      const { samples } = await call("GET", `/v1/throughput?after=${last}`);
      add(samples.map((one) => [one.at, one.bytes_per_second, one.items_per_second]));
    } catch { /* the next one may be better */ }
  }
  function add(samples) {
    const fresh = samples.filter(([at]) => at > last);
    for (const [at, bytes, items] of fresh) {
      last = at;
      data[0].push(at / 1e6); data[1].push(bytes); data[2].push(items);
    }
    for (const row of data) row.splice(0, Math.max(0, row.length - 1800));
    if (fresh.length) chart.setData(data);
  }
  make();
  more();
  if (document.querySelector("[data-summary]")) {
    // Nobody looked for longer than the samples reach back: the rest is asked for.
    document.addEventListener("samples", ({ detail }) => (detail.length && detail[0][0] > last + 4e6 ? more() : add(detail)));
  } else setInterval(more, 4000);
  new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: place.clientHeight - 34 })).observe(place);
  document.addEventListener("theme", make);
}
for (const place of document.querySelectorAll("[data-throughput]")) draw(place);
