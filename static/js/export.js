/* Save what a figure draws: PNG, SVG, CSV, JSON. */
import { renderImage } from "./plot.js";
import { save, saveText, writeCell } from "./saving.js";

export function buildCsv(figure) {
  const { columns, rows } = figure.table;
  const keys = columns.map((column) => (typeof column === "string" ? column : column.key));
  const names = columns.map((column) =>
    typeof column === "string" ? column : [column.label, column.unit].filter(Boolean).join(", "),
  );
  const comments = [
    `# ${figure.title}`,
    `# ${figure.caption ?? ""}`,
    `# as of ${figure.as_of ?? ""}; revision ${figure.rev ?? ""}`,
    `# ${location.href}`,
    `# law: ${JSON.stringify(figure.law ?? null)}`,
  ].map((line) => line.replaceAll(/[\r\n]+/g, " "));
  const lines = rows.map((row) =>
    keys.map((key, place) => writeCell(Array.isArray(row) ? row[place] : row[key])).join(","),
  );
  return [...comments, names.map(writeCell).join(","), ...lines, ""].join("\n");
}

export async function exportFigure(figure, format) {
  const name = `scaledash-${figure.plot}.${format}`;
  const asked = new URLSearchParams(location.search).get("theme");
  if (format === "csv") saveText(buildCsv(figure), name, "text/csv");
  else if (format === "json") saveText(JSON.stringify(figure, null, 1), name, "application/json");
  else save(await renderImage(figure, format, asked === "dark"), name);
}
