/* Save what is drawn: PNG, SVG, CSV, JSON. Text cells that a spreadsheet could run are quoted. */
import { renderImage } from "./plot.js";

const FORMULA = /^[\s]*[=+\-@\t\r＝＋－＠]/;

function save(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

function saveText(text, name, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  save(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return cell(value.join(" to "));
  const isNumber = ["NaN", "Infinity", "-Infinity"].includes(value);
  const text = FORMULA.test(value) && !isNumber ? `'${value}` : value;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

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
    keys.map((key, place) => cell(Array.isArray(row) ? row[place] : row[key])).join(","),
  );
  return [...comments, names.map(cell).join(","), ...lines, ""].join("\n");
}

export async function exportFigure(figure, format) {
  const name = `scaledash-${figure.plot}.${format}`;
  const asked = new URLSearchParams(location.search).get("theme");
  if (format === "csv") saveText(buildCsv(figure), name, "text/csv");
  else if (format === "json") saveText(JSON.stringify(figure, null, 1), name, "application/json");
  else save(await renderImage(figure, format, asked === "dark"), name);
}
