// Times, lengths and states, as people say them.

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hour12: false });
const MOMENT = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short', hour12: false });

export const time = at => (at ? TIME.format(new Date(at)) : '');
export const moment = at => (at ? MOMENT.format(new Date(at)) : '');
export const day = at => (at ? DAY.format(new Date(at)) : '');

/** A length: `2 h 3 min`, `4 min 5 s`, `6 s`. */
export function length(seconds) {
  const whole = Math.max(0, Math.floor(seconds ?? 0));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${rest} s` : `${rest} s`;
}

/** A place in a recording: `1:02:03`. */
export function place(seconds) {
  const whole = Math.max(0, Math.floor(seconds ?? 0));
  const two = number => String(number).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** A size in decimal units. */
export function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes ?? 0, 0];
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Seconds since a moment, by this machine's clock. */
export const since = at => (Date.now() - new Date(at)) / 1000;

const STATES = {
  starting: 'Starting', waiting: 'Waiting', live: 'Live', gap: 'No sound', ending: 'Ending', suspended: 'Suspended',
  ended: 'Over',
};

/** How a show stands: a word, and what kind of a word it is (`good`, `warn`, `bad`, `idle`). */
export function standing(show) {
  if (show.faults?.length) return { word: 'Faulty', kind: 'bad' };
  if (show.standing === 'held') return { word: 'Held', kind: 'bad' };
  if (show.standing === 'supervised' && !show.on_the_air) return { word: 'Starting', kind: 'warn' };
  if (!show.on_the_air) return { word: show.state === 'suspended' ? 'Suspended' : 'Off', kind: 'idle' };
  const kind = { live: 'good', gap: 'bad', waiting: 'warn', starting: 'warn', ending: 'idle' }[show.state] ?? 'idle';
  return { word: STATES[show.state] ?? show.state ?? 'Off', kind };
}

/** How an output stands. */
export function outputWords(output) {
  switch (output.state) {
    case 'live': return { word: 'On the air', kind: 'good' };
    case 'connecting': return { word: 'Connecting', kind: 'warn' };
    case 'backoff': {
      const next = output.retry_in_seconds;
      return { word: next == null ? 'Waits' : `Tries again in ${length(next)}`, kind: 'bad' };
    }
    default: return { word: output.fault ? 'Cannot start' : 'Stopped', kind: output.fault ? 'bad' : 'idle' };
  }
}

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** Above this a speaker's level is talk. */
export const TALKS = 8;

export const capital = text => text.charAt(0).toUpperCase() + text.slice(1);

/** What several told, as sentences: some begin small and end without a point. */
export const sentences = parts => parts.filter(Boolean).map(text => {
  const whole = text.trim();
  return capital(whole) + (/[.!?…:]$/.test(whole) ? '' : '.');
}).join(' ');
