// A new show: a link, keys, one button.

import { api } from '../api.js';
import { h, say } from '../dom.js';
import { field } from '../ask.js';
import { refresh } from '../store.js';

/** The platforms that are asked for first. */
const FIRST = ['youtube', 'rumble'];

function keys(preset, number) {
  const name = `${number}`;
  return h('fieldset', { 'data-preset': preset.name },
    h('legend', {}, preset.label),
    preset.requires_url && field('Server address', `url-${name}`, { type: 'url', placeholder: 'rtmp://…' }),
    field('Stream key', `key-${name}`, { type: 'password', autocomplete: 'new-password' },
      preset.key_page ? `Where it is found: ${preset.key_page}` : null));
}

/** What the form says, as the daemon wants it. */
function draft(form, presets) {
  const data = new FormData(form);
  const said = name => data.get(name)?.trim() || undefined;
  const outputs = [];
  presets.forEach((preset, number) => {
    const [key, url] = [said(`key-${number}`), said(`url-${number}`)];
    if (key || url) outputs.push({ preset: preset.name, key, url });
  });
  return { link: said('link'), name: said('name'), title: said('title'), outputs, start: data.has('start') };
}

export function create(signal) {
  const fault = h('p', { class: 'fault', role: 'alert' });
  const [first, more] = [h('div', { class: 'pair' }), h('div', { class: 'pair' })];
  // The same form sent twice makes one show.
  let [sent, id] = ['', ''];
  let presets = [];
  const send = async event => {
    event.preventDefault();
    say(fault, '');
    const button = form.querySelector('button.main');
    button.disabled = true;
    try {
      const body = draft(form, presets);
      const text = JSON.stringify(body);
      if (text !== sent) [sent, id] = [text, crypto.randomUUID?.() ?? String(Math.random())];
      const made = await api('POST', 'shows', body, { 'idempotency-key': id });
      await refresh();
      if (!signal.aborted) location.hash = `#/shows/${encodeURIComponent(made.name)}`;
    } catch (problem) {
      say(fault, problem.message);
    } finally {
      button.disabled = false;
    }
  };
  const form = h('form', { class: 'card', onsubmit: send },
    h('h1', {}, 'New show'),
    field('Link to the Space', 'link', { required: true, placeholder: 'https://x.com/i/spaces/…' },
      'Also the address of a playlist or of other live audio, or the word tone for a test sound.'),
    first,
    h('details', {}, h('summary', {}, 'More'),
      h('div', { class: 'pair' }, field('Name', 'name', { pattern: '[A-Za-z0-9._\\-]+' }, 'In lists and folders'),
        field('Title', 'title', {}, 'On the slate; the Space’s own where none is given')), more),
    h('p', {}, h('label', {}, h('input', { type: 'checkbox', name: 'start', checked: true }), ' Go on the air at once')),
    fault, h('button', { class: 'main' }, 'Create the show'));
  api('GET', 'presets').then(list => {
    const rank = preset => (FIRST.indexOf(preset.name) + 1 || 9);
    presets = list.filter(preset => preset.name !== 'file').sort((a, b) => rank(a) - rank(b));
    presets.forEach((preset, number) => (FIRST.includes(preset.name) ? first : more).append(keys(preset, number)));
  }).catch(problem => say(fault, problem.message));
  return [form];
}
