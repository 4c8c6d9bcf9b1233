// Accuracy against cost: what was measured of the checkpoint, and where the traffic is now.

import { at, el, table } from "./dom.js";
import { draw, library, missing, NARROW } from "./charts.js";
import { count, percent, share } from "./format.js";
import { colour } from "./theme.js";

const KINDS = [["student", "student alone", "circle", 10], ["cascade", "cascade", "star", 15], ["ta", "TA", "diamond", 11]];
const DENSE = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];
const SPARSE = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1];
let drawn;

/** Of a checkpoint: what `nestling evaluate --keep` measured, or how to have it. */
export function showMeasured({ frontier }) {
  drawn = undefined;
  if (frontier.missing) {
    at("frontier-data").textContent = "";
    at("frontier").hidden = true;
    at("frontier-table").replaceChildren(el("p", {},
      `Not measured (${frontier.missing}). `, el("code", {}, "nestling evaluate CHECKPOINT --data test.jsonl --keep"),
      " measures every student and cascade and keeps the numbers in the checkpoint; then reload it."));
    return;
  }
  at("frontier").hidden = false;
  const { data, policies, date } = frontier;
  at("frontier-data").textContent = `${count(data.examples)} texts of ${data.file}, ${date.slice(0, 10)}`;
  const rows = policies.map((each) => [each.name, percent(each.accuracy), share(each.relative_flops), share(each.relative_seconds)]);
  at("frontier-table").replaceChildren(el("details", { class: "numbers" },
    el("summary", {}, "As a table"),
    table("Accuracy and cost of each policy, against the TA", ["policy", "accuracy", "FLOPs", "time"], rows)));
}

/** Mark the present cost; drawn anew only when it has moved visibly. */
export async function showPresent(about, { now, total }, always = false) {
  const present = now.relative_flops ?? total.relative_flops;
  const key = `${colour("ink")} ${share(present)} ${now.relative_flops === null}`;
  if (about.frontier.missing || (key === drawn && !always)) return;
  drawn = key;
  const plotly = await library(about.charts);
  if (!plotly) {
    at("frontier").replaceChildren(missing());
    at("frontier-table").firstElementChild.open = true;
    return;
  }
  drawFrontier(plotly, about.frontier.policies, present, now.relative_flops === null ? "so far" : "now");
}

function drawFrontier(plotly, policies, present, when) {
  const colours = { student: colour("accent"), cascade: colour("mark"), ta: colour("ink") };
  const traces = KINDS.map(([kind, name, symbol, size]) => {
    const found = policies.filter((each) => each.kind === kind);
    return {
      name, x: found.map((each) => each.relative_flops), y: found.map((each) => each.accuracy),
      mode: "markers+text", marker: { symbol, size, color: colours[kind] },
      text: found.map((each) => (kind === "student" ? each.name : `${each.name}  `)), textfont: { color: colours[kind] },
      textposition: kind === "student" ? "bottom center" : "middle left",
      hovertemplate: "%{text}: %{y:.2%} at %{x:.1%} of the TA's FLOPs<extra></extra>", cliponaxis: false,
    };
  });
  const costs = policies.map((each) => each.relative_flops);
  const [low, high] = [Math.min(...costs, present ?? 1), Math.max(...costs, present ?? 0)];
  const accuracies = policies.map((each) => each.accuracy);
  const [worst, best] = [Math.min(...accuracies), Math.max(...accuracies)];
  const spread = best - worst || 0.01;
  const right = present > Math.sqrt(low * high);
  const label = present === null
    ? "Accuracy against cost" : `Accuracy against cost; the traffic costs ${share(present)} of the TA alone ${when}`;
  draw(plotly, at("frontier"), label, traces, {
    xaxis: {
      type: "log", range: [Math.log10(low / 1.6), Math.log10(high * 1.5)], tickformat: "~%",
      tickvals: at("frontier").clientWidth < NARROW ? SPARSE : DENSE, title: { text: "FLOPs, relative to the TA alone" },
    },
    yaxis: { tickformat: ".1%", range: [worst - 0.2 * spread, best + 0.25 * spread], nticks: 6 },
    showlegend: false,
    shapes: present === null ? [] : [{
      type: "line", x0: present, x1: present, yref: "paper", y0: 0, y1: 1, line: { color: colour("mark"), width: 2, dash: "dot" },
    }],
    annotations: present === null ? [] : [{
      x: Math.log10(present), y: 0, yref: "paper", xanchor: right ? "right" : "left", xshift: right ? -4 : 4,
      yanchor: "bottom", showarrow: false,
      text: `${when} ${share(present)}`, font: { color: colour("mark"), size: 13 },
    }],
  });
}
