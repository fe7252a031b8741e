/* The members whose names can follow an @ in a comment, offered while one is typed. */
import { Choices } from "./choices.js";

const MENTION = /(?:^|[^\w@])@([\w.+-]*)$/;
const MAX_NAMES = 8;

/** Say which name is being typed at the caret: {start, word}, or null. */
export function findMention(text, caret) {
  const found = text.slice(0, caret).match(MENTION);
  return found && { start: caret - found[1].length, word: found[1] };
}

export function listNames(place, names) {
  if (!place) return [];
  const word = place.word.toLowerCase();
  const found = names.filter((name) => name.toLowerCase().startsWith(word) && name !== place.word);
  return found.slice(0, MAX_NAMES).map((name) => ({ text: name, note: "", insert: `${name} ` }));
}

class Names extends Choices {
  offer() {
    const { field } = this;
    this.place = findMention(field.value, field.selectionStart);
    this.show(listNames(this.place, field.dataset.members.split(" ")));
  }
}

export function mount(root) {
  for (const field of root.querySelectorAll("[data-members]")) {
    const names = new Names(field, field.parentElement.querySelector("[role=listbox]"));
    field.addEventListener("keydown", (event) => names.onKey(event));
  }
}
