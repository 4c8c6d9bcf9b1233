// The row of numbers at the top: load, cost, brownout, guarantee.

import { at, el } from "./dom.js";
import { count, figure, moment, rate, share, time } from "./format.js";

const LEVELS = ["none", "relaxed", "shortened", "smallest only"];
const LOSSES = { drop: "accuracy given up", net: "net accuracy given up", disagreement: "disagreement" };
let said = "";

/** Show a message of numbers. about: the checkpoint. */
export function showTiles(about, message) {
  const { now } = message;
  const per = (sum) => (now.seconds ? sum / now.seconds : null);
  const failed = now.requests ? now.failed / now.requests : null;
  const brownout = LEVELS[message.brownout] ?? `level ${message.brownout}`;
  const guarantee = promised(about, message.guarantees);
  at("tiles").replaceChildren(
    tile("Requests per second", rate(per(now.requests)), `${rate(per(now.texts))} texts per second${abstained(now)}`),
    tile("Latency, p50", time(now.p50), `p99 ${time(now.p99)}`),
    tile("Cost against TA alone", share(now.relative_flops), cost(about, now)),
    tile("Failed", share(failed), `${rate(per(now.turned_away))} per second turned away`, failed > 0.01 ? "bad" : undefined),
    tile("Brownout", brownout, waiting(about, message), message.brownout ? "warn" : undefined),
    tile("Guarantee", guarantee.word, guarantee.note, guarantee.state),
  );
  alert(message.brownout ? `Brownout: ${brownout}` : "No brownout", `Guarantee: ${guarantee.word}`);
}

/** The part of the texts that got no label; nothing where no policy abstains. */
const abstained = ({ abstained: without, texts }) => (without ? `, ${share(without / texts)} out of scope` : "");

function tile(name, value, note, state) {
  return el("div", {}, el("dt", {}, name), el("dd", { "data-state": state }, value), el("dd", { class: "note" }, note));
}

function cost(about, now) {
  if (now.relative_flops === null) return "FLOPs; no text just now";
  const fewer = `${figure(1 / now.relative_flops)}× fewer FLOPs`;
  if (!about.price_per_hour || !now.seconds) return fewer;
  const hourly = (sum) => figure((3600 * sum) / now.seconds);
  return `${fewer}; ${hourly(now.cost)} an hour, not ${hourly(now.ta_cost)}`;
}

const waiting = (about, message) =>
  `${count(message.waiting)} waiting, ${count(message.running)} running; ` +
  (about.target_delay_ms ? `from ${figure(about.target_delay_ms)} ms of wait` : "turned off");

/** Of the cascade that answers `auto`; an alarm of any other one comes before. */
function promised(about, guarantees) {
  const broken = guarantees.filter((each) => each.broken);
  if (broken.length) return { word: "broken", note: broken.map((each) => alarm(about, each)).join("; "), state: "bad" };
  const cascade = about.cascades.find(({ name }) => name === about.default);
  if (!cascade?.guarantee) return { word: "none", note: "auto has no calibrated thresholds" };
  const { loss, alpha, confidence, by } = cascade.guarantee;
  const apart = by ? `, each ${by}` : "";
  const note = `${LOSSES[loss] ?? loss} ≤\u00a0${share(alpha)} at ${share(confidence)}${apart}`;
  const watch = guarantees.find((each) => each.cascade === about.default);
  if (!watch?.texts) return { word: "calibrated", note: `${note}; not watched` };
  const seen = `${note}; seen: disagreement ${share(watch.lower)} to ${share(watch.upper)}`;
  // Only a promise about disagreement can be watched without labels.
  return loss === "disagreement" ? { word: "holds so far", note: seen, state: "good" } : { word: "calibrated", note: seen };
}

/** It stays until it is reset. The bounds are of all texts ever watched, and may not show it. */
function alarm(about, { cascade, since, steps, tightened }) {
  const alpha = about.cascades.find(({ name }) => name === cascade)?.guarantee?.alpha;
  const found = `${cascade} disagrees more than the ${share(alpha)} promised; found ${moment(since)}`;
  return steps ? `${found}; tightened by ${count(steps)} step${steps > 1 ? "s" : ""}, last ${moment(tightened)}` : found;
}

/** Screen readers hear what changes of the state, not each number. */
function alert(...words) {
  const text = words.join(". ");
  if (text !== said) at("alerts").textContent = said = text;
}
