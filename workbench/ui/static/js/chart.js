/**
 * Curves over frames under a player. Its value: {id, fps, data, layout} as Plotly takes them (charts.py builds it).
 * A click anywhere seeks the player of the same bus; the playhead is an element on top of the chart, because
 * moving anything inside a Plotly figure every frame is slow and swallows clicks.
 */
import { el } from "./dom.js";

export async function mount(element, { props, watch, trigger }) {
  const bus = props.options?.bus ?? "main";
  const plot = el("div", { class: "wb-plot" });
  const playhead = el("div", { class: "wb-playhead", hidden: true });
  const box = el("div", { class: "wb-chart", hidden: true }, plot, playhead);
  element.replaceChildren(box);
  const chart = { frame: 0, plot, playhead };
  box.workbench = chart;

  function place() {
    const layout = plot._fullLayout;
    if (!layout?.xaxis) return;
    const { l, t, w, h } = layout._size;
    const x = layout.xaxis.d2p(chart.frame);
    playhead.hidden = !(x >= -1 && x <= w + 1);
    playhead.style.cssText = `transform:translateX(${l + x - 1}px);top:${t}px;height:${h}px`;
  }

  async function draw() {
    const { value } = props;
    box.hidden = !value?.data?.length;
    if (box.hidden) return;
    const Plotly = await plotly();
    await Plotly.react(plot, value.data, themed(value.layout, box), { responsive: true, displaylogo: false, displayModeBar: false });
    if (!chart.wired) {
      chart.wired = true;
      plot.on("plotly_afterplot", place);
      plot.on("plotly_click", ({ points }) => {
        const detail = { bus, frame: Math.round(points[0].x) };
        window.dispatchEvent(new CustomEvent("wb:seek", { detail }));
        trigger("select", { frame: detail.frame });
      });
    }
    place();
  }

  const onFrame = ({ detail }) => {
    if (!box.isConnected) return window.removeEventListener("wb:frame", onFrame);
    if (detail.bus !== bus) return;
    chart.frame = detail.frame;
    place();
  };
  window.addEventListener("wb:frame", onFrame);
  watch("value", draw);
  await draw();
}

let loading = null;

/** Plotly from this server, once. */
function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = el("script", { src: "/vendor/plotly.min.js" });
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("the chart library did not load"));
    document.head.append(script);
  });
  return loading;
}

/** The page's colours, so that the chart follows light and dark. */
function themed(layout, box) {
  const style = getComputedStyle(box);
  const color = style.color;
  const grid = style.getPropertyValue("--border-color-primary").trim();
  const axis = { gridcolor: grid, zerolinecolor: grid, linecolor: grid };
  const patched = { ...layout, font: { ...layout.font, color, family: style.fontFamily }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" };
  for (const name of Object.keys(layout)) if (/^[xy]axis/.test(name)) patched[name] = { ...axis, ...layout[name] };
  return patched;
}
