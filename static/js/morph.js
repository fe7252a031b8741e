/* Bring an element to the shape of a newer copy of it, touching only what differs: focus, caret,
   scroll and open menus stay. Children are matched by id or data-key, others by place. */
const OWN_STATE = new Set(["open", "checked", "value", "selected", "data-selected", "style"]);

const keyOf = (node) => node.dataset?.key ?? (node.id || null);

export function morph(target, source) {
  if (target.dataset?.keep !== undefined) return;
  syncAttributes(target, source);
  syncChildren(target, source);
}

function syncAttributes(target, source) {
  for (const { name } of [...target.attributes]) {
    if (!OWN_STATE.has(name) && !source.hasAttribute(name)) target.removeAttribute(name);
  }
  for (const { name, value } of source.attributes) {
    if (!OWN_STATE.has(name) && target.getAttribute(name) !== value) {
      target.setAttribute(name, value);
    }
  }
}

function syncChildren(target, source) {
  const keyed = new Map();
  for (const child of target.children) {
    const key = keyOf(child);
    if (key) keyed.set(key, child);
  }
  let place = target.firstChild;
  for (const wanted of [...source.childNodes]) {
    const found = findMatch(place, wanted, keyed);
    if (!found) {
      target.insertBefore(document.importNode(wanted, true), place);
      continue;
    }
    if (found === place) place = place.nextSibling;
    else target.insertBefore(found, place);
    syncNode(found, wanted);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function findMatch(place, wanted, keyed) {
  const key = keyOf(wanted);
  if (key) return keyed.get(key) ?? null;
  if (!place || place.nodeName !== wanted.nodeName || keyOf(place)) return null;
  return place;
}

function syncNode(target, source) {
  if (target.nodeType === Node.ELEMENT_NODE) {
    morph(target, source);
  } else if (target.data !== source.data) {
    target.data = source.data;
  }
}
