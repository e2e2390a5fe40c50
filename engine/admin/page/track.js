// What a timeline and a sparkline are drawn from: the transitions of one plugin, as far back as they are known.
// What never comes here: drawing.

import { instant } from './format.js';

/** Two entries for each update of 20 a minute over an hour, and more than an hour of anything slower. */
const ENTRIES_MAX = 2_400;
const DURATIONS_MAX = 40;

export class Track {
  #entries = [];
  /** From when on, in milliseconds since 1970, nothing is missing; `null` before anything was loaded. */
  knownFrom = null;

  get entries() {
    return this.#entries;
  }

  /** Adds an entry that is told live. */
  add(entry) {
    const last = this.#entries.at(-1);
    const point = pointOf(entry);
    if (!last || point.seq > last.seq) {
      this.#entries.push(point);
      this.#bound();
    } else {
      this.#merge([point]);
    }
  }

  /** Adds what the engine has kept, in any order. `from` is from when on nothing is missing then. */
  load(entries, from) {
    this.#merge(entries.map(pointOf));
    this.knownFrom = this.knownFrom === null ? from : Math.min(this.knownFrom, from);
    this.#bound();
  }

  /** Forgets everything. */
  clear() {
    this.#entries = [];
    this.knownFrom = null;
  }

  #merge(points) {
    const bySeq = new Map(this.#entries.map((point) => [point.seq, point]));
    for (const point of points) bySeq.set(point.seq, point);
    this.#entries = [...bySeq.values()].sort((a, b) => a.seq - b.seq);
  }

  #bound() {
    // Some at a time, so that not every new entry moves all others.
    if (this.#entries.length <= ENTRIES_MAX + 200) return;
    this.#entries = this.#entries.slice(-ENTRIES_MAX);
    this.knownFrom = Math.max(this.knownFrom ?? 0, this.#entries[0].at);
  }

  /**
   * What there was between two times, oldest first: `{ state, from, to }`, without gaps; `state` is `null` where it is not known.
   * `now` is the state at the end, for a plugin of which nothing else is known.
   */
  segments(start, end, now) {
    const entries = this.#entries;
    const first = entries.findIndex((point) => point.at > start);
    const before = first < 0 ? entries.at(-1) : entries[first - 1];
    let state = before?.to ?? (first < 0 ? now : entries[first].from);
    let from = start;
    const segments = [];
    const push = (to, next) => {
      if (to > from) segments.push({ state, from, to });
      [from, state] = [Math.max(to, from), next];
    };
    if (this.knownFrom !== null && this.knownFrom > start && !before) {
      const next = state;
      state = null;
      push(Math.min(this.knownFrom, end), next);
    }
    for (let i = first; i >= 0 && i < entries.length && entries[i].at < end; i += 1) {
      // What leads from another state than the last one came after something that nobody could write down, such as a kill.
      if (entries[i].from !== state) state = null;
      if (entries[i].to !== state) push(entries[i].at, entries[i].to);
    }
    push(end, state);
    return segments;
  }

  /** The entries with an error between two times. */
  errors(start, end) {
    return this.#entries.filter((point) => point.error && point.at >= start && point.at <= end);
  }

  /** How long the last updates took in microseconds, oldest first, and whether they went well. */
  durations() {
    const found = [];
    for (let i = this.#entries.length - 1; i >= 0 && found.length < DURATIONS_MAX; i -= 1) {
      const { cause, us, error } = this.#entries[i];
      const isUpdate = cause.startsWith('update_') || cause === 'failed_permanently';
      if (us !== null && isUpdate) found.push({ us, failed: error !== null });
    }
    return found.reverse();
  }
}

/** The part of an entry that is kept. An error that an update carries on from the one before is not one of its own. */
function pointOf(entry) {
  const own = entry.error && entry.cause !== 'update_started' && entry.cause !== 'update_completed';
  return {
    seq: entry.seq,
    at: instant(entry.at),
    from: entry.from,
    to: entry.to,
    cause: entry.cause,
    error: own ? `${entry.error.kind}: ${entry.error.message}` : null,
    us: entry.duration_us ?? null,
  };
}
