// Plotly, as it comes from its package, in the page's colours.

import { el } from "./dom.js";
import { colour } from "./theme.js";

/** Pixels below which a chart has few ticks. */
export const NARROW = 420;

let loading;

/** The library, or null where the server does not have it. Loaded once, when it is first wanted. */
export function library(version) {
  loading ??= version === null ? Promise.resolve(null) : new Promise((resolve) => {
    const script = el("script", { src: `console/static/plotly.min.js?v=${version}` });
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => resolve(null));
    document.head.append(script);
  });
  return loading;
}

/** Draw, or draw anew. label: what a screen reader says of it. */
export function draw(plotly, node, label, traces, { xaxis = {}, yaxis = {}, ...layout } = {}) {
  const axis = {
    gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, fixedrange: true,
    automargin: true,
  };
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", label);
  plotly.react(node, traces, {
    margin: { l: 8, r: 12, t: 8, b: 8 },
    paper_bgcolor: "rgba(0, 0, 0, 0)",
    plot_bgcolor: "rgba(0, 0, 0, 0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("soft") },
    hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("line"), font: { color: colour("ink") } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    xaxis: { ...axis, ...xaxis },
    yaxis: { ...axis, ...yaxis },
    ...layout,
  }, { displayModeBar: false, responsive: true, doubleClick: false });
}

/** What stands in a chart's place where there is no library. */
export const missing = () =>
  el("p", { class: "soft" }, "Charts need an extra of the server: ", el("code", {}, "pip install '.[console]'"), " in Nestling's source tree");
