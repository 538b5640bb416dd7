// The timeline of a show or a recording: what was on the air, what was missing, which output was away; and the same facts
// as a table for who cannot see it.
//
// `update` takes {seconds, start?, gaps, repairs, marks, outages}: intervals have `start_seconds`, `end_seconds` (none
// while it lasts) and `cause`; outages also `output`; marks have `seconds` and `title`.

import { h, put, rows, say } from './dom.js';
import { length, moment, place, plural } from './words.js';

const KINDS = { gap: 'Gap', repair: 'Repaired', outage: 'Output away', mark: 'Mark' };

/** Every fact with where it is drawn, in the order of time. */
function facts(data) {
  const end = data.seconds;
  const spans = (list, kind) => (list ?? []).map(one => ({
    kind, lane: one.output ?? 'Program', from: Math.max(0, one.start_seconds), to: Math.min(end, one.end_seconds ?? end),
    open: one.end_seconds == null, text: one.cause ?? '',
  }));
  const marks = (data.marks ?? []).map(one => ({ kind: 'mark', lane: 'Program', from: one.seconds, to: one.seconds, text: one.title }));
  const all = [...spans(data.gaps, 'gap'), ...spans(data.repairs, 'repair'), ...spans(data.outages, 'outage'), ...marks];
  all.forEach(one => { one.key = `${one.kind} ${one.lane} ${one.from} ${one.text}`; });
  return all.filter(one => one.from <= end).sort((a, b) => a.from - b.from);
}

function lane(name) {
  const [bar, label] = [h('div', { class: 'lane' }), h('span', { class: 'lane-name' }, name)];
  return {
    element: h('div', { class: 'lane-row' }, label, bar),
    update({ items, seconds }) {
      rows(bar, items, item => item.key, item => {
        const element = h('i', { class: `span ${item.kind}`, title: `${KINDS[item.kind]}: ${item.text}` });
        return {
          element,
          update({ from, to }) {
            element.style.left = `${(from / seconds) * 100}%`;
            if (item.kind !== 'mark') element.style.width = `max(3px, ${((to - from) / seconds) * 100}%)`;
          },
        };
      });
    },
  };
}

/** How a place is told: by the clock where there is one, else from the beginning. */
const told = (data, seconds) => (data.start ? moment(Date.parse(data.start) + seconds * 1000) : place(seconds));

function line(data) {
  const cells = [h('td'), h('td'), h('td'), h('td')];
  return {
    element: h('tr', {}, cells),
    update(item) {
      const lasts = item.kind === 'mark' ? '' : `${length(item.to - item.from)}${item.open ? ' so far' : ''}`;
      const what = item.kind === 'outage' ? `${KINDS.outage}: ${item.lane}` : KINDS[item.kind];
      [told(data, item.from), what, lasts, item.text].forEach((text, at) => say(cells[at], text));
    },
  };
}

export function timeline() {
  const summary = h('p', { class: 'sub' });
  const lanes = h('div', { class: 'lanes', 'aria-hidden': 'true' });
  const ends = h('div', { class: 'ends', 'aria-hidden': 'true' }, h('span'), h('span'));
  const body = h('tbody');
  const table = h('table', {}, h('thead', {}, h('tr', {}, ['When', 'What', 'How long', 'Why'].map(name => h('th', { scope: 'col' }, name)))), body);
  const details = h('details', {}, h('summary', {}, 'The same as a table'), h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Timeline as a table' }, table));
  return {
    element: h('div', { class: 'timeline' }, summary, lanes, ends, details),
    update(data) {
      const seconds = Math.max(1, data.seconds);
      const all = facts({ ...data, seconds });
      const names = ['Program', ...new Set([...(data.outputs ?? []), ...all.map(one => one.lane)])].filter((name, at, list) => list.indexOf(name) === at);
      rows(lanes, names.map(name => ({ name, seconds, items: all.filter(one => one.lane === name) })), one => one.name, one => lane(one.name));
      rows(body, all, one => one.key, () => line(data));
      const count = kind => all.filter(one => one.kind === kind).length;
      const missing = all.filter(one => one.kind === 'gap').reduce((sum, one) => sum + one.to - one.from, 0);
      const gaps = count('gap') ? `${plural(count('gap'), 'gap')}, ${length(missing)} in all` : 'no gap';
      say(summary, `${length(seconds)}: ${gaps}, ${plural(count('outage'), 'outage')} of outputs, ${plural(count('mark'), 'mark')}.`);
      put(details, 'hidden', all.length === 0);
      [told(data, 0), told(data, seconds)].forEach((text, at) => say(ends.children[at], text));
    },
  };
}

/** Warnings of an output that stays on the air. */
const BESIDE = /^output\.(slow|abandoned|key_lost)$/;

/** The timeline of a show that is on the air, from its status and its events. */
export function fromStatus(status, events) {
  const start = Date.parse(status.bridge.started_at);
  const at = time => (Date.parse(time) - start) / 1000;
  const [done, gaps, marks] = [[], [], []];
  const away = new Map();
  let gap = null;
  for (const event of [...events].sort((a, b) => Date.parse(a.at) - Date.parse(b.at))) {
    const [what, name] = event.subject.split(' ');
    const seconds = at(event.at);
    if (event.code === 'session.gap') gap ??= { start_seconds: at(event.since ?? event.at), cause: event.message };
    else if (/^session\.(live|ended|between|next|replaced)$/.test(event.code) && gap) { gaps.push({ ...gap, end_seconds: seconds }); gap = null; }
    else if (event.code === 'program.cut') marks.push({ seconds, title: event.message });
    else if (event.code === 'recording.mark') marks.push({ seconds, title: event.message });
    else if (what === 'output' && name && /^output\.(live|back|stopped|removed)$/.test(event.code)) {
      const open = away.get(name);
      if (open) { done.push({ ...open, end_seconds: seconds }); away.delete(name); }
    } else if (what === 'output' && name && event.level !== 'info' && !BESIDE.test(event.code) && !away.has(name)) {
      away.set(name, { output: name, start_seconds: at(event.since ?? event.at), cause: event.message });
    }
  }
  for (const output of status.outputs) if (output.state === 'live') {
    const open = away.get(output.name);
    if (open && output.live_since) { done.push({ ...open, end_seconds: Math.max(open.start_seconds, at(output.live_since)) }); away.delete(output.name); }
  }
  if (gap) gaps.push(gap);
  return {
    start: status.bridge.started_at, seconds: (Date.now() - start) / 1000, gaps, repairs: [], marks,
    outages: [...done, ...away.values()], outputs: status.outputs.map(output => output.name),
  };
}
