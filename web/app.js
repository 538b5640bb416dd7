// Who is signed in, which page is seen, and the page's head.

import { api } from './api.js';
import { h, put, say } from './dom.js';
import { follow, leave, listen, store } from './store.js';
import { signIn } from './pages/signin.js';
import { shows } from './pages/shows.js';
import { create } from './pages/create.js';
import { show } from './pages/show.js';
import { recordings } from './pages/recordings.js';
import { recording } from './pages/recording.js';

const PAGES = [
  [/^$/, shows, 'Shows'], [/^new$/, create, 'New show'], [/^shows\/([^/]+)$/, show, 'Show'],
  [/^recordings$/, recordings, 'Recordings'], [/^recordings\/([^/]+)$/, recording, 'Recording'],
];

const main = document.getElementById('main');
const top = document.getElementById('top');
let page = new AbortController();

function render() {
  page.abort();
  page = new AbortController();
  const path = location.hash.replace(/^#\/?/, '');
  for (const [pattern, build, title] of PAGES) {
    const found = path.match(pattern);
    if (!found) continue;
    const args = found.slice(1).map(decodeURIComponent);
    document.title = `${args[0] ?? title} · spacebridge`;
    main.replaceChildren(...build(page.signal, ...args));
    for (const link of top.querySelectorAll('nav a')) {
      const own = link.getAttribute('href').replace(/^#\/?/, '');
      put(link, 'aria-current', own === path.split('/')[0] || (!own && path.startsWith('shows')) ? 'page' : null);
    }
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
    return;
  }
  location.hash = '#/';
}

function head() {
  const attention = h('span', { class: 'count' });
  listen(() => {
    const count = store.alerts.length;
    say(attention, count ? `${count} need${count === 1 ? 's' : ''} you` : '');
  });
  top.replaceChildren(
    h('a', { class: 'brand', href: '#/' }, h('img', { src: '/web/icon.svg', alt: '', width: 26, height: 26 }), 'spacebridge'),
    h('nav', { 'aria-label': 'Pages' }, h('a', { href: '#/' }, 'Shows'), attention, h('a', { href: '#/recordings' }, 'Recordings')),
    h('span', { class: 'role' }, store.role === 'operate' ? 'may do everything' : 'may look'),
    h('button', { class: 'quiet', onclick: signOut }, 'Sign out'));
}

async function signOut() {
  await api('DELETE', 'session').catch(() => {});
  leave();
  begin();
}

async function begin() {
  try {
    const { role } = await api('GET', 'session');
    await follow(role);
  } catch (problem) {
    if (problem.status === 0) {
      document.getElementById('lost').textContent = 'The daemon does not answer. Trying again…';
      setTimeout(begin, 1000);
      return;
    }
    page.abort();
    top.replaceChildren();
    main.replaceChildren(...signIn(begin));
    return;
  }
  head();
  render();
}

// The address after # names a page, so that the link is followed by hand.
document.querySelector('.skip').addEventListener('click', event => { event.preventDefault(); main.focus(); });
window.addEventListener('hashchange', () => store.role && render());
window.addEventListener('signed-out', () => { if (store.role) { leave(); begin(); } });
begin();
