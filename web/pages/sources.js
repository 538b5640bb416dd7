// Where the sound may come from: every path of the show, which one is heard, why, and how the seat in the room stands.

import { of } from '../api.js';
import { h, put, rows, say } from '../dom.js';
import { mayPress } from '../store.js';
import { moment } from '../words.js';
import { order } from './outputs.js';

/** Above this somebody is talking. */
const TALKS = 8;

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
      element: h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, state, ' ', held), h('td', {}, pin)),
      update(source) {
        now = source;
        const [word, kind] = standing(source);
        say(name, source.name);
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
    const what = one.level > TALKS ? ' (talking)' : one.muted ? ' (muted)' : '';
    return one.name + what;
  }).join(', ');
}

/** The table of the sources, with a word on each; `update` takes the show's status and what it told. */
export function sources(show) {
  const body = h('tbody');
  const table = h('table', {}, h('caption', { class: 'sub' }, 'The first is the best; the next takes over when it breaks.'), body);
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
      const switched = told.findLast(event => event.code === 'source.switched');
      say(why, switched ? `Since ${moment(switched.at)}: ${switched.message}` : '');
      const last = told.findLast(event => event.code.startsWith('seat.') || OVER.includes(event.code));
      const [word, kind] = SEAT[last?.code] ?? [];
      seat.hidden = !word;
      if (word) {
        say(state, word);
        put(state, 'data-kind', kind);
        say(words, [last.message, last.remedy].filter(Boolean).join(' '));
      }
      const present = people(status.session?.speakers);
      say(room, present && `In the room: ${present}`);
    },
  };
}
