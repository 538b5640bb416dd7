// What the page knows of every show, kept new by one stream of events; and whether the daemon is there.

import { api, of } from './api.js';

/** Without a word for so long, the daemon is asked whether it is there. */
const SILENCE = 1200;
/** An answer that takes longer is none. */
const PATIENCE = 1500;
const EVENTS_MAX = 200;

/** Troubles that have lasted come without an event, so that they are asked for this often. */
const LOOK = 5000;

export const store = { role: null, shows: new Map(), events: new Map(), alerts: [], lost: false, listeners: new Set() };

let stream = null;
let heard = 0;
let watching = null;
let looking = null;
let later = null;

export const mayPress = () => store.role === 'operate' && !store.lost;

/** Calls `listener` at every change until `signal` is aborted. */
export function listen(listener, signal) {
  store.listeners.add(listener);
  signal?.addEventListener('abort', () => store.listeners.delete(listener));
}

function changed() {
  for (const listener of store.listeners) listener();
}

/** Reads which shows there are. */
export async function refresh() {
  const list = await api('GET', 'shows');
  const names = new Set(list.map(show => show.name));
  for (const name of store.shows.keys()) if (!names.has(name)) store.shows.delete(name);
  for (const show of list) store.shows.set(show.name, { ...store.shows.get(show.name), ...show, why: show.why, faults: show.faults });
  changed();
}

/** Reads what needs somebody now. What is not answered leaves the last word standing. */
async function look() {
  const alerts = await api('GET', 'alerts').catch(() => null);
  if (!alerts || !store.role) return;
  store.alerts = alerts;
  changed();
}

/** Reads everything about one show. */
export async function read(name) {
  const show = await api('GET', of('shows', name));
  store.shows.set(name, show);
  changed();
  return show;
}

/** Reads the list soon: several reasons within a moment make one request. */
export function refreshSoon() {
  later ??= setTimeout(() => { later = null; refresh().catch(() => {}); look(); }, 300);
}

function status(told) {
  heard = Date.now();
  const show = store.shows.get(told.show);
  if (!show || (!show.on_the_air && !['ended', 'suspended'].includes(told.state)) || show.state !== told.state) refreshSoon();
  if (show) Object.assign(show, { status: told, state: told.state, words: told.words });
  changed();
}

function event(told) {
  heard = Date.now();
  const events = store.events.get(told.show) ?? [];
  const same = events.findIndex(one => one.pid === told.pid && one.id === told.id);
  if (same >= 0) events[same] = told; else events.push(told);
  store.events.set(told.show, events.slice(-EVENTS_MAX));
  if (told.level !== 'info' || told.code.startsWith('rehearsal.') || told.code.startsWith('show.') || told.code.startsWith('daemon.') || told.code.startsWith('bridge.')) refreshSoon();
  changed();
}

function lose(lost) {
  if (store.lost === lost) return;
  store.lost = lost;
  document.documentElement.toggleAttribute('data-lost', lost);
  document.getElementById('lost').textContent = lost
    ? 'The daemon does not answer. Shows go on without it; what you see is what was known last. Trying again…' : '';
  if (!lost) refreshSoon();
  changed();
}

async function watch() {
  if (Date.now() - heard < SILENCE && stream?.readyState === EventSource.OPEN) return lose(false);
  try {
    const answer = await fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) throw new Error();
    lose(false);
    if (stream?.readyState === EventSource.CLOSED) open();
  } catch {
    lose(true);
  }
}

function open() {
  stream?.close();
  stream = new EventSource('/api/v1/events?status=true&all=true');
  stream.addEventListener('open', () => { heard = Date.now(); lose(false); refreshSoon(); });
  stream.addEventListener('error', () => watch());
  stream.addEventListener('status', message => status(JSON.parse(message.data)));
  stream.addEventListener('event', message => event(JSON.parse(message.data)));
}

/** Begins to follow the daemon. */
export async function follow(role) {
  store.role = role;
  await refresh();
  look();
  open();
  watching = setInterval(watch, 1000);
  looking = setInterval(look, LOOK);
}

/** Forgets everything. */
export function leave() {
  clearInterval(watching);
  clearInterval(looking);
  stream?.close();
  stream = null;
  store.role = null;
  store.shows.clear();
  store.events.clear();
  store.alerts = [];
  lose(false);
}
