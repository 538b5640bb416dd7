// The daemon's interface: docs/api.md.

/** What the daemon answers to what it does not do. */
export class Problem extends Error {
  constructor(status, body) {
    super([body.title, body.detail, ...(body.faults ?? []).map(fault => `${fault.message} ${fault.remedy ?? ''}`)]
      .filter(Boolean).join(' '));
    this.status = status;
    this.code = body.code ?? 'none';
  }
}

/** Path of a show or of something of it. */
export const of = (...parts) => parts.map(encodeURIComponent).join('/');

/** Asks the daemon; JSON if it answers with some. */
export async function api(method, path, body, headers = {}) {
  const raw = body instanceof Blob;
  const init = { method, headers: { ...headers }, cache: 'no-store', signal: AbortSignal.timeout(25000) };
  if (body !== undefined) {
    init.body = raw ? body : JSON.stringify(body);
    init.headers['content-type'] = raw ? body.type : 'application/json';
  }
  let answer;
  try {
    answer = await fetch(`/api/v1/${path}`, init);
  } catch {
    throw new Problem(0, { code: 'lost', title: 'The daemon does not answer.' });
  }
  const kind = answer.headers.get('content-type') ?? '';
  const told = kind.includes('json') ? await answer.json() : null;
  if (!answer.ok) {
    if (answer.status === 401 && path !== 'session') window.dispatchEvent(new Event('signed-out'));
    throw new Problem(answer.status, told ?? { title: `The daemon answered ${answer.status}.` });
  }
  return told;
}
