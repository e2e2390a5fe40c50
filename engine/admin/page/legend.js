// What the bars of a timeline stand for. What never comes here: a timeline of a plugin.

import { drawSample } from './draw.js';
import { element } from './format.js';

const WORDS = {
  Enabled: 'Enabled: between updates',
  Running: 'Running: an update is in flight',
  error: 'A call failed, timed out or panicked',
  Error: 'Error: needs a reset, a reload or a restart',
  Loaded: 'Loaded: no instance yet',
  Disabled: 'Disabled: switched off',
  Unloaded: 'Unloaded',
};

export class Legend {
  #canvases = [];

  constructor() {
    const root = document.getElementById('legend');
    for (const [name, words] of Object.entries(WORDS)) {
      const canvas = element('canvas', { className: 'sample', 'aria-hidden': 'true' });
      this.#canvases.push([name, canvas]);
      root.append(element('li', {}, canvas, words));
    }
    root.closest('details').addEventListener('toggle', () => this.draw());
  }

  draw() {
    for (const [name, canvas] of this.#canvases) drawSample(canvas, name);
  }
}
