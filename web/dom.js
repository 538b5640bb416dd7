// Elements, and what changes in them. Every text is text: nothing that a space says can become an element.

/** An element. Keys of `props` that begin with `on` listen, the rest are attributes; `false` and null leave one out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter(child => child != null && child !== false));
  return element;
}

/** Says `text` in an element, and leaves it alone if it says so already: a screen reader hears changes only. */
export function say(element, text) {
  const wanted = text ?? '';
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Sets or takes away an attribute. */
export function put(element, name, value) {
  if (value === false || value == null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? '' : value);
}

/**
 * Keeps the children of `parent` in step with `items`: one row for each `key`, made once by `make`, whose result has
 * `element` and `update(item)`. What has the focus keeps it.
 */
export function rows(parent, items, key, make) {
  const known = parent.knownRows ??= new Map();
  const wanted = new Set(items.map(key));
  for (const [name, row] of known) {
    if (!wanted.has(name)) { row.element.remove(); known.delete(name); }
  }
  items.forEach((item, at) => {
    const name = key(item);
    if (!known.has(name)) known.set(name, make(item));
    const row = known.get(name);
    row.update(item);
    if (parent.children[at] !== row.element) parent.insertBefore(row.element, parent.children[at] ?? null);
  });
}

let waiting;

/** Tells the operator in a moment's line what became of an order. */
export function toast(text, bad = false) {
  const place = document.getElementById('toast');
  place.className = bad ? 'bad' : '';
  say(place, text);
  clearTimeout(waiting);
  waiting = setTimeout(() => say(place, ''), bad ? 12000 : 6000);
}
