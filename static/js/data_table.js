/* A table from {columns, rows}: text only, numbers to the right. */
import { formatNumber } from "./format.js";

const nameOf = (column) => (typeof column === "string" ? column : column.label ?? column.key);
const valueOf = (row, column, place) =>
  Array.isArray(row) ? row[place] : row[typeof column === "string" ? column : column.key];

function buildCell(value) {
  const cell = document.createElement("td");
  if (typeof value === "number") cell.className = "num";
  if (Array.isArray(value)) cell.textContent = value.map(formatNumber).join(" – ");
  else if (typeof value === "boolean") cell.textContent = value ? "yes" : "no";
  else cell.textContent = formatNumber(value);
  if (typeof value === "number") cell.title = String(value);
  return cell;
}

export function buildTable({ columns, rows }) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  columns.forEach((column, place) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = nameOf(column);
    if (rows.some((row) => typeof valueOf(row, column, place) === "number")) cell.className = "num";
    head.append(cell);
  });
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    columns.forEach((column, place) => line.append(buildCell(valueOf(row, column, place))));
  }
  return table;
}
