// One show: what is on the air, and what can be done about it.

import { of } from '../api.js';
import { confirm } from '../ask.js';
import { h, put, rows, say, toast } from '../dom.js';
import { meter } from '../meter.js';
import { player } from '../player.js';
import { listen, mayPress, read, store } from '../store.js';
import { fromStatus, timeline } from '../timeline.js';
import { TALKS, moment, sentences, standing } from '../words.js';
import { begins, start } from './begins.js';
import { program, slate, source } from './desk.js';
import { order, outputs } from './outputs.js';

const EVENTS = 60;

function events() {
  const list = h('ol', { class: 'events', tabindex: 0, 'aria-label': 'Events, newest first' });
  const row = event => {
    const text = sentences([event.message, event.doing, event.remedy]);
    const level = h('span', { class: 'level', 'data-level': event.level }, event.level);
    return { element: h('li', {}, h('time', { datetime: event.at }, moment(event.at)), level, h('span', {}, text)), update() {} };
  };
  return {
    element: h('section', { class: 'card', 'aria-labelledby': 'events' }, h('h2', { id: 'events' }, 'What happened'), list),
    update: all => rows(list, all.slice(-EVENTS).reverse(), event => `${event.pid} ${event.id}`, row),
  };
}

function head(name) {
  const [title, state] = [h('span'), h('span', { class: 'state' })];
  const [words, who, fault] = [h('p', { class: 'words', role: 'status' }), h('p', { class: 'sub' }), h('p', { class: 'fault' })];
  const go = h('button', { class: 'main', onclick: () => start(name).then(() => read(name).catch(() => {})) }, 'Start');
  const suspend = h('button', { onclick: async () => {
    const text = 'The outputs close and the recording is safe. Within 30 minutes it can be started again where it was.';
    if (await confirm(`Suspend ${name}?`, text, 'Suspend it')) order('POST', of('shows', name, 'suspend'), undefined, 'The show is being suspended.');
  } }, 'Suspend');
  const end = h('button', { class: 'danger', onclick: async () => {
    const text = 'The closing slate goes out, then every output closes and the final files are made. This cannot be undone.';
    if (await confirm(`End ${name}?`, text, 'End the show')) order('POST', of('shows', name, 'end'), undefined, 'The show is ending.');
  } }, 'End');
  return {
    element: h('div', { class: 'head' }, h('div', {}, h('h1', {}, title, state), words, who, fault), h('div', { class: 'buttons' }, go, suspend, end)),
    update(show) {
      const { word, kind } = standing(show);
      say(title, show.title || name);
      say(state, word);
      put(state, 'data-kind', kind);
      say(words, show.on_the_air ? show.words : show.words ?? 'It was not on the air yet.');
      const session = show.status?.session;
      const speaking = (session?.speakers ?? []).filter(one => one.level > TALKS).map(one => one.name);
      say(who, [session?.host && `Host: ${session.host}`, speaking.length && `Talking: ${speaking.join(', ')}`].filter(Boolean).join(' · '));
      say(fault, [show.why, ...(show.faults ?? []).map(one => `${one.message} ${one.remedy ?? ''}`)].filter(Boolean).join(' '));
      const running = show.standing === 'supervised' || show.on_the_air;
      [go.hidden, suspend.hidden, end.hidden] = [running, !running, !running];
      for (const one of [go, suspend, end]) one.disabled = !mayPress();
    },
  };
}

/** What there is while the show is on the air. */
function live(name, signal) {
  const parts = [slate(name, signal), program(name, signal), outputs(name), source(name)];
  const [picture, desk, out, from] = parts.map(part => part.element);
  const line = timeline();
  const sound = h('section', { class: 'card', 'aria-labelledby': 'sound' }, h('h2', { id: 'sound' }, 'Sound'), meter(name, signal), player(name, signal));
  const time = h('section', { class: 'card', 'aria-labelledby': 'time' }, h('h2', { id: 'time' }, 'Timeline'), line.element);
  let drawn = 0;
  return {
    element: h('div', { class: 'columns' }, h('div', {}, picture, sound), h('div', {}, desk, out, time, from)),
    update(status, told) {
      for (const part of parts) part.update(status, told);
      if (Date.now() - drawn < 900) return;
      drawn = Date.now();
      line.update(fromStatus(status, told));
    },
  };
}

export function show(signal, name) {
  const [top, happened, place, alone] = [head(name), events(), h('div'), begins(name, signal)];
  let on = null;
  const update = () => {
    const known = store.shows.get(name);
    if (!known) return;
    const told = store.events.get(name) ?? [];
    top.update(known);
    happened.update(told);
    alone.update();
    const running = Boolean(known.on_the_air && known.status);
    if (running && !on) {
      const stop = new AbortController();
      signal.addEventListener('abort', () => stop.abort());
      on = { stop, part: live(name, stop.signal) };
      place.replaceChildren(on.part.element);
    } else if (!running && on) {
      on.stop.abort();
      on = null;
      place.replaceChildren();
    }
    on?.part.update(known.status, told);
  };
  listen(update, signal);
  read(name).catch(problem => { if (problem.status === 404) location.hash = '#/'; toast(problem.message, true); });
  update();
  return [h('p', { class: 'back' }, h('a', { href: '#/' }, '← All shows')), top.element, place, alone.element, happened.element];
}
