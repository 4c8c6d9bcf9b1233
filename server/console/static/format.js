// Numbers as people read them. What is not known is a dash.

const NONE = "–";
const group = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

const when = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

const known = (write) => (value) =>
  value === null || value === undefined || Number.isNaN(value) ? NONE : write(value);

/** To three figures at most, without a tail of zeros. */
const figures = (value) => (value >= 100 ? group.format(value) : String(Number(value.toPrecision(3))));

export const count = known((value) => group.format(value));
export const short = known((value) => compact.format(value));
export const rate = known((value) => (value >= 10 || value === 0 ? group.format(value) : value.toFixed(1)));
export const share = known((value) => `${figures(Number((100 * value).toFixed(2)))}\u00a0%`);
export const percent = known((value) => `${(100 * value).toFixed(1)}\u00a0%`);
export const figure = known(figures);
export const confidence = known((value) => value.toFixed(4));

/** Seconds, in the unit that suits them. */
export const time = known((seconds) =>
  seconds >= 1 ? `${figures(seconds)}\u00a0s` : `${figures(1000 * seconds)}\u00a0ms`);

/** A moment in Unix seconds, on the reader's clock. */
export const moment = known((seconds) => when.format(new Date(1000 * seconds)));

/** A value of a metric, which is a rate or anything. */
export const metric = (kind) => known((value) => (kind === "rate" ? `${(100 * value).toFixed(2)}\u00a0%` : figures(value)));
