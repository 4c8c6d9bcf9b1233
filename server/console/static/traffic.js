// Texts per second over the last minutes, by the student that answered. The page remembers; the server does not.

import { at } from "./dom.js";
import { draw, library, missing, NARROW } from "./charts.js";
import { rate } from "./format.js";
import { paint } from "./theme.js";

const KEPT = 180;
const history = [];

/** Add a message of numbers, and draw if somebody can see it. */
export async function showTraffic(about, { time, now }) {
  if (now.seconds) {
    const rates = now.students.map(({ name, answered }) => [name, answered / now.seconds]);
    history.push({ time: new Date(1000 * time), rates: new Map(rates) });
    history.splice(0, history.length - KEPT);
  }
  const plotly = await library(about.charts);
  if (!plotly) at("traffic").replaceChildren(missing());
  else if (!document.hidden && history.length) drawTraffic(plotly, about.students);
}

function drawTraffic(plotly, students) {
  const times = history.map(({ time }) => time);
  const traces = students.map(({ name }, index) => ({
    name, x: times, y: history.map(({ rates }) => rates.get(name) ?? 0),
    stackgroup: "texts", mode: "lines", line: { width: 0.5, color: paint(index, students.length) },
    fillcolor: paint(index, students.length), hovertemplate: `${name} %{y:.1f}<extra></extra>`,
  }));
  const last = [...history.at(-1).rates.values()].reduce((sum, each) => sum + each, 0);
  draw(plotly, at("traffic"), `Texts per second over time, now ${rate(last)}`, traces, {
    xaxis: { type: "date", tickformat: "%H:%M:%S", nticks: at("traffic").clientWidth < NARROW ? 4 : 5, tickangle: 0, showgrid: false },
    yaxis: { rangemode: "tozero", nticks: 5 },
    hovermode: "x unified",
  });
}
