// What is known of the plugins: the last snapshot of each, what the history has said since, and how much trouble that is.
// What never comes here: requests, and any element.

import { Track } from './track.js';
import { instant } from './format.js';

export const STATES = ['Error', 'Running', 'Enabled', 'Loaded', 'Disabled', 'Unloaded'];

/** How much a person is needed: not at all, perhaps soon, now. */
export const FINE = 0;
export const AILING = 1;
export const BROKEN = 2;

/** A plugin that fails now and then is in trouble between its failures, too: it neither jumps about nor is said anew each time. */
const LASTING_MS = 30_000;

/** The end of an update, by its cause: what counts it. */
const UPDATE_ENDS = new Map([
  ['update_completed', 'successes'],
  ['update_failed', 'failures'],
  ['update_timed_out', 'timeouts'],
  ['update_panicked', 'panics'],
  ['failed_permanently', 'failures'],
]);

export class Plugin {
  /** The snapshot, with what the history has said since laid over it. */
  now;
  /** The number of the newest entry of the history that is in `now`. */
  seq = 0;
  track = new Track();
  #startedAt = null;
  #lately = { trouble: FINE, at: -Infinity };

  constructor(snapshot) {
    this.now = { ...snapshot };
    this.seq = snapshot.seq ?? 0;
  }

  get id() {
    return this.now.id;
  }

  get trouble() {
    const { state, health, error, breaker, in_flight: call } = this.now;
    if (state === 'Error' || health === 'unhealthy') return BROKEN;
    const ails = error || health === 'degraded' || breaker === 'open' || breaker === 'half_open' || call?.abandoned;
    return ails ? AILING : FINE;
  }

  /** How many calls failed in whatever way: with an error, by their deadline or in a panic. */
  get failed() {
    const { failures, timeouts, panics } = this.now;
    return failures + timeouts + panics;
  }

  /** The most trouble of the last half minute. */
  get lastingTrouble() {
    const { trouble } = this;
    const time = performance.now();
    if (trouble >= this.#lately.trouble || time - this.#lately.at > LASTING_MS) this.#lately = { trouble, at: time };
    return this.#lately.trouble;
  }

  /** Takes a snapshot. What it says of the state is left out where the history has already said what came after. */
  takeSnapshot(snapshot) {
    if ((snapshot.seq ?? 0) >= this.seq) {
      this.now = { ...snapshot };
      this.seq = snapshot.seq ?? 0;
      return;
    }
    const { state, since, error, in_flight, next_update, last_update, last_success, seq } = this.now;
    this.now = { ...snapshot, state, since, error, in_flight, next_update, last_update, last_success, seq };
  }

  /** Takes an entry of the history. Returns whether there is more to know of it than the entry says. */
  takeTransition(entry) {
    this.track.add(entry);
    if (entry.seq <= this.seq) return false;
    this.seq = entry.seq;
    const { now } = this;
    now.state = entry.to;
    if (entry.from !== entry.to) now.since = entry.at;
    if (entry.cause === 'update_started') {
      this.#startedAt = instant(entry.at);
      now.in_flight = { call: 'update', since: entry.at, abandoned: false };
      now.next_update = null;
      now.calls += 1;
      now.updates += 1;
      return false;
    }
    const counter = UPDATE_ENDS.get(entry.cause);
    if (counter === undefined) return true;
    now[counter] += 1;
    this.#endUpdate(entry, counter === 'successes');
    return counter !== 'successes';
  }

  #endUpdate(entry, wentWell) {
    const { now } = this;
    now.last_update = entry.at;
    now.error = wentWell ? null : entry.error;
    const late = entry.cause === 'update_timed_out';
    now.in_flight = late && now.in_flight ? { ...now.in_flight, abandoned: true } : null;
    if (wentWell) now.last_success = entry.at;
    // A guess until the next snapshot: one interval after the start of a success, or after a failure.
    const from = wentWell ? (this.#startedAt ?? instant(entry.at)) : instant(entry.at);
    const isNext = entry.to === 'Enabled' && now.interval_ms > 0;
    now.next_update = isNext ? new Date(from + now.interval_ms).toISOString() : null;
  }
}

/** All plugins by id. */
export class Model {
  plugins = new Map();

  /** Takes a snapshot and returns its plugin. */
  take(snapshot) {
    const known = this.plugins.get(snapshot.id);
    if (known) {
      known.takeSnapshot(snapshot);
      return known;
    }
    const plugin = new Plugin(snapshot);
    this.plugins.set(snapshot.id, plugin);
    return plugin;
  }

  /** Takes the snapshots of all plugins; those that are not among them are forgotten. */
  takeAll(snapshots) {
    const ids = new Set(snapshots.map((snapshot) => snapshot.id));
    for (const id of this.plugins.keys()) {
      if (!ids.has(id)) this.plugins.delete(id);
    }
    for (const snapshot of snapshots) this.take(snapshot);
  }

  /** Forgets what the history has said: the engine is another process, which may count from the start again. */
  startOver() {
    for (const plugin of this.plugins.values()) {
      plugin.seq = 0;
      plugin.track = new Track();
    }
  }

  /** How many plugins are in each state, and how many are in trouble. */
  counts() {
    const counts = new Map(STATES.map((state) => [state, 0]));
    let trouble = 0;
    for (const plugin of this.plugins.values()) {
      counts.set(plugin.now.state, (counts.get(plugin.now.state) ?? 0) + 1);
      if (plugin.lastingTrouble > FINE) trouble += 1;
    }
    return { counts, trouble, all: this.plugins.size };
  }
}
