// One text, and the way to its answer: whom it asked, how sure each was, what would have been enough.

import { at, el } from "./dom.js";
import { confidence, share, time } from "./format.js";
import { ask } from "./server.js";
import { tone } from "./theme.js";

const LIMITS = {
  deadline: "it stands for want of time", max_cost: "it stands for want of budget",
  min_confidence: "nobody was as sure as was wanted",
};

const REASONS = { out_of_scope: "no label: out of scope" };
const NONE = "none of the labels";

/** Have the form work. about: gives the checkpoint as it is known then. */
export function startPlayground(about) {
  at("playground").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter;
    if (button) button.disabled = true;
    try {
      const started = performance.now();
      const answer = await ask("v1/classify", wanted());
      const { reason, decision } = answer;
      const took = (performance.now() - started) / 1000;
      showAnswer(named(answer) ?? REASONS[reason] ?? reason, decision, took, about()?.students.map(({ name }) => name) ?? []);
    } catch (error) {
      at("answer").replaceChildren(el("p", { class: "wrong" }, error.message));
    } finally {
      if (button) button.disabled = false;
    }
  });
}

/** What may be asked, as the server lists it. */
export async function showModels() {
  const { data, inputs } = await ask("v1/models");
  at("second").hidden = inputs !== "pair";
  at("text-pair").required = inputs === "pair";
  const chosen = at("model").value;
  at("model").replaceChildren(...data.map(({ id }) => el("option", {}, id)));
  if (data.some(({ id }) => id === chosen)) at("model").value = chosen;
}

function wanted() {
  const text = at("text").value;
  const inputs = at("second").hidden ? text : { text, text_pair: at("text-pair").value };
  const body = { inputs, model: at("model").value };
  const least = at("confidence").valueAsNumber;
  return Number.isNaN(least) ? body : { ...body, min_confidence: least };
}

/** The label of an answer or of a step; all of them where a text may have several; null for none given. */
function named({ label, labels }) {
  return labels === undefined ? label : labels && (labels.join(", ") || NONE);
}

function showAnswer(label, decision, took, students) {
  const { path, limited_by: limit, brownout } = decision;
  const notes = [`by ${decision.student}`];
  if (limit) notes.push(LIMITS[limit]);
  if (brownout) notes.push(`brownout, level ${brownout}`);
  const steps = path.map((step) => shown(step, tone(students.indexOf(step.student), students.length)));
  at("answer").replaceChildren(
    el("p", { class: "verdict" }, el("span", { class: "label" }, label), el("span", { class: "soft" }, notes.join("; "))),
    el("ol", { class: "path" }, ...steps),
    el("p", { class: "soft" }, `${share(decision.relative_cost)} of the TA's FLOPs, ` +
      `${time(decision.device_seconds)} on the device, ${time(took)} there and back; ${decision.tokens} tokens`));
}

function shown(step, colour) {
  const { student, confidence: sure, score, score_value: held, threshold, energy, scope, accepted } = step;
  const wanted = `${confidence(held)} of ${confidence(threshold)} wanted`;
  const asked = score !== "probability" ? `${score} ${wanted}, confidence ${confidence(sure)}` : wanted;
  const sureness = threshold > 0 ? asked : `${confidence(sure)}, the last one asked`;
  const enough = scope > 0 ? `${sureness}; energy ${confidence(energy)} of ${confidence(scope)} for its scope` : sureness;
  const doubt = energy < scope ? "out of scope" : "not sure";
  const reached = threshold > 0 ? held : sure;
  return el("li", { style: { "--tone": colour } },
    el("header", {},
      el("b", {}, student), el("span", {}, named(step)),
      el("span", { class: "end", "data-state": accepted ? "good" : "warn" }, accepted ? "✓ stands" : `↓ ${doubt}`)),
    el("div", { class: "gauge", "aria-hidden": "true" },
      el("div", { class: "reached", style: { "--share": `${100 * reached}%` } }),
      threshold > 0 ? el("div", { class: "threshold", style: { "--at": `${100 * threshold}%` } }) : null),
    el("p", {}, enough));
}
