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

/** How the sound is had: what the fields below the choice are, and what is sent of them. */
const WAYS = {
  link: 'As the link says; a Space as a listener',
  speaker: 'A Space, from the stage, muted',
  whep: 'WHEP: one stream by WebRTC',
  janus: 'Janus: a room of your own gateway',
};

/** How the public path stands in for the seat; only while it is listened to. */
function standIn(listens) {
  const mode = field('When one of the two breaks', 'failover', { type: 'select' }, 'Later is safer: the public path is 10 to 25 s behind the seat.');
  mode.querySelector('select').append(h('option', { value: 'aligned' }, 'Nothing is lost: the show goes out later'),
    h('option', { value: 'low-latency' }, 'As early as can be: a change leaves a gap'));
  const delay = field('How much later, in seconds', 'failover_delay', { type: 'number', min: 1, max: 35, step: 1, placeholder: '20' });
  const [select, number] = [mode.querySelector('select'), delay.querySelector('input')];
  const choose = () => {
    select.disabled = !listens.checked;
    number.disabled = select.disabled || select.value !== 'aligned';
  };
  for (const one of [select, listens]) one.addEventListener('change', choose);
  choose();
  return h('details', {}, h('summary', {}, 'How the two paths stand in for each other'), h('div', { class: 'pair' }, mode, delay));
}

/** The choice of the way; only the fields that belong to it can be filled in. */
function ways() {
  const [token, room, pin, gate] = [
    field('Token', 'token', { type: 'password', autocomplete: 'new-password' }, 'If the server asks for one. It is kept and never shown again.'),
    field('Room', 'room', {}, 'The room’s number or name'),
    field('Pin of the room', 'pin', { type: 'password', autocomplete: 'new-password' }, 'If the room has one. It is kept and never shown again.'),
    field('Secret of the gateway', 'api_secret', { type: 'password', autocomplete: 'new-password' }, 'If the gateway has one for all. It is kept and never shown again.'),
  ];
  const listen = h('p', {}, h('label', {}, h('input', { type: 'checkbox', name: 'listen_too', checked: true }), ' Listen to the public path too: it takes over when the seat is lost'));
  const paths = standIn(listen.querySelector('input'));
  const hint = h('p', { class: 'sub' }, 'The host has to let the account speak, and everybody in the room sees it on the stage. The microphone is never opened.');
  const place = h('p', { class: 'sub' }, 'The link above is then the address of that server, such as https://media.example.com/janus');
  const choice = field('How the sound is had', 'way', { type: 'select' });
  const select = choice.querySelector('select');
  select.append(...Object.entries(WAYS).map(([value, words]) => h('option', { value }, words)));
  const parts = [[place, 'whep janus'], [hint, 'speaker'], [listen, 'speaker'], [paths, 'speaker'], [room, 'janus'], [pin, 'janus'], [token, 'whep janus'], [gate, 'janus']];
  const choose = () => {
    for (const [part, of] of parts) {
      part.hidden = !of.split(' ').includes(select.value);
      const input = part === paths ? null : part.querySelector('input');
      if (input) input.disabled = part.hidden;
      if (input?.name === 'room') input.required = !part.hidden;
    }
  };
  select.addEventListener('change', choose);
  choose();
  return h('fieldset', {}, h('legend', {}, 'Sound'), choice, parts.map(([part]) => part));
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
  const [way, later] = [said('way'), said('failover_delay')];
  const two = way === 'speaker' && data.has('listen_too');
  return {
    link: said('link'), name: said('name'), title: said('title'), consent: said('consent'), outputs, start: data.has('start'),
    kind: ['whep', 'janus'].includes(way) ? way : undefined, room: said('room'), pin: said('pin'), token: said('token'),
    seat: way === 'speaker' ? way : undefined, listen_too: two, failover: two ? said('failover') : undefined, failover_delay: two && later ? `${later}s` : undefined,
    api_secret: said('api_secret'),
  };
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
        field('Title', 'title', {}, 'On the slate; the Space’s own where none is given')),
      ways(),
      field('On what ground you carry it on', 'consent', { maxlength: 200, placeholder: 'The host agreed.' },
        'Kept with the show. Whether the speakers agree and the platform allows it is yours to see to.'), more),
    h('p', {}, h('label', {}, h('input', { type: 'checkbox', name: 'start', checked: true }), ' Go on the air at once')),
    fault, h('button', { class: 'main' }, 'Create the show'));
  // What is wrong is shown, even where it was folded away.
  form.addEventListener('invalid', event => {
    for (let fold = event.target.closest('details'); fold; fold = fold.parentElement.closest('details')) fold.open = true;
  }, true);
  api('GET', 'presets').then(list => {
    const rank = preset => (FIRST.indexOf(preset.name) + 1 || 9);
    presets = list.filter(preset => preset.name !== 'file').sort((a, b) => rank(a) - rank(b));
    presets.forEach((preset, number) => (FIRST.includes(preset.name) ? first : more).append(keys(preset, number)));
  }).catch(problem => say(fault, problem.message));
  return [form];
}
