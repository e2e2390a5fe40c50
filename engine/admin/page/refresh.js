// What is asked for, and how often: snapshots of plugins of which something was heard, all of them now and then, and the history of
// the rows in view. Everything is bounded, so that a page costs the engine the same whatever its plugins do.
// What never comes here: any element.

import { Refusal, get, now } from './api.js';

/** After something was heard of a plugin, others have so long to be heard of too. */
const GATHER_MS = 400;
/** So many plugins are asked after one by one; more of them with one request for all. */
const SINGLE_MAX = 6;
const ALL_MS = 5_000;
/** All of many plugins is asked for less often: a share of so much of the time goes into it. */
const ALL_SHARE = 20;
/** How many entries a timeline begins with: each update is two. */
const TRACK_LIMIT = 1_000;
const TRACKS_AT_ONCE = 3;
/** A row that has been out of view for so long gives its track back. */
const TRACK_KEPT_MS = 120_000;

export class Refresh {
  #model;
  #list;
  #onChange;
  #onProblem;
  #heard = new Set();
  #gathering = 0;
  #allAt = 0;
  #allTookMs = 0;
  #loading = null;
  #tracksLoading = 0;

  /** `onChange(ids)` after snapshots were taken, with `null` for all; `onProblem(error)`. */
  constructor(model, list, { onChange, onProblem }) {
    this.#model = model;
    this.#list = list;
    this.#onChange = onChange;
    this.#onProblem = onProblem;
  }

  /** Asks for all plugins now. */
  async all() {
    this.#loading ??= this.#loadAll().finally(() => { this.#loading = null; });
    await this.#loading;
  }

  async #loadAll() {
    this.#heard.clear();
    const begunAt = performance.now();
    const { plugins } = await get('plugins');
    this.#model.takeAll(plugins);
    this.#allAt = performance.now();
    this.#allTookMs = this.#allAt - begunAt;
    this.#onChange(null);
  }

  /** Something was heard of a plugin that only its snapshot tells in full. */
  hear(id) {
    this.#heard.add(id);
    this.#gathering ||= setTimeout(() => this.#ask(), GATHER_MS);
  }

  /** Asks for all plugins if it is time, and forgets the history of rows long out of view. */
  tick() {
    const period = Math.max(ALL_MS, this.#allTookMs * ALL_SHARE);
    if (performance.now() - this.#allAt >= period) this.all().catch(this.#onProblem);
    this.#forgetTracks();
    this.tracks();
  }

  async #ask() {
    this.#gathering = 0;
    const ids = [...this.#heard];
    const early = performance.now() - this.#allAt < this.#allTookMs * ALL_SHARE;
    try {
      if (ids.length <= SINGLE_MAX) {
        this.#heard.clear();
        await Promise.all(ids.map((id) => this.one(id)));
        this.#onChange(ids);
      } else if (early) {
        // Too many to ask one by one, too soon to ask for all: what the history said of them stands until then.
        this.#gathering = setTimeout(() => this.#ask(), GATHER_MS);
      } else {
        await this.all();
      }
    } catch (error) {
      this.#onProblem(error);
    }
  }

  /** Asks for one plugin. One that is not known any more is forgotten. */
  async one(id) {
    try {
      this.#model.take(await get(`plugins/${encodeURIComponent(id)}`));
    } catch (error) {
      if (!(error instanceof Refusal && error.status === 404)) throw error;
      this.#model.plugins.delete(id);
    }
  }

  /** Asks for the history of rows in view that have none. */
  tracks() {
    for (const row of this.#list.visible()) {
      if (this.#tracksLoading >= TRACKS_AT_ONCE) return;
      if (!row.asked) this.#loadTrack(row);
    }
  }

  #forgetTracks() {
    for (const row of this.#list.rows()) {
      if (row.asked && !row.visible && performance.now() - row.leftAt > TRACK_KEPT_MS) {
        row.asked = false;
        row.plugin.track.clear();
      }
    }
  }

  async #loadTrack(row) {
    row.asked = true;
    this.#tracksLoading += 1;
    const { id, track } = row.plugin;
    const since = now() - this.#list.spanMs;
    const query = new URLSearchParams({ since: new Date(since).toISOString(), order: 'newest', limit: TRACK_LIMIT });
    try {
      const { entries } = await get(`plugins/${encodeURIComponent(id)}/history?${query}`);
      const whole = entries.length < TRACK_LIMIT;
      track.load(entries, whole ? since : Date.parse(entries.at(-1).at));
      this.#list.touch(id);
    } catch (error) {
      row.asked = false;
      this.#onProblem(error);
      return;
    } finally {
      this.#tracksLoading -= 1;
    }
    this.tracks();
  }
}
