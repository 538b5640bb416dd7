// Every show in words; what needs somebody comes first.

import { of } from '../api.js';
import { h, put, rows, say } from '../dom.js';
import { listen, mayPress, store } from '../store.js';
import { length, outputWords, plural, since, standing } from '../words.js';

const ORDER = { bad: 0, warn: 1, good: 2, idle: 3 };

/** What there is to say of a show's outputs. */
function outputsOf(show) {
  if (!show.on_the_air || !show.status) return show.outputs ? plural(show.outputs, 'output') : 'It is only recorded.';
  const told = show.status.outputs.map(output => {
    const since_ = output.state === 'live' && output.live_since ? ` for ${length(since(output.live_since))}` : '';
    const fault = output.state !== 'live' && output.last_error ? `: ${output.last_error}` : '';
    return `${output.name}: ${outputWords(output).word.toLowerCase()}${since_}${fault}.`;
  });
  return told.join(' ') || 'It is only recorded.';
}

function row(first) {
  const state = h('span', { class: 'state' });
  const link = h('a', { href: `#/${of('shows', first.name)}` });
  const [words, outputs] = [h('p', { class: 'words' }), h('p', { class: 'sub' })];
  return {
    element: h('li', { class: 'card show' }, h('h2', {}, link, state), words, outputs),
    update(show) {
      const { word, kind } = standing(show);
      say(state, word);
      put(state, 'data-kind', kind);
      say(link, show.title && show.title !== show.name ? `${show.title} (${show.name})` : show.name);
      const fault = show.why ?? show.faults?.map(one => one.message).join(' ');
      say(words, fault || (show.on_the_air ? show.words : show.words ?? 'It was not on the air yet.'));
      say(outputs, outputsOf(show));
    },
  };
}

export function shows(signal) {
  const list = h('ul', { class: 'shows' });
  const none = h('p', {}, 'There is no show yet. It takes a link to a Space and a stream key for each platform.');
  const add = h('a', { class: 'button main', href: '#/new' }, 'New show');
  const update = () => {
    const all = [...store.shows.values()];
    all.sort((a, b) => ORDER[standing(a).kind] - ORDER[standing(b).kind] || a.name.localeCompare(b.name));
    rows(list, all, show => show.name, row);
    none.hidden = all.length > 0;
    add.hidden = !mayPress();
  };
  listen(update, signal);
  update();
  return [h('div', { class: 'bar' }, h('h1', {}, 'Shows'), add), none, list];
}
