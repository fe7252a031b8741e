/* Files made in the browser. Text cells that a spreadsheet could run are quoted. */
const FORMULA = /^[\s]*[=+\-@\t\r＝＋－＠]/;

export function save(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

export function saveText(text, name, type) {
  saveFile(new Blob([text], { type }), name);
}

export function saveFile(blob, name) {
  const url = URL.createObjectURL(blob);
  save(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export function writeCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return writeCell(value.join(" to "));
  const isNumber = ["NaN", "Infinity", "-Infinity"].includes(value);
  const text = FORMULA.test(value) && !isNumber ? `'${value}` : value;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
