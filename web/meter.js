// The level meter: one bar, a held peak, loudness in numbers. It draws what it is told as soon as it is told.

import { of } from './api.js';
import { h, put, say } from './dom.js';

/** What the bar's left end stands for, in dBFS. */
const FLOOR = -60;
const HOLD = 1500;
/** Without a level for so long, the bar is empty: one that stands still looks like sound. */
const SILENCE = 1000;
/** Before a stream that was refused is asked for again: its show may be between two bridges. */
const AGAIN = 1000;
/** Numbers change more slowly than a bar: they are read. */
const READ = 500;

const share = dbfs => Math.min(1, Math.max(0, 1 - dbfs / FLOOR));

export function meter(show, signal) {
  const [rest, peak] = [h('div', { class: 'bar-rest' }), h('div', { class: 'bar-peak' })];
  const box = h('div', { class: 'meter', role: 'meter', 'aria-label': 'Level', 'aria-valuemin': FLOOR, 'aria-valuemax': 0, 'aria-valuenow': FLOOR }, rest, peak);
  const words = h('p', { class: 'sub numbers' }, 'No level yet');
  let [held, heldAt, readAt, toldAt] = [FLOOR, 0, 0, 0];
  const draw = level => {
    const now = toldAt = performance.now();
    if (level.peak_dbfs >= held || now - heldAt > HOLD) [held, heldAt] = [level.peak_dbfs, now];
    rest.style.transform = `scaleX(${1 - share(level.rms_dbfs)})`;
    peak.style.transform = `translateX(${share(held) * 100}%)`;
    put(box, 'data-hot', held > -1);
    box.dataset.seconds = level.seconds;
    if (now - readAt < READ) return;
    readAt = now;
    put(box, 'aria-valuenow', Math.round(Math.max(FLOOR, level.peak_dbfs)));
    const loud = level.short_term_lufs > -100 ? `${level.short_term_lufs.toFixed(1)} LUFS` : 'silence';
    say(words, `Peak ${held > -100 ? held.toFixed(1) : '-∞'} dBFS · ${loud}`);
  };
  const empty = () => {
    held = FLOOR;
    rest.style.transform = 'scaleX(1)';
    peak.style.transform = 'translateX(0)';
    put(box, 'data-hot', false);
    put(box, 'aria-valuenow', FLOOR);
    say(words, 'No level');
  };
  let stream;
  const open = () => {
    if (signal.aborted) return;
    stream = new EventSource(`/api/v1/${of('shows', show, 'levels')}`);
    stream.addEventListener('level', message => draw(JSON.parse(message.data)));
    stream.addEventListener('error', event => { if (event.target.readyState === EventSource.CLOSED) setTimeout(open, AGAIN); });
  };
  const watching = setInterval(() => { if (toldAt && performance.now() - toldAt > SILENCE) empty(); }, SILENCE);
  signal.addEventListener('abort', () => { stream.close(); clearInterval(watching); });
  open();
  return h('div', {}, box, words);
}
