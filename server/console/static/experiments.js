// Experiments: where each stands, and, of those that are open, intervals as they narrow.

import { at, el, table } from "./dom.js";
import { count, figure, metric, share, time } from "./format.js";
import { ask } from "./server.js";
import { drawSeries } from "./series.js";

const STATES = { running: "good", waiting: "waiting", ended: undefined };
const parts = new Map();
let charts = null;

/** Read the list, and the reports of those that are open. about: the checkpoint. */
export async function showExperiments(about) {
  charts = about.charts;
  if (!about.experiments) return told(off());
  let listed;
  try {
    listed = (await ask("v1/experiments")).experiments;
  } catch (error) {
    return told(`Experiments cannot be read: ${error.message}`);
  }
  if (!listed.length) return told("None is declared.");
  listed.sort((one, other) => (other.state === "running") - (one.state === "running"));
  const names = new Set(listed.map(({ name }) => name));
  for (const name of parts.keys()) if (!names.has(name)) parts.delete(name);
  for (const each of listed) shown(each);
  const nodes = listed.map(({ name }) => parts.get(name).node);
  const present = [...at("experiments").children];
  if (nodes.length !== present.length || nodes.some((node, index) => node !== present[index])) {
    at("experiments").replaceChildren(...nodes);
  }
  await Promise.all(listed.filter(({ name }) => parts.get(name).node.open).map(report));
}

const off = () =>
  el("span", {}, "Experiments are off. Start the server with ", el("code", {}, "--experiments FILE"), " to run some.");

function told(words) {
  parts.clear();
  at("experiments").replaceChildren(el("p", { class: "soft" }, words));
}

/** One experiment's part of the page. The first that runs is open. */
function shown(experiment) {
  const { name } = experiment;
  if (!parts.has(name)) {
    const open = experiment.state === "running" && !parts.size;
    const [summary, body] = [el("summary"), el("div", {}, el("p", { class: "soft" }, "Reading …"))];
    const node = el("details", { class: "experiment", open: open ? "" : null }, summary, body);
    parts.set(name, { node, summary, body, experiment });
    node.addEventListener("toggle", () => node.open && report(parts.get(name).experiment));
  }
  const part = parts.get(name);
  part.experiment = experiment;
  const until = experiment.end ? ` to ${day(experiment.end)}` : " on";
  part.summary.replaceChildren(
    el("h3", {}, name),
    el("span", { class: "pill", "data-state": STATES[experiment.state] }, experiment.state),
    el("span", { class: "soft" },
      `phase ${experiment.phase}, ${share(experiment.enrolled)} of the traffic by ${experiment.unit}, ` +
      `from ${day(experiment.start)}${until}`));
}

const day = (iso) => iso.slice(0, 10);

async function report({ name, primary, smallest_effect: smallest }) {
  const part = parts.get(name);
  let found;
  try {
    found = await ask(`v1/experiments/${encodeURIComponent(name)}`);
  } catch (error) {
    part.body.replaceChildren(el("p", { class: "soft" }, `No numbers: ${error.message}`));
    return;
  }
  const known = part.body.querySelector(".chart");
  const chart = known ?? el("div", { class: "chart" });
  const written = metric(primary.kind);
  const looking = `${primary.name}, ${primary.better} is better; ±${written(smallest)} is worth knowing`;
  const words = [
    el("p", { class: "sentence" }, found.verdict.sentence),
    el("p", { class: "soft" }, `Mean per unit of ${looking}. Bands hold at every look.`),
    el("p", { class: "soft" }, checked(found)),
  ];
  const after = [compared(found, written)];
  if (known) {
    while (known.previousSibling) known.previousSibling.remove();
    while (known.nextSibling) known.nextSibling.remove();
    known.before(...words);
    known.after(...after);
  } else {
    part.body.replaceChildren(...words, chart, ...after);
  }
  await drawSeries(charts, chart, primary, found);
}

/** What may block the verdict. */
function checked({ sample_ratio_p: ratio, attrition }) {
  const missing = attrition.map(({ metric: name, p }) => `${name} p = ${figure(p)}`).join(", ");
  return `Sample ratio p = ${figure(ratio)}. Missing alike: ${missing || "nothing to test"}.`;
}

function compared({ variants }, written) {
  const ranged = (value, interval) =>
    interval ? `${written(value)} (${written(interval.low)} to ${written(interval.high)})` : written(value);
  const rows = variants.map((each) => {
    const lift = each.pairs ?? each.lift;
    return [
      each.name + (each.stopped ? " (stopped)" : ""),
      count(each.enrolled), count(each.units), ranged(each.mean, each.interval),
      lift ? ranged(lift.estimate, lift.interval) : "",
      latency(each, 0.5), latency(each, 0.99), share(each.escalation_rate), share(each.error_rate),
      figure(each.cost_per_1000),
    ];
  });
  const heads = ["variant", "enrolled", "units", "mean", "against control", "p50", "p99", "passed on", "errors", "per 1,000"];
  return table("Variants", heads, rows);
}

function latency({ latency: quantiles }, wanted) {
  const found = quantiles.find((each) => each.at === wanted);
  return time(found ? found.value / 1000 : null);
}
