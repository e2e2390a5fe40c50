// What concerns the engine as a whole: who it is, whether the page is connected to it, and what is wrong with it.
// What never comes here: anything about a single plugin, and requests.

import { now } from './api.js';
import { absolute, count, element, instant, length, mark, plain, say, timeOfDay } from './format.js';

const STATUS_WORDS = {
  connecting: 'Connecting', live: 'Live', lost: 'Not connected', locked: 'Token needed', paused: 'Paused',
};
const LIST_MAX = 8;

export class Banners {
  #root = document.getElementById('banners');
  #shown = new Map();
  #engine = null;
  #heardAt = null;

  /** `onRetry()` when a person wants to be connected now; `onOpen(id)` for a plugin that a banner names. */
  constructor({ onRetry, onOpen }) {
    this.onRetry = onRetry;
    this.onOpen = onOpen;
  }

  /** Takes the answers to what is asked every few seconds. */
  takePoll({ engine, liveness, ready }) {
    this.#engine = engine;
    this.heard();
    this.#sayFacts();
    const stale = liveness.tasks.filter((task) => task.stale && task.kind !== 'plugin');
    this.#show('stale', 'bad', stale.length > 0 && {
      title: `${count(stale.length, 'task')} of the engine ${stale.length === 1 ? 'is' : 'are'} stale: what this page shows may be old`,
      lines: stale.map(staleWords),
    });
    const silent = liveness.tasks.filter((task) => task.stale && task.kind === 'plugin');
    this.#show('silent', 'warn', silent.length > 0 && {
      title: `${count(silent.length, 'plugin')} ${silent.length === 1 ? 'makes' : 'make'} no progress`,
      lines: silent.map(staleWords),
    });
    const { history } = engine;
    this.#show('history', 'bad', engine.state_dir && (history?.problem || history?.durable === false) && {
      title: 'History is not durable: what happens now is lost if the engine ends',
      lines: [history.problem ?? 'the engine does not say why', heldWords(history)],
    });
    this.#show('ready', 'warn', !ready.ready && {
      title: ready.waiting_for?.length ? `Not ready: ${count(ready.waiting_for.length, 'required plugin')} missing` : 'Not ready: plugins are still being loaded',
      lines: (ready.waiting_for ?? []).map(({ id, state, message }) => ({ id, text: ` is ${state}${message ? `: ${message}` : ''}` })),
    });
    const refused = engine.refused ?? [];
    this.#show('refused', 'warn', refused.length > 0 && {
      title: `${count(refused.length, 'plugin file')} refused`,
      lines: refused.map(({ path, code, message }) => `${path}: ${code ? `${code} ` : ''}${message}`),
    });
  }

  /** The engine has just been heard of. */
  heard() {
    this.#heardAt = Date.now();
  }

  /** Says how the connection is. Called each second, too. */
  sayConnection({ status, retryAt, problem }) {
    const root = document.getElementById('connection');
    mark(root, 'data-status', status);
    say(document.getElementById('connection-text'), STATUS_WORDS[status]);
    mark(document.body, 'data-connection', status);
    const left = Math.max(0, (retryAt ?? 0) - Date.now());
    const asOf = this.#heardAt === null ? '' : ` What is shown is ${length(Date.now() - this.#heardAt)} old.`;
    this.#show('lost', 'bad', status === 'lost' && {
      title: 'The connection to the engine is lost',
      lines: [`${problem ?? 'no answer'}.${asOf}`],
      ticking: left > 0 ? `Next try in ${Math.ceil(left / 1000)} s.` : 'Trying now.',
      action: ['Try now', this.onRetry],
    });
  }

  #sayFacts() {
    const { version, pid, started_at: started, plugin_dir: dir, history, stuck_calls: stuck } = this.#engine;
    say(document.getElementById('version'), version ? plain(version) : '');
    const target = document.getElementById('engine-facts');
    const since = instant(started);
    const kept = history?.durable ? 'history durable' : 'history in memory';
    const up = since === null ? '' : `up ${length(Math.floor((now() - since) / 60_000) * 60_000 || now() - since)}`;
    // No banner: calls get stuck and return, and their rows say so; what comes and goes would move everything below it.
    const late = stuck?.length ? `${count(stuck.length, 'call')} past the deadline` : null;
    say(target, [up, `process ${pid}`, dir ? plain(dir) : null, kept, late].filter(Boolean).join(' · '));
    mark(target, 'title', started ? `Started ${absolute(started)}` : null);
  }

  /** Shows a banner, or takes it away where `told` is false. One that says the same as before stays as it is. */
  #show(name, kind, told) {
    const before = this.#shown.get(name);
    if (!told) {
      before?.root.remove();
      this.#shown.delete(name);
      return;
    }
    const key = JSON.stringify([told.title, told.lines.map((line) => line?.text ?? line)]);
    if (before && (before.key === key || name === 'lost')) {
      say(before.root.querySelector('.ticking'), told.ticking ?? '');
      if (name === 'lost') say(before.root.querySelector('li'), plain(told.lines[0]));
      return;
    }
    const root = this.#make(kind, told);
    // Assertive only where what the page shows cannot be trusted any more.
    mark(root, 'role', kind === 'bad' ? 'alert' : 'status');
    if (before) before.root.replaceWith(root);
    else if (kind === 'bad') this.#root.prepend(root);
    else this.#root.append(root);
    this.#shown.set(name, { root, key });
  }

  #make(kind, { title, lines, ticking, action }) {
    const wanted = lines.filter(Boolean);
    const items = wanted.slice(0, LIST_MAX).map((line) => element('li', {}, ...this.#line(line)));
    if (wanted.length > LIST_MAX) items.push(element('li', { textContent: `and ${wanted.length - LIST_MAX} more` }));
    const button = action && element('button', { type: 'button', textContent: action[0] });
    button?.addEventListener('click', action[1]);
    return element('section', { className: `banner ${kind}` },
      element('h2', { textContent: title }), element('ul', {}, ...items),
      element('p', { className: 'ticking', 'aria-live': 'off', textContent: ticking ?? '' }), button);
  }

  #line(line) {
    if (typeof line === 'string') return [plain(line)];
    const link = element('button', { type: 'button', className: 'link', textContent: plain(line.id) });
    link.addEventListener('click', () => this.onOpen(line.id));
    return [link, plain(line.text)];
  }
}

function staleWords({ name, last_tick_at: last, busy_since: busy, stale_reason: reason, ended, restarts }) {
  // Times of day, not ages: a banner that says something else each time would be read aloud each time.
  const at = (time) => timeOfDay(instant(time), now());
  const why = reason && (ended || !last) ? `${reason}; ` : '';
  const seen = last ? `last heard of at ${at(last)}` : 'never heard of';
  const state = ended ? ', ended' : busy ? `, busy since ${at(busy)}` : '';
  return `${name}: ${why}${seen}${state}${restarts > 0 ? `, restarted ${count(restarts, 'time')}` : ''}`;
}

function heldWords({ held }) {
  return held ? `${count(held, 'entry', 'entries')} held in memory until it can be written` : null;
}
