// Being connected: one session after the other, with back-off between them. A session asks who the engine is, has the plugins loaded,
// follows events and history, and asks after the engine's own state every few seconds; whatever of that fails ends it.
// What never comes here: what is done with the answers, and any element.

import { Refusal, get } from './api.js';
import { readStream } from './stream.js';

const POLL_MS = 5_000;
const RETRY_FIRST_MS = 300;
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** A session that lasted this long was a good one: the next back-off begins anew. */
const GOOD_SESSION_MS = 10_000;
/** Catching up on more than this is slower than starting over. */
const CATCH_UP_MAX = 20_000;

/**
 * `status` is `connecting`, `live`, `lost` (with `retryAt` and `problem`), `locked` (the engine wants a token, or another one) or
 * `paused`.
 */
export class Connection {
  status = 'connecting';
  retryAt = null;
  problem = null;
  #handlers;
  #session = new AbortController();
  #follow = new AbortController();
  #wake = () => {};
  #paused = false;
  #startedAt = null;
  #after = 0;
  #lastEventId = '';

  /**
   * `onEngine(engine)`, `onRestart()` when the engine is another process or there is too much to catch up on, `onPoll(answers)`,
   * `load()` awaited at the start of each session, `onEvent(event)`, `onLostEvents()`, `onTransition(entry)`, `onGap()` when entries
   * were lost, `followed()` the ids whose history is followed or `null` for all, `onStatus()`.
   */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  async run() {
    let delay = RETRY_FIRST_MS;
    for (;;) {
      if (this.#paused) await this.#sleep(null);
      this.#set(this.status === 'lost' ? 'lost' : 'connecting');
      const begunAt = performance.now();
      this.#session = new AbortController();
      let problem = 'the engine has ended the connection';
      try {
        await this.#oneSession(this.#session);
      } catch (error) {
        problem = error;
      }
      this.#session.abort();
      if (this.#paused) continue;
      if (problem instanceof Refusal && problem.status === 401) {
        this.#set('locked', problem.message);
        await this.#sleep(null);
        continue;
      }
      if (performance.now() - begunAt > GOOD_SESSION_MS) delay = RETRY_FIRST_MS;
      // What ends once and is there again at once is not worth a banner.
      const status = delay === RETRY_FIRST_MS ? 'connecting' : 'lost';
      const jittered = delay * (0.8 + 0.4 * Math.random());
      this.retryAt = Date.now() + jittered;
      this.#set(status, problem instanceof Error ? problem.message : problem);
      await this.#sleep(jittered);
      delay = Math.min(Math.max(delay * 2, RETRY_MS), RETRY_MAX_MS);
    }
  }

  /** Tries now what waits for its time, for a token or for `pause(false)`. */
  retryNow() {
    this.#wake();
  }

  /** Something else had no answer: the session is as good as over. */
  check(problem) {
    if (this.status === 'live') this.#session.abort(problem);
  }

  /** Nobody looks: gives the connections back, of which a browser has only six for all pages of one engine. */
  pause(paused) {
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) {
      this.#session.abort();
      this.#set('paused');
    }
    this.#wake();
  }

  /** What `followed` returns has changed. */
  refollow() {
    this.#follow.abort();
  }

  #set(status, problem = null) {
    if (status === 'connecting' && this.#paused) return;
    this.status = status;
    this.problem = problem ?? (status === 'lost' ? this.problem : null);
    this.#handlers.onStatus();
  }

  #sleep(ms) {
    return new Promise((resolve) => {
      const timer = ms === null ? 0 : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #oneSession(session) {
    const { signal } = session;
    const engine = await get('engine');
    const instance = `${engine.pid} ${engine.started_at}`;
    const restarted = this.#startedAt !== null && instance !== this.#startedAt;
    if (restarted || engine.last_seq - this.#after > CATCH_UP_MAX) {
      if (this.#startedAt !== null) this.#handlers.onRestart(restarted);
      this.#after = engine.last_seq;
      if (restarted) this.#lastEventId = '';
    }
    if (this.#startedAt === null) this.#after = engine.last_seq;
    this.#startedAt = instance;
    this.#handlers.onEngine(engine);
    await this.#handlers.load();
    await this.#poll(engine);
    if (signal.aborted) return;
    this.#set('live');
    const parts = [this.#followEvents(signal), this.#followHistory(signal), this.#keepPolling(signal)];
    try {
      await Promise.race(parts);
    } finally {
      session.abort();
      await Promise.allSettled(parts);
    }
  }

  async #poll(engine) {
    const [told, liveness, ready] = await Promise.all([
      engine ?? get('engine'),
      get('admin/liveness'),
      get('readyz', { alsoGood: [503] }),
    ]);
    this.#handlers.onPoll({ engine: told, liveness, ready });
  }

  async #keepPolling(signal) {
    while (!signal.aborted) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, POLL_MS);
        signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
      });
      if (!signal.aborted) await this.#poll();
    }
  }

  #followEvents(signal) {
    return readStream('events', {
      lastId: this.#lastEventId,
      signal,
      onEvent: ({ event, data, id }) => {
        if (id) this.#lastEventId = id;
        if (event === 'lost') this.#handlers.onLostEvents();
        else this.#handlers.onEvent(JSON.parse(data));
      },
    });
  }

  async #followHistory(signal) {
    while (!signal.aborted) {
      this.#follow = new AbortController();
      const ids = this.#handlers.followed();
      const query = new URLSearchParams({ follow: 'true', after: this.#after });
      if (ids) query.set('id', ids.join(','));
      const { signal: changed } = this.#follow;
      try {
        await readStream(`history?${query}`, {
          signal: AbortSignal.any([signal, changed]),
          onEvent: ({ event, data }) => this.#take(event, JSON.parse(data)),
        });
      } catch (error) {
        if (!changed.aborted) throw error;
      }
      if (!changed.aborted) return;
    }
  }

  #take(event, data) {
    if (event === 'lost') {
      this.#handlers.onGap();
    } else if (event === 'transition') {
      this.#after = Math.max(this.#after, data.seq);
      this.#handlers.onTransition(data);
    }
  }
}
