// Says aloud, to those who cannot see it, which plugins have come into trouble or out of it. Not each failure: a plugin that fails
// each second would drown all else. What never comes here: anything that is seen.

import { count, plain } from './format.js';
import { FINE } from './model.js';
import { errorLine } from './row.js';

const GATHER_MS = 2_000;
const SINGLE_MAX = 3;

export class Announcer {
  #root = document.getElementById('announcer');
  #known = new Map();
  #changed = new Map();
  #timer = 0;

  /** Looks at how a plugin is. The first look says nothing. */
  look(plugin) {
    const { id, lastingTrouble: trouble } = plugin;
    const before = this.#known.get(id);
    this.#known.set(id, trouble);
    if (before === undefined || before === trouble) return;
    this.#changed.set(id, plugin);
    this.#timer ||= setTimeout(() => this.#tell(), GATHER_MS);
  }

  say(text) {
    this.#root.textContent = text;
  }

  #tell() {
    this.#timer = 0;
    const plugins = [...this.#changed.values()];
    this.#changed.clear();
    if (plugins.length <= SINGLE_MAX) {
      this.say(plugins.map(words).join('. '));
      return;
    }
    const ill = plugins.filter(({ lastingTrouble }) => lastingTrouble > FINE).length;
    this.say(`${count(ill, 'plugin')} in trouble, ${count(plugins.length - ill, 'plugin')} out of it.`);
  }
}

function words({ id, lastingTrouble, now }) {
  if (lastingTrouble === FINE) return `${id} is fine again`;
  const why = now.error ? errorLine(now.error) : plain(now.health_reason ?? now.health);
  return `${id} is in trouble: ${now.state}, ${why}`;
}
