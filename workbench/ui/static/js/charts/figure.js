/** A chart that stands still (chart.js) and can be saved as PNG and SVG, on white whatever the page's theme is. */
import { mount as mountChart } from "./chart.js";
import { el } from "../dom.js";

export async function mount(element, api) {
  const inner = el("div");
  const save = (format) => el("button", { type: "button", class: "wb-link", text: format.toUpperCase(), "aria-label": `Save this chart as ${format.toUpperCase()}`,
    onclick: () => saveChart(api.props, inner, format) });
  element.replaceChildren(el("div", { class: "wb-saved" }, inner, el("p", { class: "wb-links wb-save" }, save("png"), save("svg"))));
  await mountChart(inner, api);
}

async function saveChart({ value, options }, inner, format) {
  const ink = "#1f2933";
  const layout = { ...value.layout, font: { ...value.layout.font, color: ink, family: "sans-serif" }, paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff" };
  const axis = { gridcolor: "#d5dae1", zerolinecolor: "#d5dae1", linecolor: "#808894" };
  for (const name of Object.keys(layout)) if (/^[xy]axis/.test(name)) layout[name] = { ...axis, ...layout[name] };
  const width = inner.clientWidth || 900;
  const scale = format === "png" ? 2 : 1;
  await window.Plotly.downloadImage({ data: value.data, layout }, { format, width, height: layout.height ?? 450, scale, filename: options?.name ?? "chart" });
}
