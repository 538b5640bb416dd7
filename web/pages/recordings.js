// Every recording, newest first.

import { api, of } from '../api.js';
import { h, put, say } from '../dom.js';
import { day, length, plural, size } from '../words.js';

const STATES = { live: ['Being written', 'good'], finished: ['Finished', 'idle'], interrupted: ['Interrupted', 'warn'], damaged: ['Damaged', 'bad'] };

/** A recording's state as a badge's text and kind. */
export const stateOf = one => STATES[one.state] ?? [one.state, 'idle'];

/** What is missing, in words. */
export function missing(one) {
  if (!one.gaps) return 'nothing missing';
  return `${length(Math.ceil(one.missing_seconds))} missing in ${plural(one.gaps, 'gap')}${one.repair_pending ? ', repair not at its end' : ''}`;
}

function item(one) {
  const [word, kind] = stateOf(one);
  const state = h('span', { class: 'state' }, word);
  put(state, 'data-kind', kind);
  const told = [one.host && `Host: ${one.host}`, day(one.started_at), length(one.seconds), size(one.bytes), missing(one), one.kept && 'kept'];
  return h('li', { class: 'card show' },
    h('h2', {}, h('a', { href: `#/${of('recordings', one.id)}` }, one.title || one.show), state),
    h('p', { class: 'sub' }, told.filter(Boolean).join(' · ')));
}

export function recordings(signal) {
  const list = h('ul', { class: 'shows' });
  const words = h('p', { role: 'status' }, 'Reading the recordings…');
  api('GET', 'recordings').then(all => {
    if (signal.aborted) return;
    list.append(...all.map(item));
    say(words, all.length ? plural(all.length, 'recording') : 'There is no recording yet.');
  }).catch(problem => say(words, problem.message));
  return [h('h1', {}, 'Recordings'), words, list];
}
