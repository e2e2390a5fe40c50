// One plugin in full: error, why, figures, history, display, and the commands.
// What never comes here: the list, and when snapshots are asked for.

import { Refusal, get, hasToken, now } from './api.js';
import { CommandBar } from './commands.js';
import { absolute, element, instant, length, mark, plain, plainLines, relative, say, sayTime, took } from './format.js';
import { HistoryView } from './history.js';
import { badge, nextWords, sayBadge } from './row.js';

const WHY_MIN_MS = 1_000;

export class Detail {
  #root = document.getElementById('detail');
  #handlers;
  #plugin = null;
  #parts = null;
  #shownError = '';
  #whyAt = 0;
  #whyTimer = 0;
  #whySeq = -1;
  #displayOf = 0;

  /** `onClose()`; `onSnapshot(snapshot)` after a command; `onToken(refusal)` when a command wants a token. */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  get id() {
    return this.#plugin?.id ?? null;
  }

  /** Shows a plugin. */
  open(plugin) {
    this.#plugin = plugin;
    this.#shownError = '';
    this.#whySeq = -1;
    this.#whyAt = -Infinity;
    this.#displayOf += 1;
    this.#parts = this.#build(plugin.id);
    this.#root.hidden = false;
    this.#root.scrollTop = 0;
    document.body.classList.add('with-detail');
    this.render();
    this.#parts.history.load();
    this.#parts.heading.focus();
  }

  close() {
    clearTimeout(this.#whyTimer);
    this.#whyTimer = 0;
    this.#displayOf += 1;
    this.#plugin = null;
    this.#parts = null;
    this.#root.hidden = true;
    this.#root.replaceChildren();
    document.body.classList.remove('with-detail');
  }

  /** Has the history asked for anew. */
  reload() {
    this.#parts?.history.load();
  }

  /** Takes a live entry of the history. */
  takeTransition(entry) {
    if (entry.id === this.id) this.#parts.history.take(entry);
  }

  /** The plugin is not known any more, or is again. */
  setPlugin(plugin) {
    if (plugin) this.#plugin = plugin;
    this.render();
  }

  /** Says what is known now. */
  render() {
    if (!this.#plugin) return;
    const { now: snapshot } = this.#plugin;
    const parts = this.#parts;
    const time = now();
    sayBadge(parts.state, snapshot.state);
    sayBadge(parts.health, snapshot.health);
    say(parts.reason, plain(snapshot.health_reason ?? ''));
    parts.since.hidden = snapshot.state === 'Enabled' || snapshot.state === 'Running';
    sayTime(parts.since, snapshot.since, (ms) => `since ${relative(ms, time).replace(/ ago$/, '')}`);
    this.#sayError(snapshot.error);
    this.#sayFigures(snapshot, time);
    parts.commands.render(snapshot);
    parts.history.tick();
    if (this.#whySeq !== this.#plugin.seq) this.#askWhy();
  }

  #build(id) {
    const heading = element('h2', { id: 'detail-id', tabIndex: -1, textContent: id });
    const close = element('button', { type: 'button', className: 'close', 'aria-label': `Close ${id}`, title: 'Close (Esc)', textContent: '×' });
    close.addEventListener('click', () => this.#handlers.onClose());
    const parts = {
      heading,
      state: badge('state'),
      health: badge('health'),
      since: element('time'),
      reason: element('span', { className: 'reason' }),
      error: element('section', { className: 'fault', 'aria-label': 'Error', hidden: true }),
      why: element('ol', { className: 'why' }),
      figures: element('dl', { className: 'figures' }),
      view: element('div', { className: 'view' }),
      commands: new CommandBar(id, {
        onSnapshot: this.#handlers.onSnapshot,
        onToken: this.#handlers.onToken,
      }),
      history: new HistoryView(id),
    };
    const display = element('details', { className: 'display' }, element('summary', { textContent: 'Display' }), parts.view);
    display.addEventListener('toggle', () => { if (display.open) this.#loadDisplay(id, parts.view); });
    this.#root.replaceChildren(
      element('header', {}, heading, close),
      element('p', { className: 'standing' }, parts.state, parts.since, parts.health, parts.reason),
      parts.commands.root,
      parts.error,
      element('h3', { textContent: 'Why' }), parts.why,
      parts.history.root,
      display,
      element('details', { className: 'all-figures', open: true }, element('summary', { textContent: 'Figures' }), parts.figures),
    );
    return parts;
  }

  #sayError(error) {
    const { error: root } = this.#parts;
    root.hidden = !error;
    const told = JSON.stringify(error);
    if (told === this.#shownError || !error) return;
    this.#shownError = told;
    const open = root.querySelector('details')?.open ?? false;
    const when = element('time');
    sayTime(when, error.at, () => absolute(error.at).split(' · ')[0]);
    const line = (name, ...value) => [element('dt', { textContent: name }), element('dd', {}, ...value)];
    root.replaceChildren(
      element('h3', { textContent: `Error: ${plain(error.kind)}` }),
      element('p', { className: 'message', textContent: plainLines(error.message) }),
      element('dl', {},
        ...(error.type ? line('Type', plain(error.type)) : []),
        ...(error.location ? line('Location', element('code', { textContent: plain(error.location) })) : []),
        ...line('At', when),
        ...line('In a row', String(error.consecutive)),
        ...line('Then', error.recoverable ? 'it is tried again' : 'not tried again by itself')),
    );
    if (error.backtrace) {
      root.append(element('details', { open }, element('summary', { textContent: 'Backtrace' }),
        element('pre', { textContent: plainLines(error.backtrace) })));
    }
  }

  #sayFigures(snapshot, time) {
    const list = this.#parts.figures;
    const rows = figures(this.#plugin, snapshot, time);
    const made = rows.map(([name]) => name).join('\n');
    if (list.dataset.made !== made) {
      list.dataset.made = made;
      list.replaceChildren(...rows.flatMap(([name]) => [element('dt', { textContent: name }), element('dd')]));
    }
    list.querySelectorAll('dd').forEach((target, i) => {
      const [, words, at] = rows[i];
      say(target, plain(words));
      mark(target, 'title', at ? absolute(at) : null);
    });
  }

  /** Asks why it is so, at most once a second, and keeps what it said if there is no answer. */
  #askWhy() {
    if (this.#whyTimer) return;
    const wait = Math.max(0, this.#whyAt + WHY_MIN_MS - performance.now());
    this.#whyTimer = setTimeout(async () => {
      this.#whyTimer = 0;
      this.#whyAt = performance.now();
      if (!this.#plugin) return;
      const { id, seq } = this.#plugin;
      this.#whySeq = seq;
      let lines;
      try {
        ({ lines } = await get(`plugins/${encodeURIComponent(id)}/why`));
      } catch (error) {
        if (!(error instanceof Refusal)) return;
        lines = [error.message];
      }
      if (this.id !== id) return;
      const told = lines.map(plain);
      const items = [...this.#parts.why.children];
      if (told.length === items.length) items.forEach((item, i) => say(item, told[i]));
      else this.#parts.why.replaceChildren(...told.map((text) => element('li', { textContent: text })));
    }, wait);
  }

  /** Asks for the display, which calls the plugin: only when a person wants to see it. */
  async #loadDisplay(id, target) {
    this.#displayOf += 1;
    const asked = this.#displayOf;
    const again = element('button', { type: 'button', textContent: 'Show anew' });
    again.addEventListener('click', () => this.#loadDisplay(id, target));
    target.replaceChildren(element('p', { textContent: 'Asking the plugin…' }));
    let shown;
    try {
      const path = `plugins/${encodeURIComponent(id)}/display`;
      shown = displayOf(path, await get(path), id);
    } catch (error) {
      shown = element('p', { className: 'refusal', textContent: refusalWords(error) });
    }
    if (asked === this.#displayOf) target.replaceChildren(shown, again);
  }
}

/** What a display is shown as: text as text, everything else in a frame that may do nothing. */
function displayOf(path, { kind, text }, id) {
  if (kind === 'empty') return element('p', { textContent: 'The plugin shows nothing.' });
  if (kind === 'text' || kind === 'json') return element('pre', { textContent: plainLines(text ?? '') });
  if (hasToken() && location.hostname !== 'localhost' && !/^127\.|^\[::1\]$/.test(location.hostname)) {
    // A frame cannot send the token, without which this address shows nothing.
    return element('p', { textContent: `A display of kind ${plain(kind)} is shown only at a loopback address.` });
  }
  const frame = element('iframe', { sandbox: '', title: `Display of ${id}`, referrerPolicy: 'no-referrer', loading: 'eager' });
  frame.setAttribute('sandbox', '');
  frame.src = path;
  return frame;
}

/** A refusal in words, with its code. */
export function refusalWords(error) {
  return plain(error.code ? `${error.code}: ${error.message}` : error.message);
}

function figures(plugin, snapshot, time) {
  const at = (text) => (text ? relative(instant(text), time) : '–');
  const call = snapshot.in_flight;
  const usage = snapshot.usage?.updates;
  const percentiles = usage?.percentiles;
  const n = (value) => (value ?? 0).toLocaleString('en');
  return [
    ['Next update', snapshot.next_update ? nextWords(plugin, instant(snapshot.next_update)) : '–', snapshot.next_update],
    ['In flight', call ? `${call.call}, ${length(time - instant(call.since))}${call.abandoned ? ', past its deadline' : ''}` : '–', call?.since],
    ['Last update', at(snapshot.last_update), snapshot.last_update],
    ['Last success', at(snapshot.last_success), snapshot.last_success],
    ['Interval', length(snapshot.interval_ms)],
    ['Timeout', length(snapshot.timeout_ms)],
    ['Updates', n(snapshot.updates)],
    ['Calls', `${n(snapshot.calls)}: ${n(snapshot.successes)} good, ${n(snapshot.failures)} with an error, `
      + `${n(snapshot.timeouts)} timed out, ${n(snapshot.panics)} panicked`],
    ['Late, skipped', `${n(snapshot.late)}, ${n(snapshot.skipped)}`],
    ...(usage ? [['Updates took', percentiles
      ? `half up to ${took(percentiles.p50_us)}, 99 in 100 up to ${took(percentiles.p99_us)}, at most ${took(usage.wall_max_us)}`
      : `${took(usage.wall_mean_us)} on average, at most ${took(usage.wall_max_us)}`]] : []),
    ['Breaker', snapshot.breaker],
    ['Generation', `${snapshot.generation}${snapshot.version ? `, version ${snapshot.version}` : ''}`],
    ['File', snapshot.file ?? '–'],
    ['SHA-256', snapshot.sha256 ?? '–'],
  ];
}
