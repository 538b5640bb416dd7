// What needs somebody, then every show in words, then whether the machine carries more and is fit to.

import { api, of } from '../api.js';
import { h, put, rows, say, toast } from '../dom.js';
import { listen, mayPress, store } from '../store.js';
import { day, length, outputWords, plural, sentences, since, standing, time } from '../words.js';

const ORDER = { bad: 0, warn: 1, good: 2, idle: 3 };

/** What there is to say of a show's outputs. */
function outputsOf(show) {
  if (!show.on_the_air || !show.status) return show.outputs ? plural(show.outputs, 'output') : 'It is only recorded.';
  const told = show.status.outputs.map(output => {
    const since_ = output.state === 'live' && output.live_since ? ` for ${length(since(output.live_since))}` : '';
    const fault = output.state !== 'live' && output.last_error ? `: ${output.last_error.replace(/\.$/, '')}` : '';
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

/** What needs somebody now, the worst first; nothing at all when all is well. */
function needs() {
  const list = h('ul', { class: 'needs' });
  const row = first => {
    const words = h('span');
    const level = h('span', { class: 'level', 'data-level': first.level }, first.level);
    const show = first.show && h('a', { href: `#/${of('shows', first.show)}` }, first.show);
    return {
      element: h('li', {}, level, h('span', {}, show, show && ': ', words), h('time', { datetime: first.since }, `since ${time(first.since)}`)),
      update: alert => say(words, sentences([alert.message, alert.remedy])),
    };
  };
  const element = h('section', { class: 'card', 'aria-labelledby': 'needs' }, h('h2', { id: 'needs' }, 'Needs you now'), list);
  return {
    element,
    update() {
      rows(list, store.alerts, one => `${one.show} ${one.code} ${one.subject} ${one.level} ${one.since}`, row);
      element.hidden = !store.alerts.length;
    },
  };
}

/** What a verdict writes for a wait that had no end, in seconds. */
const NEVER = 999;

const VERDICTS = {
  running: ['Running', 'warn'], passed: ['Passed', 'good'], failed: ['Failed', 'bad'], broken: ['Not judged', 'bad'],
};

/** What speaks against a rehearsal: what was judged, and what the bridge itself told as an error. */
function against({ state, error, verdict }) {
  if (state === 'running' || state === 'passed') return '';
  const { outputs = [], checks = [], recording, timeline = [] } = verdict ?? {};
  const failed = one => one.verdict === 'fail';
  const took = seconds => (seconds >= NEVER ? 'never' : `${seconds} s`);
  const missing = recording?.missing_ruler_seconds?.length;
  return [
    error,
    ...outputs.filter(failed).map(one => `Output ${one.name} did not come through`),
    missing && `${missing} s of the sound are not in the recording`,
    ...checks.filter(failed).map(one => `${one.what}: ${took(one.measured_seconds)}, bound ${one.bound_seconds} s`),
    ...timeline.map(one => one.what).filter(what => what.endsWith(' (error)')).slice(0, 3).map(what => what.replace(/^[a-z_.]+: /, '').replace(/\.? \(error\)$/, '')),
  ].filter(Boolean).map(text => `${text}.`).join(' ');
}

/** One button tries whether this machine carries a show, with nothing of the operator's own. */
function rehearsal(signal) {
  const [state, words, fault, room] = [h('span', { class: 'state' }), h('span'), h('p', { class: 'fault' }), h('p', { class: 'sub' })];
  const go = h('button', { onclick: async () => {
    try {
      await api('POST', 'rehearsals', {});
      toast('The rehearsal has begun. It takes about two minutes.');
      await ask();
    } catch (problem) {
      toast(problem.message, true);
    }
  } }, 'Rehearse');
  const element = h('section', { class: 'card', 'aria-labelledby': 'machine' },
    h('div', { class: 'bar' }, h('h2', { id: 'machine' }, 'This machine'), go), room,
    h('p', { class: 'sub' }, state, ' ', words), fault);
  let last = null;
  const draw = () => {
    const [word, kind] = VERDICTS[last?.state] ?? ['', 'idle'];
    const running = last?.state === 'running';
    state.hidden = !word;
    say(state, word);
    put(state, 'data-kind', kind);
    say(words, last ? `Rehearsal of ${day(last.started_at)}`
      : 'A rehearsal runs a simulated Space to stand-in platforms for two minutes: no key, no cookie and no output of yours is used.');
    say(fault, last ? against(last) : '');
    go.disabled = !mayPress() || running;
  };
  async function ask() {
    const [machine, past] = await Promise.all([api('GET', 'machine').catch(() => null), api('GET', 'rehearsals').catch(() => null)]);
    if (signal.aborted) return;
    if (machine) {
      const used = `${plural(machine.shows, 'show')} now, ${machine.shows_cores.toFixed(2)} of ${plural(machine.cores, 'core')}`;
      say(room, machine.room ? `Room for ${machine.room} more (${used}).` : `No room for another show (${used}).`);
    }
    if (past) last = past[0] ?? null;
    draw();
  }
  const asking = setInterval(ask, 5000);
  signal.addEventListener('abort', () => clearInterval(asking));
  ask();
  return { element, update: draw };
}

export function shows(signal) {
  const list = h('ul', { class: 'shows' });
  const none = h('p', {}, 'There is no show yet. It takes a link to a Space and a stream key for each platform.');
  const add = h('a', { class: 'button main', href: '#/new' }, 'New show');
  const parts = [needs(), rehearsal(signal)];
  const update = () => {
    const all = [...store.shows.values()];
    const needed = new Set(store.alerts.map(alert => alert.show));
    all.sort((a, b) => needed.has(b.name) - needed.has(a.name) || ORDER[standing(a).kind] - ORDER[standing(b).kind]
      || a.name.localeCompare(b.name));
    rows(list, all, show => show.name, row);
    none.hidden = all.length > 0;
    add.hidden = !mayPress();
    for (const part of parts) part.update();
  };
  listen(update, signal);
  update();
  return [h('div', { class: 'bar' }, h('h1', {}, 'Shows'), add), parts[0].element, none, list, parts[1].element];
}
