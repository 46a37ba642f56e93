/**
 * Curves over frames under a player. Its value: {data, layout} as Plotly takes them (workbench.charts builds it).
 * With `rates`, the frame rate behind every trace (null: not to be sought), a point's frame is the first of its custom
 * data, and `seconds` tells that the axis is time.
 * With the option `still` it has nothing to do with time: no playhead, no seeking. Else:
 * A click anywhere seeks the player of the same bus; the playhead is an element on top of the chart, because
 * moving anything inside a Plotly figure every frame is slow and swallows clicks.
 */
import { el, here } from "./dom.js";

const LEGEND_LINE = 24; // pixels

export async function mount(element, { props, watch, trigger }) {
  const bus = props.options?.bus ?? "main";
  const plot = el("div", { class: "wb-plot", style: props.options?.still ? "min-height:0" : null });
  const playhead = el("div", { class: "wb-playhead", hidden: true });
  const box = el("div", { class: "wb-chart", hidden: true }, plot, playhead);
  element.replaceChildren(box);
  const chart = { frame: 0, fps: null, plot, playhead };
  box.workbench = chart;

  function place() {
    const layout = plot._fullLayout;
    if (!layout?.xaxis || props.options?.still) return;
    const { l, t, w, h } = layout._size;
    const x = layout.xaxis.d2p(props.value?.seconds && chart.fps ? chart.frame / chart.fps : chart.frame);
    playhead.hidden = !(x >= -1 && x <= w + 1);
    playhead.style.cssText = `transform:translateX(${l + x - 1}px);top:${t}px;height:${h}px`;
  }

  async function draw() {
    const { value } = props;
    box.hidden = !value?.data?.length;
    if (box.hidden) return;
    const Plotly = await plotly();
    await Plotly.react(plot, value.data, themed(fitted(value, box), box), { responsive: true, displaylogo: false, displayModeBar: false });
    if (!chart.wired) {
      chart.wired = true;
      plot.on("plotly_afterplot", place);
      if (!props.options?.still) plot.on("plotly_click", ({ points }) => {
        const detail = { bus, ...moment(points, chart.plot, chart.pointer, props.value.rates) };
        window.dispatchEvent(new CustomEvent("wb:seek", { detail }));
        trigger("select", { frame: detail.frame });
      });
    }
    place();
  }

  plot.addEventListener("mousedown", (event) => (chart.pointer = event.clientX), true);
  const onFrame = ({ detail }) => {
    if (!box.isConnected) return window.removeEventListener("wb:frame", onFrame);
    if (detail.bus !== bus) return;
    Object.assign(chart, { frame: detail.frame, fps: detail.fps });
    place();
  };
  window.addEventListener("wb:frame", onFrame);
  watch("value", draw);
  await draw();
}

/** The frame of the point nearest to the pointer, and the rate that it counts in. */
function moment(points, plot, pointer, rates) {
  if (!rates) return { frame: Math.round(points[0].x) };
  const at = (point) => plot.getBoundingClientRect().left + point.xaxis._offset + point.xaxis.d2p(point.x);
  const distance = (point) => Math.abs(at(point) - pointer);
  const nearest = points.reduce((best, point) => (distance(point) < distance(best) - 0.5 ? point : best));
  return { frame: nearest.customdata[0], fps: rates[nearest.curveNumber] };
}

let loading = null;

/** Plotly from this server, once; a page that stands alone brings it along. */
function plotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  loading ??= new Promise((resolve, reject) => {
    const script = el("script", { src: here("/vendor/plotly.min.js") });
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("the chart library did not load"));
    document.head.append(script);
  });
  return loading;
}

/** On a narrow screen every entry of the legend takes a line of its own. */
function fitted({ data, layout }, box) {
  if (layout.legend?.yref !== "container" || box.clientWidth >= 640) return layout;
  const entries = data.filter((trace) => trace.showlegend).length;
  const more = Math.max(0, entries * LEGEND_LINE + LEGEND_LINE - layout.margin.t);
  return { ...layout, height: layout.height + more, margin: { ...layout.margin, t: layout.margin.t + more } };
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
