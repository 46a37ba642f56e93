/**
 * Curves over frames under a player. Its value: {data, layout} as Plotly takes them (workbench.charts builds it).
 * With `rates`, the frame rate behind every trace (null: not to be sought), a point's frame is the first of its custom
 * data, and `seconds` tells that the axis is time.
 * With the option `still` it has nothing to do with time: no playhead, no seeking. Else:
 * A click anywhere seeks the player of the same bus; the playhead is an element on top of the chart, because
 * moving anything inside a Plotly figure every frame is slow and swallows clicks. An axis of frames counts from 1 as
 * the player's readout and the address do; events and custom data count from 0.
 */
import { el, here } from "../dom.js";

const NARROW = 640; // pixels, as all below
const LEGEND_LINE = 29;
const LETTER = 7.5; // the width of one in a title, on average

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
    const x = layout.xaxis.d2p(props.value?.seconds && chart.fps ? chart.frame / chart.fps : chart.frame + 1);
    playhead.hidden = !(x >= -1 && x <= w + 1);
    playhead.style.cssText = `transform:translateX(${l + x - 1}px);top:${t}px;height:${h}px`;
  }

  async function draw() {
    const { value } = props;
    box.hidden = !value?.data?.length;
    if (box.hidden) return;
    const Plotly = await plotly();
    const { data, layout } = fitted(value, box);
    await Plotly.react(plot, data, themed(layout, box), { responsive: true, displaylogo: false, displayModeBar: false });
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
    // what is wider than its box is scrolled by keyboard too
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
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
  if (!rates) return { frame: Math.round(points[0].x) - 1 };
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

/** On a narrow screen every entry of the legend takes a line of its own, and titles break into lines. */
function fitted({ data, layout }, box) {
  if (box.clientWidth >= NARROW) return { data, layout };
  const { l, r, t } = { l: 80, r: 80, t: 100, ...layout.margin }; // plotly's own where nothing is said
  const most = Math.floor((box.clientWidth - 16) / LETTER);
  const fits = { ...layout };
  if (layout.title?.text) fits.title = { ...layout.title, text: inLines(layout.title.text, most) };
  for (const name of Object.keys(layout).filter((key) => /^xaxis/.test(key) && layout[key].title?.text)) {
    const text = inLines(layout[name].title.text, Math.floor((box.clientWidth - l - r) / LETTER));
    fits[name] = { ...layout[name], automargin: true, title: { ...layout[name].title, text } };
  }
  const { fontFamily } = getComputedStyle(box);
  const shorter = (note) => ({ ...note, text: cut(note.text, box.clientWidth - l - r, `${note.font?.size ?? 12}px ${fontFamily}`) });
  if (layout.annotations) fits.annotations = layout.annotations.map(shorter);
  const named = data.map((trace) => ({ ...trace, name: trace.name && inLines(trace.name, most - 8) }));
  if (layout.legend?.yref !== "container") return { data: named, layout: fits };
  const entries = named.filter((trace) => trace.showlegend !== false && trace.name);
  const lines = entries.reduce((sum, { name }) => sum + name.split("<br>").length, 0);
  const more = Math.max(0, (lines + 1) * LEGEND_LINE - t);
  return { data: named, layout: { ...fits, height: layout.height + more, margin: { ...layout.margin, t: t + more } } };
}

/** The text with an ellipsis where one of its plain lines is wider than `room` pixels in `font`. */
function cut(text, room, font) {
  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = font;
  const wide = (letters) => ruler.measureText(letters.join("").replace(/&lt;|&gt;|&amp;|&quot;|&#x27;/g, "m")).width;
  const lines = text.split("<br>").map((line) => {
    if (line.startsWith("<")) return line;
    const letters = line.match(/&[^;]+;|./gu) ?? []; // what is written as `&lt;` is one
    if (wide(letters) <= room) return line;
    while (letters.length && wide([...letters, "…"]) > room) letters.pop();
    return `${letters.join("")}…`;
  });
  return lines.join("<br>");
}

/** The text with breaks, so that no line is longer than `most` letters where words allow; tags stay whole. */
function inLines(text, most) {
  let length = 0;
  return text.split(/(<[^>]*>)/).map((part) => {
    if (part.startsWith("<")) {
      if (part.startsWith("<br")) length = 0;
      return part;
    }
    return part.split(" ").map((word, i) => {
      const breaks = i && length + 1 + word.length > most;
      length = breaks ? word.length : length + word.length + (i ? 1 : 0);
      return (breaks ? "<br>" : i ? " " : "") + word;
    }).join("");
  }).join("");
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
