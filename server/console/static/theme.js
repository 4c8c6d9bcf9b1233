// Colours of the present scheme, for what CSS alone cannot colour.

const scheme = matchMedia("(prefers-color-scheme: dark)");

/** Call when the scheme changes. */
export const onScheme = (redraw) => scheme.addEventListener("change", redraw);

/** A colour by the name of its custom property. */
export const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Of the student of an index, for CSS: from that of the smallest to that of the TA. */
export const tone = (index, students) =>
  `color-mix(in srgb, var(--last) ${Math.round(100 * along(index, students))}%, var(--first))`;

/** The same for a chart, which wants a colour of the present scheme. */
export function paint(index, students) {
  const [from, to] = [channels(colour("first")), channels(colour("last"))];
  return `rgb(${from.map((low, i) => Math.round(low + along(index, students) * (to[i] - low))).join(", ")})`;
}

const along = (index, students) => (students > 1 ? index / (students - 1) : 1);

const channels = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
