// Listening in: the program as it goes out, kept close to it.

import { of } from './api.js';
import { h, say, toast } from './dom.js';

/** Kept behind the newest sound, in seconds: less stutters, more is late. */
const BEHIND = 0.6;
/** Beyond this the player jumps. */
const TOO_FAR = 1.6;
const KIND = 'audio/aac';

async function feed(audio, url, stop) {
  const source = new MediaSource();
  audio.src = URL.createObjectURL(source);
  await new Promise(resolve => source.addEventListener('sourceopen', resolve, { once: true }));
  URL.revokeObjectURL(audio.src);
  const buffer = source.addSourceBuffer(KIND);
  buffer.mode = 'sequence';
  const answer = await fetch(url, { signal: stop, cache: 'no-store' });
  if (!answer.ok) throw new Error(`The daemon answered ${answer.status}.`);
  const ready = () => new Promise(resolve => buffer.addEventListener('updateend', resolve, { once: true }));
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error('The sound ended.');
    buffer.appendBuffer(value);
    await ready();
    const { buffered } = buffer;
    if (!buffered.length) continue;
    const behind = buffered.end(buffered.length - 1) - audio.currentTime;
    if (behind > TOO_FAR) audio.currentTime = buffered.end(buffered.length - 1) - BEHIND;
    audio.playbackRate = behind > BEHIND + 0.3 ? 1.05 : 1;
    if (audio.currentTime > 60 && buffered.start(0) < audio.currentTime - 30) {
      buffer.remove(0, audio.currentTime - 10);
      await ready();
    }
  }
}

export function player(show, signal) {
  const audio = h('audio', { preload: 'none' });
  const button = h('button', { 'aria-pressed': 'false', onclick: () => (stop ? end() : begin()) }, 'Listen in');
  const url = `/api/v1/${of('shows', show, 'audio')}`;
  let stop = null;
  function end() {
    stop?.abort();
    stop = null;
    audio.pause();
    audio.removeAttribute('src');
    audio.load();
    button.setAttribute('aria-pressed', 'false');
    say(button, 'Listen in');
  }
  function begin() {
    const own = stop = new AbortController();
    button.setAttribute('aria-pressed', 'true');
    say(button, 'Stop listening');
    // A browser that cannot be fed plays the stream itself, somewhat later.
    const fed = window.MediaSource?.isTypeSupported(KIND);
    if (!fed) audio.src = url;
    const failed = error => { if (!own.signal.aborted) { end(); toast(`Listening in ended. ${error.message}`, true); } };
    if (fed) feed(audio, url, own.signal).catch(failed);
    audio.play().catch(failed);
  }
  signal.addEventListener('abort', end);
  return h('div', { class: 'player' }, audio, button);
}
