/* What may stand at the caret of a filter. Pure: text and fields in, choices out. */
const WORD = String.raw`[^\s"'=<>!~(),]+(?:"(?:[^"\\]|\\.)*"[^\s"'=<>!~(),]*)*`;
const TOKEN = new RegExp(
  String.raw`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|<=|>=|!=|==|!~|[=<>~(),]|${WORD}`,
  "g",
);
const TAIL = /[^\s"'=<>!~(),]*$/;
const BARE = /^[^\s"'=<>!~(),]+$/;
const OPERATORS = {
  number: [">=", "<=", "=", "!=", ">", "<"],
  time: [">=", "<="],
  text: ["=", "!=", "~", "in ("],
  config: ["=", "!=", ">=", "<=", "~", "in ("],
};
const MAX_CHOICES = 10;

const STEPS = {
  field: (token) => (["not", "("].includes(token.toLowerCase()) ? "field" : "operator"),
  operator: (token) => ({ in: "open", not: "operator" })[token.toLowerCase()] ?? "value",
  open: () => "listed",
  listed: () => "comma",
  comma: (token) => (token === "," ? "listed" : "word"),
  value: () => "word",
  word: (token) => (token === ")" ? "word" : "field"),
};

/** Say what is expected at the caret: {expect, field, word, start}, or null inside quotes. */
export function findPlace(text, caret) {
  const before = text.slice(0, caret);
  const [word] = before.match(TAIL);
  const start = caret - word.length;
  const done = before.slice(0, start);
  if (done.replaceAll(/\\./g, "").split('"').length % 2 === 0) return null;
  let expect = "field";
  let field = "";
  for (const [token] of done.matchAll(TOKEN)) {
    if (expect === "field") field = token;
    expect = STEPS[expect](token);
  }
  if (expect === "listed") expect = "value";
  return { expect, field, word, start };
}

const rank = (name, word) => {
  const folded = name.toLowerCase();
  if (folded.startsWith(word)) return 0;
  return folded.slice(folded.indexOf(".") + 1).startsWith(word) ? 1 : 2;
};

function chooseFields(fields, word) {
  const found = fields.filter(({ name }) => name.toLowerCase().includes(word));
  found.sort((a, b) => rank(a.name, word) - rank(b.name, word));
  return found.map(({ name, kind }) => ({ text: name, note: kind, insert: `${name} ` }));
}

const quote = (value) =>
  BARE.test(value) ? value : `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`;

function chooseValues(field, word) {
  const values = (field?.values ?? []).filter((value) => value.toLowerCase().includes(word));
  return values.map((value) => ({ text: value, note: "", insert: `${quote(value)} ` }));
}

function chooseOperators(field) {
  const signs = OPERATORS[field?.kind] ?? OPERATORS.number;
  return signs.map((sign) => ({ text: sign, note: "", insert: sign.endsWith("(") ? sign : `${sign} ` }));
}

/** Return what to offer at a place, best first. */
export function listChoices(place, fields) {
  if (!place) return [];
  const word = place.word.toLowerCase();
  const field = fields.find(({ name }) => name === place.field);
  const found = {
    field: () => chooseFields(fields, word),
    value: () => chooseValues(field, word),
    operator: () => (word ? [] : chooseOperators(field)),
    word: () =>
      ["and", "or"]
        .filter((text) => text.startsWith(word))
        .map((text) => ({ text, note: "", insert: `${text} ` })),
  }[place.expect];
  const choices = found ? found() : [];
  const isDone = choices.length === 1 && choices[0].text === place.word;
  return isDone ? [] : choices.slice(0, MAX_CHOICES);
}
