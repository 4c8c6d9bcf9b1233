// The ladder: each student's part of the traffic, and the texts that it passes on.

import { at, el, svg } from "./dom.js";
import { count, figure, rate, share, short, time } from "./format.js";
import { tone } from "./theme.js";

const ROW = 100;
const EDGE = 20;

/** Show a message of numbers. about: the checkpoint. */
export function showLadder(about, { now, total }) {
  const live = now.texts > 0;
  const shown = live ? now : total;
  at("ladder-span").textContent = live
    ? `last ${Math.round(now.seconds)} s, ${count(now.texts)} texts`
    : total.texts ? `no text just now; since the start, ${count(total.texts)} texts` : "no text so far";
  const rows = shown.students.map((student, index) => {
    const known = about.students.find(({ name }) => name === student.name);
    const scoped = about.cascades.some(({ scope }) => scope);
    return rung(student, known, shown, live, tone(index, shown.students.length), about.price_per_hour, scoped);
  });
  at("rungs").replaceChildren(...rows);
  drawFlow(shown, live);
}

function rung(student, known, shown, live, colour, price, scoped) {
  const answered = shown.texts ? student.answered / shown.texts : null;
  const each = student.asked ? student.device_seconds / student.asked : null;
  const facts = [
    ["Asked", live ? `${rate(student.asked / shown.seconds)} /s` : count(student.asked)],
    ["Passed on", student.asked ? share(student.escalated / student.asked) : share(null)],
    ...(scoped ? [["Out of scope", student.asked ? share(student.outside / student.asked) : share(null)]] : []),
    ["p50", time(student.p50)],
    ["p99", time(student.p99)],
    ["Device, each", time(each)],
  ];
  if (price) facts.push(["Per 1,000", figure(each === null ? null : (1000 * each * price) / 3600)]);
  const list = facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  return el("li", { class: student.asked ? "rung" : "rung asked-none", style: { "--tone": colour } },
    el("header", {},
      el("h3", {}, student.name),
      el("p", { class: "share" }, el("b", {}, share(answered)), " answered")),
    el("p", { class: "soft" }, described(known)),
    el("div", { class: "track" }, el("div", { style: { "--share": `${100 * (answered ?? 0)}%` } })),
    el("dl", { class: "facts" }, ...list));
}

const described = ({ layers, parameters, relative_cost: cost }) =>
  `${layers} ${layers === 1 ? "layer" : "layers"}, ${short(parameters)} parameters, ${share(cost)} of the TA's FLOPs`;

/** Stems as wide as the share of all texts that a student is asked; ribbons for what is passed on. */
function drawFlow({ students, flows, texts }, live) {
  const node = at("flow");
  const part = (sum) => (texts ? Math.min(100, (100 * sum) / texts) : 0);
  const row = new Map(students.map(({ name }, index) => [name, index]));
  const [left, reached] = [new Map(), new Map()];
  const marks = students.flatMap(({ asked }, index) => {
    const place = { x: 0, y: index * ROW + EDGE, height: ROW - 2 * EDGE };
    return [
      svg("rect", { class: "ground", width: 100, ...place }),
      svg("rect", { class: "stem", width: part(asked), ...place, style: { "--tone": tone(index, students.length) } }),
    ];
  });
  for (const { source, target, texts: passed } of flows) {
    const [from, to, width] = [row.get(source), row.get(target), part(passed)];
    if (from === undefined || to === undefined) continue;  // of a checkpoint that is gone
    const [x0, x1] = [left.get(source) ?? 0, reached.get(target) ?? 0];
    left.set(source, x0 + width);
    reached.set(target, x1 + width);
    const style = { "--tone": tone(to, students.length) };
    marks.push(svg("path", { class: "pass", d: ribbon(x0, x1, width, from, to), style }));
    if (live) marks.push(svg("path", { class: "drift", d: middle(x0 + width / 2, x1 + width / 2, from, to) }));
  }
  node.setAttribute("viewBox", `0 0 100 ${ROW * students.length}`);
  node.replaceChildren(...marks);
}

const ends = (from, to) => [(from + 1) * ROW - EDGE, to * ROW + EDGE];

function ribbon(x0, x1, width, from, to) {
  const [y0, y1] = ends(from, to);
  const half = (y0 + y1) / 2;
  return `M${x0} ${y0}C${x0} ${half} ${x1} ${half} ${x1} ${y1}H${x1 + width}` +
    `C${x1 + width} ${half} ${x0 + width} ${half} ${x0 + width} ${y0}Z`;
}

function middle(x0, x1, from, to) {
  const [y0, y1] = ends(from, to);
  const half = (y0 + y1) / 2;
  return `M${x0} ${y0}C${x0} ${half} ${x1} ${half} ${x1} ${y1}`;
}
