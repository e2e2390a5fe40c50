// The history of one plugin as a list: newest first, older ones a page at a time, new ones as they come.
// What never comes here: timelines.

import { get, now } from './api.js';
import { count, element, instant, mark, plain, relative, say, sayTime, timeOfDay, took } from './format.js';
import { errorLine, sayBadge, badge } from './row.js';

const PAGE = 50;
/** New entries push out the oldest ones that were not asked for, so that a page left open over night does not grow. */
const LIVE_MAX = 200;
const REFRESH_MS = 250;

export class HistoryView {
  root;
  #id;
  #list = element('ol', { className: 'entries' });
  #older = element('button', { type: 'button', textContent: 'Older' });
  #notable = element('input', { type: 'checkbox' });
  #errors = element('input', { type: 'checkbox' });
  #note = element('p', { className: 'note' });
  #entries = new Map();
  #items = new Map();
  #oldest = null;
  #bound = LIVE_MAX;
  #asked = 0;
  #timer = 0;

  constructor(id) {
    this.#id = id;
    this.#older.addEventListener('click', () => this.#loadOlder());
    this.#errors.addEventListener('change', () => this.load());
    this.#notable.checked = true;
    this.#notable.addEventListener('change', () => this.#lay());
    this.root = element('section', { className: 'history', 'aria-label': `History of ${id}` },
      element('header', {}, element('h3', { textContent: 'History' }),
        element('label', {}, this.#notable, ' fold good updates'),
        element('label', {}, this.#errors, ' errors only')),
      this.#list, this.#note, this.#older);
  }

  /** Loads the newest page. */
  async load() {
    this.#entries.clear();
    this.#oldest = null;
    this.#bound = LIVE_MAX;
    await this.#page();
  }

  /** Takes a live entry. */
  take(entry) {
    if (this.#errors.checked && !entry.error) return;
    this.#entries.set(entry.seq, entry);
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#lay();
    }, REFRESH_MS);
  }

  /** Says the ages anew. */
  tick() {
    const time = now();
    for (const target of this.#list.querySelectorAll('time')) {
      const ms = instant(target.getAttribute('datetime'));
      say(target, `${timeOfDay(ms, time)} · ${relative(ms, time)}`);
    }
  }

  async #loadOlder() {
    this.#bound += PAGE * 4;
    await this.#page();
  }

  async #page() {
    this.#asked += 1;
    const asked = this.#asked;
    const query = new URLSearchParams({ order: 'newest', limit: PAGE });
    if (this.#errors.checked) query.set('errors', 'true');
    if (this.#oldest) query.set('until', this.#oldest);
    mark(this.#older, 'aria-disabled', 'true');
    try {
      const before = this.#entries.size;
      const { entries, marks = [], lost, problem } = await get(`plugins/${encodeURIComponent(this.#id)}/history?${query}`);
      if (asked !== this.#asked) return;
      for (const entry of entries.concat(marks)) this.#entries.set(entry.seq, entry);
      // The last one again stands for "nothing older": the end of the time range is part of it.
      const more = entries.length === PAGE && this.#entries.size > before;
      this.#oldest = entries.at(-1)?.at ?? this.#oldest;
      this.#older.hidden = !more;
      say(this.#note, plain([more ? '' : endWords(this.#entries.size, lost), problem].filter(Boolean).join(' ')));
    } catch (error) {
      if (asked !== this.#asked) return;
      say(this.#note, plain(error.code ? `${error.code}: ${error.message}` : error.message));
    }
    mark(this.#older, 'aria-disabled', null);
    this.#lay();
  }

  #lay() {
    const sorted = [...this.#entries.values()].sort((a, b) => b.seq - a.seq);
    if (sorted.length > this.#bound) {
      for (const entry of sorted.splice(this.#bound)) this.#entries.delete(entry.seq);
      this.#oldest = sorted.at(-1).at;
      this.#older.hidden = false;
      say(this.#note, '');
    }
    const groups = this.#notable.checked ? fold(sorted) : sorted.map((entry) => ({ entry, good: 0 }));
    const kept = new Map();
    const items = groups.map((group) => {
      const { seq } = group.entry;
      const before = this.#items.get(seq);
      const item = before?.good === group.good ? before : { good: group.good, root: itemOf(group) };
      kept.set(seq, item);
      return item.root;
    });
    this.#items = kept;
    const focused = document.activeElement;
    items.forEach((item, i) => {
      if (this.#list.children[i] !== item) this.#list.insertBefore(item, this.#list.children[i] ?? null);
    });
    while (this.#list.children.length > items.length) this.#list.lastElementChild.remove();
    if (focused?.isConnected && this.#list.contains(focused)) focused.focus({ preventScroll: true });
    this.tick();
  }
}

function endWords(size, lost) {
  if (size === 0) return 'No entries.';
  return lost > 0 ? `Nothing older is kept: ${count(lost, 'entry has', 'entries have')} left the history.` : 'Nothing older is kept.';
}

/** What stands between entries, in words. */
function markWords({ mark: kind, updates, count: missing }) {
  switch (kind) {
    case 'folded': return `${count(updates, 'good update')}, of which only sums are kept`;
    case 'gap': return `${count(missing, 'entry is', 'entries are')} missing here`;
    default: return 'Something that this page does not know';
  }
}

/** Folds good updates in a row into one group. The group is known by its oldest entry, so that it stays the same while it grows. */
export function fold(entries) {
  const groups = [];
  for (const entry of entries) {
    const isGood = !entry.error && (entry.mark === 'folded' || entry.cause === 'update_completed' || entry.cause === 'update_started');
    const last = groups.at(-1);
    if (isGood && last?.isGood) {
      last.entry = entry;
      last.good += goodOf(entry);
    } else if (entry.cause !== 'update_started') {
      groups.push({ entry, isGood, newest: entry, good: isGood ? goodOf(entry) : 0 });
    }
  }
  return groups;
}

function goodOf(entry) {
  if (entry.mark) return entry.updates;
  return entry.cause === 'update_completed' ? 1 : 0;
}

function itemOf({ entry, newest, good }) {
  if (good > 0) {
    const when = element('time');
    sayTime(when, newest.at, (ms) => relative(ms, now()));
    return element('li', { className: 'good' }, when,
      element('span', { textContent: good === 1 ? `good update, ${took(newest.duration_us)}` : `${good.toLocaleString('en')} good updates` }));
  }
  const when = element('time');
  sayTime(when, entry.at, (ms) => relative(ms, now()));
  if (entry.mark) return element('li', { className: 'mark', 'data-mark': entry.mark }, when, element('span', { textContent: markWords(entry) }));
  const to = badge('state');
  sayBadge(to, entry.to);
  const cause = plain(entry.cause).replaceAll('_', ' ');
  const length = entry.duration_us === null || entry.duration_us === undefined ? '' : ` after ${took(entry.duration_us)}`;
  const shows = entry.error && entry.cause !== 'update_started';
  return element('li', { className: shows ? 'bad' : '', 'data-cause': entry.cause }, when,
    element('span', { className: 'change' },
      entry.from === entry.to ? null : element('span', { className: 'from', textContent: `${plain(entry.from)} → ` }), to,
      ` ${cause}${length}`, element('span', { className: 'seq', title: `Entry ${entry.seq} of the history, generation ${entry.generation}`, textContent: ` #${entry.seq} gen ${entry.generation}` })),
    shows ? element('p', { className: 'message', textContent: errorLine(entry.error) }) : null);
}
