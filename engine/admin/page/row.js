// One plugin in the list. What never comes here: the order of rows, and which of them are seen.

import { now } from './api.js';
import { drawSparkline, drawTimeline, sparklineWords, timelineWords, wordsAt } from './draw.js';
import { element, length, mark, plain, relative, say, sayTime, took } from './format.js';
import { AILING, BROKEN, FINE } from './model.js';

/** A sign for each state and health, for those who do not see the colour. */
export const SIGNS = {
  Enabled: '✓', Running: '▸', Error: '✕', Loaded: '◐', Disabled: '–', Unloaded: '○',
  healthy: '✓', degraded: '!', unhealthy: '✕', unknown: '?',
};
const TROUBLE_NAMES = { [FINE]: 'fine', [AILING]: 'ailing', [BROKEN]: 'broken' };

/** A name with its sign. */
export function badge(kind) {
  return element('span', { className: `badge ${kind}` },
    element('span', { className: 'sign', 'aria-hidden': 'true' }), element('span', { className: 'word' }));
}

/** Makes a badge say a state or a health. */
export function sayBadge(target, name) {
  mark(target, 'data-value', name);
  say(target.firstChild, SIGNS[name] ?? '?');
  say(target.lastChild, plain(name));
}

/** An error on one line. */
export function errorLine(error) {
  const place = error.location ? ` (${error.location})` : '';
  const row = error.consecutive > 1 ? ` · ${error.consecutive} in a row` : '';
  return plain(`${error.kind}: ${error.message}${place}${row}`);
}

/** The words for the next update of a plugin. */
export function nextWords({ now: snapshot }, ms) {
  const left = ms - now();
  const what = snapshot.state === 'Error' ? 'restart ' : snapshot.error ? 'retry ' : '';
  return left > 0 ? `${what}in ${length(left)}` : `${what}due`;
}

export class Row {
  /** Whether it is in view, or nearly. Only then does it say anything. */
  visible = false;
  /** Since when it is not. */
  leftAt = 0;
  /** Whether its track has been asked for. */
  asked = false;
  /** What the timeline shows, in milliseconds since 1970. */
  span = { start: 0, end: 1 };
  #parts = null;

  constructor(plugin, onOpen) {
    this.plugin = plugin;
    const { id } = plugin;
    this.button = element('button', {
      type: 'button', className: 'open', textContent: id, 'aria-expanded': 'false', 'aria-controls': 'detail',
    });
    this.button.addEventListener('click', () => onOpen(id));
    this.root = element('div', { role: 'row', className: 'row', 'data-id': id },
      element('span', { role: 'cell', className: 'name' }, this.button));
    // The button covers the row, so that a click anywhere opens it; this is for what lies above the button.
    this.root.addEventListener('click', (event) => {
      if (event.target.closest('canvas')) onOpen(id);
    });
  }

  #build() {
    const cell = (className, ...children) => element('span', { role: 'cell', className }, ...children);
    const parts = {
      version: element('span', { className: 'version' }),
      state: badge('state'),
      since: element('time', { className: 'since' }),
      health: badge('health'),
      reason: element('span', { className: 'reason' }),
      next: element('time'),
      last: element('time'),
      failures: element('span'),
      timeline: element('canvas', { className: 'timeline', role: 'img' }),
      sparkline: element('canvas', { className: 'sparkline', role: 'img' }),
      took: element('span', { className: 'took' }),
      error: element('span', { role: 'cell', className: 'error', hidden: true }),
    };
    this.root.firstChild.append(parts.version);
    this.root.append(
      cell('in-state', parts.state, parts.since),
      cell('in-health', parts.health, parts.reason),
      cell('next', parts.next),
      cell('last', parts.last),
      cell('failures', parts.failures),
      cell('in-timeline', parts.timeline),
      cell('durations', parts.sparkline, parts.took),
      parts.error,
    );
    parts.timeline.addEventListener('pointermove', (event) => {
      const { start, end } = this.span;
      const share = event.offsetX / parts.timeline.clientWidth;
      parts.timeline.title = wordsAt(this.plugin.track, this.plugin.now.state, start, end, share);
    });
    return parts;
  }

  /** Says what is known of the plugin. `spanMs` is how long the timeline is that `draw` draws. */
  render(spanMs) {
    this.#parts ??= this.#build();
    const parts = this.#parts;
    const { plugin } = this;
    const snapshot = plugin.now;
    const time = now();
    mark(this.root, 'data-trouble', TROUBLE_NAMES[plugin.trouble]);
    mark(this.root, 'data-state', snapshot.state);
    say(parts.version, snapshot.version ? plain(snapshot.version) : '');
    sayBadge(parts.state, snapshot.state);
    // Of what alternates with each update, the columns of times tell more.
    parts.since.hidden = snapshot.state === 'Enabled' || snapshot.state === 'Running';
    sayTime(parts.since, snapshot.since, (ms) => length(Math.floor((time - ms) / 1000) * 1000));
    sayBadge(parts.health, snapshot.health);
    say(parts.reason, plain(snapshot.health_reason ?? ''));
    mark(parts.reason, 'title', snapshot.health_reason ? plain(snapshot.health_reason) : null);
    this.#sayNext(parts.next);
    sayTime(parts.last, snapshot.last_update, (ms) => relative(ms, time));
    say(parts.failures, plugin.failed.toLocaleString('en'));
    parts.error.hidden = !snapshot.error;
    say(parts.error, snapshot.error ? errorLine(snapshot.error) : '');
    say(parts.took, took(plugin.track.durations().at(-1)?.us));
    this.span = { start: time - spanMs, end: time };
  }

  #sayNext(target) {
    const { in_flight: call, next_update: next } = this.plugin.now;
    mark(target, 'data-busy', call ? (call.abandoned ? 'abandoned' : 'running') : null);
    if (call && !(call.abandoned && next)) {
      const what = `${call.call === 'update' ? '' : `${call.call} `}${call.abandoned ? 'stuck' : 'running'}`;
      sayTime(target, call.since, (ms) => `${what} ${length(now() - ms)}`);
    } else {
      sayTime(target, next, (ms) => nextWords(this.plugin, ms));
    }
  }

  /** Draws what `render` has said the time of. Apart from it, so that all rows are laid out once and not each after the other. */
  draw() {
    const parts = this.#parts;
    const { track, now: { state } } = this.plugin;
    const { start, end } = this.span;
    drawTimeline(parts.timeline, track, state, start, end);
    mark(parts.timeline, 'aria-label', timelineWords(track, state, start, end));
    const durations = track.durations();
    drawSparkline(parts.sparkline, durations);
    mark(parts.sparkline, 'aria-label', sparklineWords(durations));
    mark(parts.sparkline, 'title', sparklineWords(durations));
  }
}
