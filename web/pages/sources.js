// Where the sound may come from: every path of the show, which one is heard, why, and how the seat in the room stands.

import { of } from '../api.js';
import { h, put, rows, say } from '../dom.js';
import { mayPress } from '../store.js';
import { TALKS, capital, moment, sentences } from '../words.js';
import { order } from './outputs.js';

/** The steps to a speaker's seat that somebody has to see; every other word of the seat ends them. */
const SEAT = {
  'seat.waiting': ['Waiting for the host', 'warn'], 'seat.timeout': ['No answer', 'bad'], 'seat.refused': ['Refused', 'bad'],
  'seat.removed': ['Taken off the stage', 'bad'], 'seat.lost': ['Seat lost', 'warn'], 'seat.failed': ['Seat not had', 'warn'],
  'seat.empty': ['Nobody on stage', 'warn'],
};

/** What makes every older word of a seat void. */
const OVER = ['session.replaced', 'session.ended'];

/** How a source stands: a word, and what kind of a word it is. */
function standing(source) {
  if (source.active) return source.connected && source.healthy ? ['On the air', 'good'] : [source.connected ? 'No sound' : 'Being tried', 'bad'];
  if (!source.connected) return ['Not connected', 'idle'];
  if (!source.healthy) return ['Standing by, no sound', 'warn'];
  return [source.aligned ? 'Standing by, aligned' : 'Standing by', 'good'];
}

function row(show) {
  return () => {
    const [name, state, held] = [h('span'), h('span', { class: 'state' }), h('span', { class: 'sub' })];
    let now = null;
    const pin = h('button', { class: 'quiet', onclick: () => order('POST', of('shows', show, 'source', 'pin'), { source: now.pinned ? null : now.name }) });
    return {
      element: h('tr', { role: 'row' }, h('th', { scope: 'row', role: 'rowheader' }, name),
        h('td', { role: 'cell' }, state, ' ', held), h('td', { role: 'cell' }, pin)),
      update(source) {
        now = source;
        const [word, kind] = standing(source);
        say(name, capital(source.name));
        say(state, word);
        put(state, 'data-kind', kind);
        say(held, source.pinned ? 'Held by you' : '');
        say(pin, source.pinned ? 'Let go' : 'Hold');
        put(pin, 'aria-label', `${source.pinned ? 'Let go of' : 'Hold to'} ${source.name}`);
        pin.disabled = !mayPress();
      },
    };
  };
}

/** Who is in the room, and who of them talks or is muted. */
function people(speakers) {
  return (speakers ?? []).map(one => {
    const talks = one.level > TALKS;
    const what = one.muted ? (talks ? ' (muted, but heard)' : ' (muted)') : talks ? ' (talking)' : '';
    return one.name + what;
  }).join(', ');
}

/** The table of the sources, with a word on each; `update` takes the show's status and what it told. */
export function sources(show) {
  // On a phone it is laid out otherwise; it is a table all the same.
  const body = h('tbody', { role: 'rowgroup' });
  const rule = h('caption', { class: 'sub' }, 'The first is the best; the next takes over when it breaks.');
  const table = h('table', { role: 'table' }, rule, body);
  const [state, words, seat] = [h('span', { class: 'state' }), h('span'), h('p', { role: 'status' })];
  seat.append(state, ' ', words);
  const [why, room] = [h('p', { class: 'sub' }), h('p', { class: 'sub' })];
  const make = row(show);
  return {
    element: h('div', { class: 'sources' }, seat, table, why, room),
    update(status, told) {
      const list = status.sources ?? [];
      rows(body, list, source => source.name, make);
      table.hidden = !list.length;
      // One source alone leaves no choice.
      const only = list.length < 2 && !list.some(source => source.pinned);
      rule.hidden = only;
      for (const button of body.querySelectorAll('button')) button.hidden = only;
      const switched = told.findLast(event => event.code === 'source.switched');
      say(why, switched ? `${moment(switched.at)}: ${sentences([switched.message])}` : '');
      const last = told.findLast(event => event.code.startsWith('seat.') || OVER.includes(event.code));
      const [word, kind] = SEAT[last?.code] ?? [];
      seat.hidden = !word;
      if (word) {
        say(state, word);
        put(state, 'data-kind', kind);
        say(words, sentences([last.message, last.remedy]));
      }
      const present = people(status.session?.speakers);
      say(room, present && `In the room: ${present}`);
    },
  };
}
