// Questions before what cannot be undone, and small forms.

import { h } from './dom.js';

/** Asks; whether the answer is yes. The focus goes back to where it was. */
export function confirm(title, text, yes) {
  return form(title, [h('p', {}, text)], yes, true).then(answer => answer != null);
}

/** Asks for what `fields` hold; the entries of the form, or null. */
export function form(title, fields, yes, danger = false) {
  return new Promise(resolve => {
    const entries = h('form', { method: 'dialog' },
      h('h2', { id: 'ask' }, title), fields,
      h('div', { class: 'buttons' },
        h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'),
        h('button', { class: danger ? 'danger' : 'main', value: 'yes' }, yes)));
    const dialog = h('dialog', { 'aria-labelledby': 'ask' }, entries);
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'yes' ? Object.fromEntries(new FormData(entries)) : null);
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A labelled field. */
export function field(label, name, props = {}, hint = null) {
  const id = `field-${name}`;
  const input = h(props.type === 'select' ? 'select' : 'input', {
    id, name, autocomplete: 'off', 'aria-describedby': hint && `${id}-hint`, ...props, type: props.type === 'select' ? null : props.type,
  });
  return h('p', { class: 'field' }, h('label', { for: id }, label), input, hint && h('small', { id: `${id}-hint` }, hint));
}
