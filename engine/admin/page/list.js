// The list: which rows there are, in which order, which of them are in view, and how often they are drawn.
// What never comes here: requests, and what a row says.

import { mark, say, count, element } from './format.js';
import { FINE, STATES } from './model.js';
import { Row, SIGNS } from './row.js';

const FRAME_MIN_MS = 100;
/** Who asked for less motion gets the same, once a second. */
const CALM_FRAME_MIN_MS = 1_000;
const TICK_MS = 1_000;
const SORT_MIN_MS = 1_000;
/** Rows stay where they are for so long after a person has touched something, so that nobody opens the wrong one. */
const HANDS_OFF_MS = 4_000;

const COLLATOR = new Intl.Collator('en', { numeric: true });
const byId = (a, b) => COLLATOR.compare(a.id, b.id);
const next = (plugin) => (plugin.now.next_update ? Date.parse(plugin.now.next_update) : Infinity);
// A plugin that runs is one that is enabled: a row does not jump for each of its updates.
const stateRank = (plugin) => STATES.indexOf(plugin.now.state === 'Running' ? 'Enabled' : plugin.now.state);
const ORDERS = {
  trouble: (a, b) => b.lastingTrouble - a.lastingTrouble,
  id: () => 0,
  state: (a, b) => stateRank(a) - stateRank(b),
  next: (a, b) => next(a) - next(b) || 0,
  failures: (a, b) => b.failed - a.failed,
};

export class List {
  #model;
  #onOpen;
  #onVisible;
  #rows = new Map();
  #order = [];
  #shown = new Set();
  #dirty = new Set();
  #frame = 0;
  #drawnAt = 0;
  #sortedAt = 0;
  #touchedAt = -Infinity;
  #state = 'all';
  #opened = null;
  #observer;
  #calm = matchMedia('(prefers-reduced-motion: reduce)');
  #rowsRoot = document.getElementById('rows');
  #filter = document.getElementById('filter');
  #sort = document.getElementById('sort');
  #span = document.getElementById('span');

  /** `onOpen(id)` when a row is opened, `onVisible()` when other rows are in view. */
  constructor(model, { onOpen, onVisible }) {
    this.#model = model;
    this.#onOpen = onOpen;
    this.#onVisible = onVisible;
    this.#observer = new IntersectionObserver((entries) => this.#see(entries), { rootMargin: '200px 0px' });
    this.#filter.addEventListener('input', () => this.arrange());
    this.#sort.addEventListener('change', () => this.arrange());
    this.#span.addEventListener('change', () => this.#setSpan());
    for (const name of ['pointermove', 'pointerdown', 'keydown']) {
      this.#rowsRoot.addEventListener(name, () => { this.#touchedAt = performance.now(); }, { passive: true });
    }
    this.#rowsRoot.addEventListener('keydown', (event) => this.#move(event));
    new ResizeObserver(() => this.redraw()).observe(this.#rowsRoot);
    setInterval(() => this.#tick(), TICK_MS);
    this.#makeChips();
    this.#restoreSpan();
  }

  get spanMs() {
    return Number(this.#span.value) * 60_000;
  }

  /** The rows in view. */
  visible() {
    return [...this.#rows.values()].filter((row) => row.visible && this.#shown.has(row.plugin.id));
  }

  row(id) {
    return this.#rows.get(id);
  }

  /** All rows, whether or not they are in view or among those asked for. */
  rows() {
    return this.#rows.values();
  }

  /** Has the history of every row asked for anew. */
  forgetTracks() {
    for (const row of this.#rows.values()) row.asked = false;
  }

  /** Takes plugins that have come or gone. */
  takePlugins() {
    const { plugins } = this.#model;
    const isSame = plugins.size === this.#rows.size && [...plugins].every(([id, plugin]) => this.#rows.get(id)?.plugin === plugin);
    if (!isSame) this.arrange();
    this.redraw();
  }

  /** Has a row drawn anew, if it is in view. */
  touch(id) {
    if (this.#rows.get(id)?.visible) {
      this.#dirty.add(id);
      this.#schedule();
    }
  }

  /** Has all rows in view drawn anew. */
  redraw() {
    for (const row of this.visible()) this.#dirty.add(row.plugin.id);
    this.#schedule();
  }

  /** Marks the row of the plugin that is opened, and no other. */
  setOpened(id) {
    if (this.#opened) this.#markOpened(this.#opened, false);
    this.#opened = id;
    if (id) this.#markOpened(id, true);
  }

  /** Puts the focus on a row. */
  focus(id) {
    this.#rows.get(id)?.button.focus();
  }

  /** Takes plugins that have come or gone, and puts all rows in order. */
  arrange() {
    this.#sortedAt = performance.now();
    for (const [id, row] of this.#rows) {
      const plugin = this.#model.plugins.get(id);
      if (plugin) {
        row.plugin = plugin;
      } else {
        this.#observer.unobserve(row.root);
        row.root.remove();
        this.#rows.delete(id);
        this.#shown.delete(id);
      }
    }
    for (const [id, plugin] of this.#model.plugins) {
      if (!this.#rows.has(id)) this.#rows.set(id, new Row(plugin, this.#onOpen));
    }
    const compare = ORDERS[this.#sort.value];
    const plugins = [...this.#model.plugins.values()].filter((plugin) => this.#fits(plugin));
    plugins.sort((a, b) => compare(a, b) || byId(a, b));
    this.#lay(plugins.map(({ id }) => id));
    if (this.#opened) this.#markOpened(this.#opened, true);
    this.#sayCounts(plugins.length);
  }

  #markOpened(id, opened) {
    const row = this.#rows.get(id);
    if (!row) return;
    mark(row.button, 'aria-expanded', String(opened));
    row.root.classList.toggle('opened', opened);
  }

  #fits({ id, now, lastingTrouble }) {
    if (this.#state === 'trouble' && lastingTrouble === FINE) return false;
    if (STATES.includes(this.#state) && now.state !== this.#state) return false;
    const wanted = this.#filter.value.trim().toLowerCase();
    if (wanted === '') return true;
    const told = `${id} ${now.state} ${now.health} ${now.health_reason ?? ''} ${now.error?.kind ?? ''} ${now.error?.message ?? ''}`;
    return wanted.split(/\s+/).every((word) => told.toLowerCase().includes(word));
  }

  /** Brings the rows into this order, moving no more of them than it takes. */
  #lay(ids) {
    const shown = new Set(ids);
    for (const id of this.#shown) {
      if (!shown.has(id)) {
        const row = this.#rows.get(id);
        if (row) {
          this.#observer.unobserve(row.root);
          row.root.remove();
          row.visible = false;
        }
      }
    }
    const focused = document.activeElement;
    let place = this.#rowsRoot.firstElementChild;
    ids.forEach((id, i) => {
      const { root } = this.#rows.get(id);
      mark(root, 'aria-rowindex', String(i + 2));
      if (root === place) {
        place = place.nextElementSibling;
      } else if (place && place.nextElementSibling === root) {
        // The one that stands here belongs further down, and gets there when its turn comes.
        place = root.nextElementSibling;
      } else {
        this.#rowsRoot.insertBefore(root, place);
      }
      if (!this.#shown.has(id)) this.#observer.observe(root);
    });
    mark(document.getElementById('table'), 'aria-rowcount', String(ids.length + 1));
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
    this.#shown = shown;
    this.#order = ids;
  }

  #see(entries) {
    for (const { target, isIntersecting } of entries) {
      const row = this.#rows.get(target.dataset.id);
      if (!row || row.visible === isIntersecting) continue;
      row.visible = isIntersecting;
      if (isIntersecting) this.#dirty.add(row.plugin.id);
      else row.leftAt = performance.now();
    }
    this.#schedule();
    this.#onVisible();
  }

  #schedule() {
    if (this.#frame) return;
    const least = this.#calm.matches ? CALM_FRAME_MIN_MS : FRAME_MIN_MS;
    const wait = Math.max(0, this.#drawnAt + least - performance.now());
    this.#frame = setTimeout(() => requestAnimationFrame(() => this.#draw()), wait);
  }

  #draw() {
    this.#frame = 0;
    this.#drawnAt = performance.now();
    const rows = [...this.#dirty].map((id) => this.#rows.get(id)).filter((row) => row?.visible);
    this.#dirty.clear();
    rows.forEach((row) => row.render(this.spanMs));
    rows.forEach((row) => row.draw());
    this.#sayChips();
    if (this.#wantsSort()) this.arrange();
  }

  #wantsSort() {
    const time = performance.now();
    return time - this.#sortedAt >= SORT_MIN_MS && time - this.#touchedAt >= HANDS_OFF_MS;
  }

  #tick() {
    if (!document.hidden) this.redraw();
  }

  /** The arrow keys go from row to row. */
  #move(event) {
    const here = this.#order.indexOf(event.target.closest('[data-id]')?.dataset.id);
    const last = this.#order.length - 1;
    const there = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: last }[event.key];
    if (here < 0 || there === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.focus(this.#order[Math.min(Math.max(there, 0), last)]);
  }

  #makeChips() {
    const chips = [['all', 'All'], ['trouble', 'In trouble'], ...STATES.map((state) => [state, state])];
    document.getElementById('states').append(...chips.map(([value, words]) => {
      const chip = element('button', { type: 'button', className: 'chip', 'data-value': value, 'aria-pressed': 'false' },
        SIGNS[value] ? element('span', { className: 'sign', 'aria-hidden': 'true', textContent: SIGNS[value] }) : null,
        element('span', { textContent: words }), element('b', { textContent: '0' }));
      chip.addEventListener('click', () => {
        this.#state = this.#state === value ? 'all' : value;
        this.arrange();
        this.#sayChips();
      });
      return chip;
    }));
  }

  #sayChips() {
    const { counts, trouble, all } = this.#model.counts();
    for (const chip of document.getElementById('states').children) {
      const { value } = chip.dataset;
      const n = value === 'all' ? all : value === 'trouble' ? trouble : counts.get(value);
      say(chip.lastChild, n.toLocaleString('en'));
      mark(chip, 'aria-pressed', String(this.#state === value));
      mark(chip, 'data-none', n === 0 ? 'true' : null);
    }
    const title = trouble > 0 ? `(${trouble}) Plugin engine` : 'Plugin engine';
    if (document.title !== title) document.title = title;
  }

  #sayCounts(shown) {
    const empty = document.getElementById('empty');
    empty.hidden = shown > 0;
    if (shown > 0) return;
    const all = this.#model.plugins.size;
    say(empty, all === 0 ? 'No plugin is known.' : `None of ${count(all, 'plugin')} is what is asked for.`);
  }

  #setSpan() {
    localStorage.setItem('plugin-engine-span', this.#span.value);
    this.#saySpan();
    this.forgetTracks();
    this.redraw();
    this.#onVisible();
  }

  #restoreSpan() {
    const kept = localStorage.getItem('plugin-engine-span');
    if ([...this.#span.options].some(({ value }) => value === kept)) this.#span.value = kept;
    this.#saySpan();
  }

  #saySpan() {
    say(document.getElementById('timeline-head'), `Last ${this.#span.selectedOptions[0].textContent}`);
  }
}
