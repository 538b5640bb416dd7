// One recording: seen, heard, and made into files.

import { api, of } from '../api.js';
import { confirm, field, form } from '../ask.js';
import { h, put, rows, say } from '../dom.js';
import { mayPress } from '../store.js';
import { timeline } from '../timeline.js';
import { day, length, place, size } from '../words.js';
import { order } from './outputs.js';
import { missing, stateOf } from './recordings.js';

const FORMATS = { m4a: 'M4A, as received', mp4: 'MP4 video with the slate', mp3: 'MP3', opus: 'Opus', flac: 'FLAC', wav: 'WAV', stems: 'Each speaker apart', chapters: 'Chapters as a list', captions: 'Captions' };
const LOUDNESS = { '': 'As it is', '-16': '-16 LUFS (podcasts)', '-14': '-14 LUFS (platforms)' };
const POINTS = 1200;
/** Pause between two looks at jobs that run, in ms. */
const LOOK = 500;

/** Draws peaks from 0 to 1 as bars around a middle line; what was not measured stays empty. */
function draw(canvas, peaks) {
  const { width, height } = canvas;
  const pen = canvas.getContext('2d');
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = getComputedStyle(canvas).color;
  const step = width / Math.max(1, peaks.length);
  peaks.forEach((peak, at) => {
    if (peak == null) return;
    const tall = Math.max(1, peak * height);
    pen.fillRect(at * step, (height - tall) / 2, Math.max(1, step * 0.8), tall);
  });
}

/** The waveform with a player below it, and chapters that are sought to. */
function sound(id) {
  const canvas = h('canvas', { class: 'wave', width: 1200, height: 120, role: 'img', 'aria-label': 'Waveform' });
  const [none, chapters] = [h('p', { class: 'sub' }), h('ul', { class: 'buttons' })];
  const audio = h('audio', { controls: true, preload: 'metadata', 'aria-label': 'Recording' });
  canvas.addEventListener('click', event => {
    if (audio.duration) audio.currentTime = (event.offsetX / canvas.clientWidth) * audio.duration;
  });
  let [playing, peaks] = [null, []];
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => draw(canvas, peaks));
  api('GET', `${of('recordings', id, 'waveform')}?points=${POINTS}`).then(told => { peaks = told.peaks; draw(canvas, peaks); }).catch(() => { canvas.hidden = true; });
  return {
    element: h('section', { class: 'card', 'aria-labelledby': 'sound' }, h('h2', { id: 'sound' }, 'Sound'), canvas, audio, chapters, none),
    update(told) {
      const file = told.files.find(one => one.media_type.startsWith('audio/') && audio.canPlayType(one.media_type));
      if (file && playing !== file.name) {
        playing = file.name;
        audio.src = `/api/v1/${of('recordings', id, 'files', file.name)}`;
      }
      audio.hidden = !file;
      say(none, file ? '' : 'Nothing to be played yet: make an M4A of it.');
      const first = told.sessions[0];
      rows(chapters, first?.marks ?? [], mark => `${mark.seconds} ${mark.title}`, mark => ({
        element: h('li', {}, h('button', { class: 'quiet', onclick: () => { audio.currentTime = mark.seconds - first.starts_at; } }, `${place(mark.seconds - first.starts_at)} ${mark.title}`)),
        update() {},
      }));
    },
  };
}

function fileRow(id) {
  return file => ({
    element: h('li', { class: 'bar' }, h('span', {}, `${file.name} · ${size(file.bytes)}`),
      h('a', { class: 'button', download: file.name, 'aria-label': `Download ${file.name}`, href: `/api/v1/${of('recordings', id, 'files', file.name)}` }, 'Download')),
    update() {},
  });
}

function jobRow(first) {
  const [words, bar] = [h('span'), h('progress', { max: 1, 'aria-label': `Progress of the ${first.kind}` })];
  const cancel = h('button', { class: 'quiet', 'aria-label': `Cancel the ${first.kind}`, onclick: () => order('DELETE', of('jobs', first.id), undefined, 'It is being cancelled.') }, 'Cancel');
  return {
    element: h('li', { class: 'job' }, words, bar, cancel),
    update(job) {
      const over = Boolean(job.over_at);
      say(words, `${job.kind}: ${job.state}${job.message ? `. ${job.message}` : ''}`);
      put(bar, 'value', over ? 1 : job.progress);
      [bar.hidden, cancel.hidden, cancel.disabled] = [over, over, !mayPress()];
    },
  };
}

async function askExport() {
  const loudness = field('Loudness', 'loudness', { type: 'select' });
  loudness.querySelector('select').append(...Object.entries(LOUDNESS).map(([value, label]) => h('option', { value }, label)));
  const boxes = Object.entries(FORMATS).map(([name, label]) =>
    h('label', {}, h('input', { type: 'checkbox', name, checked: name === 'm4a' }), ` ${label}`));
  const told = await form('Export', [h('fieldset', {}, h('legend', {}, 'Files'), boxes), loudness], 'Make the files');
  const formats = Object.keys(FORMATS).filter(name => told?.[name]);
  if (!formats.length) return null;
  return { formats, loudness: told.loudness ? Number(told.loudness) : undefined, force: true };
}

function buttons(id, again) {
  const path = (...word) => of('recordings', id, ...word);
  const job = (word, label) => h('button', { onclick: () => order('POST', path(word), {}, `${label} is begun.`).then(again) }, label);
  const make = h('button', { class: 'main', onclick: async () => {
    const wanted = await askExport();
    if (wanted) order('POST', path('exports'), wanted, 'The files are being made.').then(again);
  } }, 'Export');
  let kept = false;
  const keep = h('button', { onclick: () => order('POST', path('keep'), { keep: !kept }, kept ? 'It may be deleted by itself again.' : 'It is kept.').then(again) }, 'Keep');
  const gone = h('button', { class: 'danger', onclick: async () => {
    const text = 'Everything of it is deleted: what was received, the finished files and the exports. This cannot be undone.';
    if (!await confirm('Delete the recording?', text, 'Delete it')) return;
    try {
      await api('DELETE', path());
      location.hash = '#/recordings';
    } catch { order('DELETE', path()); }
  } }, 'Delete');
  const all = [make, job('repair', 'Repair'), job('verify', 'Verify'), keep, gone];
  return {
    element: h('div', { class: 'buttons' }, all),
    update(told) {
      kept = told.kept;
      say(keep, kept ? 'Keep no longer' : 'Keep');
      for (const one of all) one.disabled = !mayPress();
      gone.disabled ||= kept || told.state === 'live';
    },
  };
}

export function recording(signal, id) {
  const [title, state] = [h('span'), h('span', { class: 'state' })];
  const [words, fault] = [h('p', { class: 'sub' }), h('p', { class: 'fault', role: 'alert' })];
  const [files, jobs, line, heard] = [h('ul', { class: 'outputs' }), h('ul', { class: 'outputs' }), timeline(), sound(id)];
  let working = '';
  const read = async () => {
    if (signal.aborted) return;
    try {
      const told = await api('GET', of('recordings', id));
      const [word, kind] = stateOf(told);
      say(title, told.title || told.show);
      say(state, word);
      put(state, 'data-kind', kind);
      say(words, [told.host && `Host: ${told.host}`, day(told.started_at), length(told.seconds), size(told.bytes), missing(told), told.kept && 'kept'].filter(Boolean).join(' · '));
      rows(files, told.files, one => `${one.name} ${one.bytes}`, fileRow(id));
      heard.update(told);
      row.update(told);
      line.update(await api('GET', of('recordings', id, 'timeline')));
    } catch (problem) {
      say(fault, problem.message);
    }
  };
  const look = async () => {
    if (signal.aborted) return;
    const all = (await api('GET', 'jobs').catch(() => [])).filter(one => one.recording === id);
    rows(jobs, all, one => one.id, jobRow);
    const now = all.filter(one => !one.over_at).map(one => one.id).join(' ');
    if (working && now !== working) read();
    working = now;
    if (now && !signal.aborted) setTimeout(look, LOOK);
  };
  const row = buttons(id, () => { read(); look(); });
  read();
  look();
  const card = (name, label, ...inside) => h('section', { class: 'card', 'aria-labelledby': name }, h('h2', { id: name }, label), inside);
  return [h('p', { class: 'back' }, h('a', { href: '#/recordings' }, '← All recordings')),
    h('div', { class: 'head' }, h('div', {}, h('h1', {}, title, state), words, fault), row.element),
    heard.element, card('time', 'Timeline', line.element), card('files', 'Files', jobs, files)];
}
