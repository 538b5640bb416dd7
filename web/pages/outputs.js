// The outputs of a show that is on the air: how each stands, and what can be done to it.

import { api, of } from '../api.js';
import { confirm, field, form } from '../ask.js';
import { h, put, rows, say, toast } from '../dom.js';
import { mayPress } from '../store.js';
import { length, outputWords, plural, since, size } from '../words.js';

/** Does something, and says what became of it. */
export async function order(method, path, body, done) {
  try {
    const told = await api(method, path, body);
    toast(told?.message ?? done);
    return told;
  } catch (problem) {
    toast(problem.message, true);
    return null;
  }
}

function facts(output) {
  const { budget } = output;
  const told = [];
  if (output.state === 'live') {
    if (output.live_since) told.push(`for ${length(since(output.live_since))}`);
    told.push(`${output.kbps} kbit/s`);
  }
  told.push(`${size(output.bytes_out)} sent`, plural(Math.max(0, output.connections - 1), 'reconnect'));
  if (output.dropped_frames) told.push(plural(output.dropped_frames, 'frame') + ' dropped');
  if (budget?.limit) told.push(`${Math.max(0, budget.limit - budget.used)} of ${budget.limit} starts left this hour`);
  return told.join(' · ');
}

function row(show, first) {
  const { name } = first;
  const state = h('span', { class: 'state' });
  const [sub, fault] = [h('p', { class: 'sub' }), h('p', { class: 'fault' })];
  const path = action => of('shows', show, 'outputs', name, ...(action ? [action] : []));
  const button = (label, press, kind = 'quiet') =>
    h('button', { class: kind, 'aria-label': `${label} ${name}`, onclick: press }, label);
  const act = (action, done) => order('POST', path(action), undefined, done);
  const start = button('Start', () => act('start', `${name} is being started.`));
  const stop = button('Stop', async () => {
    const text = `${name} goes off the air. On some platforms the broadcast is over then, and starting again makes a new one.`;
    if (await confirm(`Stop ${name}?`, text, 'Stop it')) act('stop', `${name} is being stopped.`);
  });
  const restart = button('Restart', () => act('restart', `${name} is being restarted.`));
  const remove = button('Remove', async () => {
    const text = `${name} goes off the air and its key is forgotten for the rest of the show.`;
    if (await confirm(`Remove ${name}?`, text, 'Remove it')) order('DELETE', path(), undefined, `${name} is removed.`);
  });
  const buttons = h('div', { class: 'buttons' }, start, restart, stop, remove);
  return {
    element: h('li', { class: 'output', 'data-output': name }, h('h3', {}, name, state), sub, fault, buttons),
    update(output) {
      const { word, kind } = outputWords(output);
      say(state, word);
      put(state, 'data-kind', kind);
      say(sub, `${output.server} · ${facts(output)}`);
      say(fault, output.state === 'live' ? '' : output.last_error);
      const idle = output.state === 'stopped';
      for (const one of [start, stop, restart, remove]) one.disabled = !mayPress();
      [start.hidden, stop.hidden, restart.hidden] = [!idle, idle, idle];
    },
  };
}

/** Platforms that are asked for first. */
const FIRST = ['youtube', 'rumble', 'twitch', 'custom'];
const rank = preset => (FIRST.includes(preset.name) ? FIRST.indexOf(preset.name) : FIRST.length);

async function add(show) {
  const presets = await api('GET', 'presets').catch(() => []);
  const options = presets.filter(preset => preset.name !== 'file').sort((a, b) => rank(a) - rank(b));
  const select = field('Platform', 'preset', { type: 'select' });
  select.querySelector('select').append(...options.map(one => h('option', { value: one.name }, one.label)));
  const told = await form('Add an output', [
    select,
    field('Name', 'name', {}, 'The platform’s where none is given'),
    field('Server address', 'url', { type: 'url', placeholder: 'rtmp://…' }, 'Only where the platform gives one'),
    field('Stream key', 'key', { type: 'password', autocomplete: 'new-password' }),
  ], 'Put it on the air');
  if (!told) return;
  const body = Object.fromEntries(Object.entries(told).filter(([, value]) => value.trim()));
  await order('POST', of('shows', show, 'outputs'), body, 'The output is added.');
}

/** The list of outputs; `update` takes the show's status. */
export function outputs(show) {
  const list = h('ul', { class: 'outputs' });
  const none = h('p', {}, 'There is no output: the show is only recorded.');
  const button = h('button', { onclick: () => add(show) }, 'Add an output');
  return {
    element: h('section', { class: 'card', 'aria-labelledby': 'outputs' },
      h('div', { class: 'bar' }, h('h2', { id: 'outputs' }, 'Outputs'), button), none, list),
    update(status) {
      rows(list, status.outputs, output => output.name, output => row(show, output));
      none.hidden = status.outputs.length > 0;
      button.disabled = !mayPress();
    },
  };
}
