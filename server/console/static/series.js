// How the means of an experiment's variants came to be: a line each, in the band of its interval.

import { draw, library, missing, NARROW } from "./charts.js";
import { metric } from "./format.js";
import { colour } from "./theme.js";

const COLOURS = ["soft", "accent", "mark", "good", "warn"];
const BAND = "2b";  // opacity, in hex

/** Into a node. version: of the chart library, or null. report: what the server knows. */
export async function drawSeries(version, node, primary, { experiment, variants, series }) {
  const plotly = await library(version);
  if (!plotly) return node.replaceChildren(missing());
  if (!series.length) return;
  const written = metric(primary.kind);
  const traces = variants.flatMap(({ name }, index) => {
    const points = series.filter((point) => point.variants[name]).map(({ at, variants: { [name]: seen } }) => ({ at: new Date(at), ...seen }));
    const known = points.filter(({ low }) => low !== null);
    const paint = colour(COLOURS[index % COLOURS.length]);
    const edge = { x: known.map(({ at }) => at), mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false, legendgroup: name };
    return [
      { ...edge, y: known.map(({ low }) => low) },
      { ...edge, y: known.map(({ high }) => high), fill: "tonexty", fillcolor: paint + BAND },
      {
        name, legendgroup: name, x: points.map(({ at }) => at), y: points.map(({ mean }) => mean),
        mode: "lines+markers", line: { color: paint, width: 2 }, marker: { color: paint, size: 4 },
        text: points.map(({ n, low, high }) => `${n} units, ${written(low)} to ${written(high)}`),
        hovertemplate: `${name} %{y}, %{text}<extra></extra>`,
      },
    ];
  });
  draw(plotly, node, `Means and intervals of ${experiment} over time`, traces, {
    xaxis: { type: "date", nticks: node.clientWidth < NARROW ? 4 : 6, tickangle: 0, showgrid: false },
    yaxis: { nticks: 6, tickformat: primary.kind === "rate" ? ".1%" : "" },
  });
}
