// What an operator does to the program and the slate of a show that is on the air.

import { of } from '../api.js';
import { confirm, field } from '../ask.js';
import { h, put, say, toast } from '../dom.js';
import { mayPress } from '../store.js';
import { order } from './outputs.js';
import { sources } from './sources.js';

/** A form whose one field is sent by its button. */
function line(label, name, props, button, send) {
  const input = field(label, name, props);
  const submit = async event => {
    event.preventDefault();
    const given = input.querySelector('input');
    if (await send(given.value.trim())) given.value = props.keep ? given.value : '';
  };
  return h('form', { class: 'line', onsubmit: submit }, input, h('button', {}, button));
}

/** Cut, delay and mark. */
export function program(show, signal) {
  const path = word => of('shows', show, word);
  const cut = async () => {
    const told = await order('POST', path('cut'), {});
    if (told?.seconds === 0) toast('Nothing was cut: without a delay everything has gone out already.', true);
  };
  const button = h('button', { class: 'danger big', 'aria-keyshortcuts': 'Alt+C', onclick: cut }, 'Cut');
  const words = h('p', { class: 'sub' });
  document.addEventListener('keydown', event => {
    if (event.altKey && event.code === 'KeyC' && !button.disabled && !document.querySelector('dialog')) { event.preventDefault(); cut(); }
  }, { signal });
  const delay = line('Delay in seconds', 'delay', { type: 'number', min: 0, max: 60, step: 1, value: 0, keep: true, required: true }, 'Set the delay',
    seconds => order('PUT', path('delay'), { seconds: Number(seconds) }));
  const mark = line('Name this place', 'mark', { maxlength: 200, required: true }, 'Mark',
    title => order('POST', path('marks'), { title }, `Marked: ${title}`));
  const element = h('section', { class: 'card', 'aria-labelledby': 'program' }, h('h2', { id: 'program' }, 'Program'),
    h('div', { class: 'line' }, button, words), delay, mark);
  return {
    element,
    update(status) {
      const ms = status.program.public_delay_ms ?? 0;
      say(words, ms ? `Takes out what was said in the last ${Math.round(ms / 100) / 10} s, before it goes out (Alt+C). The recording keeps it.`
        : 'Without a delay there is nothing that could be taken out: set one first.');
      for (const one of element.querySelectorAll('button, input')) one.disabled = !mayPress();
    },
  };
}

/** The slate as it is on the air, and the operator's own word on it. */
export function slate(show, signal) {
  const picture = h('img', { class: 'slate', width: 1280, height: 720, alt: 'The slate as it is on the air' });
  const path = of('shows', show, 'slate');
  const text = line('Your own words on the slate', 'slate', { maxlength: 200, required: true }, 'Show', words => order('PUT', path, { text: words }));
  const file = field('Or a picture', 'picture', { type: 'file', accept: 'image/png,image/jpeg,image/webp' });
  file.addEventListener('change', event => {
    const [chosen] = event.target.files;
    if (chosen) order('PUT', path, chosen);
    event.target.value = '';
  });
  const back = h('button', { class: 'quiet', onclick: () => order('DELETE', path) }, 'Give the slate back');
  const element = h('section', { class: 'card', 'aria-labelledby': 'slate' }, h('h2', { id: 'slate' }, 'Slate'), picture, text, file, back);
  let seen = null;
  return {
    element,
    update(status) {
      const own = status.own_slate === 'picture' ? 'a picture of your own' : status.own_slate?.text;
      put(picture, 'alt', `The slate as it is on the air: ${own ?? status.slate}`);
      if (status.slate_version !== seen && !signal.aborted) {
        seen = status.slate_version;
        picture.hidden = !seen;
        if (seen) picture.src = `/api/v1/${path}?v=${encodeURIComponent(seen)}`;
      }
      for (const one of element.querySelectorAll('button, input')) one.disabled = !mayPress();
      back.disabled ||= !status.own_slate;
    },
  };
}

/** Where the sound comes from. */
export function source(show) {
  const list = sources(show);
  const other = line('Link to another Space', 'source', { required: true, placeholder: 'https://x.com/i/spaces/…' }, 'Take over', async url => {
    const text = 'The show leaves the present source for this one. Outputs stay on the air.';
    return (await confirm('Change the source?', text, 'Change it')) && order('POST', of('shows', show, 'source'), { url }, 'The source is being changed.');
  });
  const element = h('section', { class: 'card', 'aria-labelledby': 'source' }, h('h2', { id: 'source' }, 'Source'), list.element, other);
  return {
    element,
    update(status, told) {
      list.update(status, told);
      for (const one of other.querySelectorAll('button, input')) one.disabled = !mayPress();
    },
  };
}
