// Requests to the engine that this page came from, and the token. What never comes here: what an answer means, and any element.

const TOKEN_KEY = 'plugin-engine-token';
const TIMEOUT_MS = 20_000;
/** A difference of clocks up to here may be rounding, since the header that tells the engine's time has seconds only. */
const SKEW_MIN_MS = 2_500;

let token = sessionStorage.getItem(TOKEN_KEY) ?? '';
let skewMs = 0;

/** An answer that says no. `code` is the engine's, such as `PE0712`, or `null`. */
export class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** There was no answer. */
export class Unreachable extends Error {}

export function hasToken() {
  return token !== '';
}

/** Keeps the token for as long as this tab is open. */
export function setToken(text) {
  token = text.trim();
  if (token) sessionStorage.setItem(TOKEN_KEY, token);
  else sessionStorage.removeItem(TOKEN_KEY);
}

/** Now, on the engine's clock. */
export function now() {
  return Date.now() + skewMs;
}

function learnSkew(response, sentAt) {
  const engine = Date.parse(response.headers.get('Date') ?? '');
  if (Number.isNaN(engine)) return;
  const skew = engine + 500 - (sentAt + Date.now()) / 2;
  skewMs = Math.abs(skew) > SKEW_MIN_MS ? skew : 0;
}

function authorized(headers) {
  return token ? { ...headers, Authorization: `Bearer ${token}` } : headers;
}

async function refusalOf(response) {
  let error = null;
  try {
    error = (await response.json()).error;
  } catch {
    // Something between the page and the engine has answered in a language of its own.
  }
  const message = error?.message ?? `the answer was ${response.status} ${response.statusText}`.trim();
  return new Refusal(response.status, error?.code ?? null, message);
}

async function request(path, options) {
  const sentAt = Date.now();
  let response;
  try {
    response = await fetch(path, { cache: 'no-store', credentials: 'omit', redirect: 'error', ...options });
  } catch (error) {
    if (options.signal?.aborted && options.signal.reason?.name === 'AbortError') throw error;
    throw new Unreachable(error.name === 'TimeoutError' ? 'no answer in time' : 'no answer');
  }
  learnSkew(response, sentAt);
  return response;
}

/** The JSON at `path`. An answer with a status of `alsoGood` is one like any other. */
export async function get(path, { alsoGood = [], timeoutMs = TIMEOUT_MS } = {}) {
  const headers = authorized({ Accept: 'application/json' });
  const response = await request(path, { headers, signal: AbortSignal.timeout(timeoutMs) });
  if (!response.ok && !alsoGood.includes(response.status)) throw await refusalOf(response);
  try {
    return await response.json();
  } catch (error) {
    throw new Unreachable(error.name === 'TimeoutError' ? 'no answer in time' : 'the answer ended too early');
  }
}

/** Has the engine do something. No deadline: a reload takes as long as its trial does, and giving up here would not stop it. */
export async function post(path) {
  const response = await request(path, { method: 'POST', headers: authorized({ Accept: 'application/json' }) });
  if (!response.ok) throw await refusalOf(response);
  return response.json();
}

/** The body of a stream of server-sent events. */
export async function openStream(path, lastId, signal) {
  const headers = authorized({ Accept: 'text/event-stream' });
  if (lastId) headers['Last-Event-ID'] = lastId;
  const response = await request(path, { headers, signal });
  if (!response.ok) throw await refusalOf(response);
  return response.body;
}
