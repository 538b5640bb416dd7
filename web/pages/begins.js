// When a show begins by itself: at a time, or when a host's account opens a Space.

import { api, of } from '../api.js';
import { confirm, field, form } from '../ask.js';
import { h, say, toast } from '../dom.js';
import { mayPress } from '../store.js';
import { day, time } from '../words.js';
import { order } from './outputs.js';

const DAYS = { mon: 'Monday', tue: 'Tuesday', wed: 'Wednesday', thu: 'Thursday', fri: 'Friday', sat: 'Saturday', sun: 'Sunday' };

/** How often the daemon is asked, in ms. */
const LOOK = 10000;

/** What a schedule says, in words. */
function scheduled(rule) {
  const days = (rule.on ?? []).map(one => DAYS[one] ?? one).join(', ');
  const every = days ? `Every ${days}. ` : '';
  return rule.next ? `${every}Next: ${day(rule.next)}, on the air from ${time(rule.begins)}.` : `${every}No start is left.`;
}

/** What a watch says, in words. */
function watched(watch) {
  const seen = watch.live ? `live now: ${watch.live}` : watch.looked_at ? `not live at ${time(watch.looked_at)}` : 'not looked at yet';
  return `Begins when ${watch.host} opens a Space (${seen}).${watch.error ? ` ${watch.error}` : ''}`;
}

/** Asks for a time; the schedule as the daemon wants it, or null. */
async function askTime(name) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const days = h('fieldset', {}, h('legend', {}, 'Again every'),
    Object.entries(DAYS).map(([short, long]) => h('label', {}, h('input', { type: 'checkbox', name: `on-${short}` }), ` ${long}`)));
  const entries = await form(`When does ${name} begin?`, [
    field('First start', 'at', { type: 'datetime-local', required: true }),
    field('Time zone', 'zone', { value: zone, required: true }),
    days,
    field('On the air so many minutes before', 'early', { type: 'number', min: 0, max: 240, value: 15, required: true }),
  ], 'Set');
  if (!entries) return null;
  const on = Object.keys(DAYS).filter(short => entries[`on-${short}`]);
  return { at: `${entries.at}[${entries.zone}]`, ...(on.length && { on }), early: `${Number(entries.early)}m` };
}

/** The card of one show. */
export function begins(name, signal) {
  const [at, host] = [h('p', { class: 'words' }), h('p', { class: 'words' })];
  let [rule, watch] = [null, null];
  const setTime = h('button', { onclick: async () => {
    const wanted = await askTime(name);
    if (wanted && await order('PUT', of('schedules', name), wanted, 'The time is set.')) look();
  } }, 'Set a time');
  const noTime = h('button', { class: 'quiet', onclick: async () => {
    await order('DELETE', of('schedules', name), undefined, 'It does not begin by itself any more.');
    look();
  } }, 'Take the time away');
  const setHost = h('button', { onclick: async () => {
    const hint = 'A handle such as @host, or the link of an earlier Space of the host.';
    const entries = await form('Whose account is watched?', [field('Host', 'host', { required: true }, hint)], 'Watch');
    if (entries && await order('PUT', of('watches', name), { host: entries.host.trim(), show: name }, 'The account is watched.')) look();
  } }, 'Watch an account');
  const noHost = h('button', { class: 'quiet', onclick: async () => {
    await order('DELETE', of('watches', watch.name), undefined, 'The account is not watched any more.');
    look();
  } }, 'Watch no longer');
  const draw = () => {
    say(at, rule ? scheduled(rule) : 'No time is set.');
    say(host, watch ? watched(watch) : 'No account is watched.');
    [noTime.hidden, noHost.hidden] = [!rule, !watch];
    for (const one of [setTime, noTime, setHost, noHost]) one.disabled = !mayPress();
  };
  async function look() {
    const [rules, watches] = await Promise.all(['schedules', 'watches'].map(what => api('GET', what).catch(() => null)));
    if (signal.aborted) return;
    if (rules) rule = rules.find(one => one.show === name) ?? null;
    if (watches) watch = watches.find(one => one.show === name) ?? null;
    draw();
  }
  const looking = setInterval(look, LOOK);
  signal.addEventListener('abort', () => clearInterval(looking));
  look();
  draw();
  const element = h('section', { class: 'card', 'aria-labelledby': 'begins' }, h('h2', { id: 'begins' }, 'Begins by itself'),
    at, h('div', { class: 'line' }, setTime, noTime), host, h('div', { class: 'line' }, setHost, noHost));
  return { element, update: draw };
}

/** Starts a show; one that the machine does not carry only if the operator says so. */
export async function start(name) {
  try {
    await api('POST', of('shows', name, 'start'));
    toast('The show is being started.');
  } catch (problem) {
    if (problem.code !== 'machine-full') return toast(problem.message, true);
    const text = `${problem.message} Started all the same, it may disturb the shows that are on the air.`;
    if (!await confirm('The machine is full', text, 'Start all the same')) return;
    await order('POST', `${of('shows', name, 'start')}?force=true`, undefined, 'The show is being started.');
  }
}
