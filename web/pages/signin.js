// Where a token is given once.

import { api } from '../api.js';
import { h, say } from '../dom.js';
import { field } from '../ask.js';

export function signIn(done) {
  const fault = h('p', { class: 'fault', role: 'alert' });
  const send = async event => {
    event.preventDefault();
    say(fault, '');
    try {
      await api('POST', 'session', { token: new FormData(event.target).get('token').trim() });
      done();
    } catch (problem) {
      say(fault, problem.message);
    }
  };
  return [h('form', { class: 'card narrow', onsubmit: send },
    h('h1', {}, 'Sign in'),
    field('Token', 'token', { type: 'password', required: true, autocomplete: 'current-password' },
      'spacebridge serve says at its start in which file the token lies. The one beside it, view.token, may only look.'),
    fault,
    h('button', { class: 'main' }, 'Sign in'))];
}
