// The commands to one plugin, and what became of them. What never comes here: the field for the token, and what a command does.

import { Refusal, hasToken, post } from './api.js';
import { element, mark, plain, say } from './format.js';

const COMMANDS = {
  enable: ['Enable', 'Switch it on: an instance is created'],
  disable: ['Disable', 'Switch it off: its instance is destroyed, until somebody switches it on'],
  reload: ['Reload', 'Put its file as it is now in place of the one that is loaded, if it is good'],
  reset: ['Reset', 'A new instance, and no error'],
  update: ['Update now', 'Update it now, due or not'],
  load: ['Load', 'Load it again'],
  unload: ['Unload', 'Unload it, until somebody loads it or its file changes'],
};
/** Asked again before it is done. */
const ASKS_TWICE = new Set(['unload']);
const SECOND_PRESS_MS = 5_000;

export class CommandBar {
  root;
  #id;
  #handlers;
  #buttons = new Map();
  #answer = element('p', { className: 'answer', role: 'status' });
  #busy = false;
  #armed = null;
  #disarm = 0;

  /** `onSnapshot(snapshot)` after a command was carried out; `onToken(message, retry)` when it wants a token. */
  constructor(id, handlers) {
    this.#id = id;
    this.#handlers = handlers;
    for (const [command, [words, title]] of Object.entries(COMMANDS)) {
      const button = element('button', { type: 'button', textContent: words, title, 'data-command': command });
      button.addEventListener('click', () => this.#press(command));
      this.#buttons.set(command, button);
    }
    const bar = element('div', { className: 'bar', role: 'group', 'aria-label': `Commands to ${id}` }, ...this.#buttons.values());
    this.root = element('div', { className: 'commands' }, bar, this.#answer);
  }

  /** Offers what makes sense in the state. What the engine makes of it is the engine's affair. */
  render({ state }) {
    this.#buttons.get('load').hidden = state !== 'Unloaded';
    this.#buttons.get('unload').hidden = state === 'Unloaded';
    this.#buttons.get('enable').hidden = state === 'Enabled' || state === 'Running';
    this.#buttons.get('disable').hidden = state === 'Disabled' || state === 'Unloaded';
  }

  #press(command) {
    if (this.#busy) return;
    if (ASKS_TWICE.has(command) && this.#armed !== command) {
      this.#arm(command);
      return;
    }
    this.#arm(null);
    this.#send(command);
  }

  #arm(command) {
    clearTimeout(this.#disarm);
    this.#armed = command;
    for (const [name, button] of this.#buttons) {
      say(button, name === command ? `${COMMANDS[name][0]} ${this.#id}?` : COMMANDS[name][0]);
      button.classList.toggle('armed', name === command);
    }
    if (command) {
      this.#say('', `Press again to ${command} ${this.#id}.`);
      this.#disarm = setTimeout(() => { this.#arm(null); this.#say('', ''); }, SECOND_PRESS_MS);
    }
  }

  async #send(command) {
    if (!hasToken()) {
      this.#wantToken(command, 'Commands need the token.');
      return;
    }
    this.#setBusy(true);
    this.#say('', `${command}: under way…`);
    try {
      const { message, snapshot } = await post(`plugins/${encodeURIComponent(this.#id)}/${command}`);
      this.#say('good', `${command}: done${message ? `. ${plain(message)}` : ''}`);
      if (snapshot) this.#handlers.onSnapshot(snapshot);
    } catch (error) {
      this.#refused(command, error);
    } finally {
      this.#setBusy(false);
    }
  }

  #refused(command, error) {
    if (error instanceof Refusal && error.status === 401) {
      this.#wantToken(command, error.message);
    } else if (error instanceof Refusal) {
      const code = error.code ? `${error.code}: ` : '';
      const what = error.message.includes('refused') ? '' : `${command} refused: `;
      // The engine says which generation goes on, unless it did not get as far as looking at the file.
      const goesOn = command !== 'reload' || error.message.includes('goes on') ? '' : '; what was loaded before goes on';
      this.#say('refusal', plain(`${code}${what}${error.message}${goesOn}`));
    } else {
      this.#say('refusal', `${command}: ${plain(error.message)}. It is not known whether it was done; the history will tell.`);
    }
  }

  #wantToken(command, message) {
    this.#say('refusal', `${command} was not sent yet: ${plain(message)}`);
    this.#handlers.onToken(message, () => this.#send(command));
  }

  #setBusy(busy) {
    this.#busy = busy;
    for (const button of this.#buttons.values()) mark(button, 'aria-disabled', busy ? 'true' : null);
  }

  #say(kind, text) {
    this.#answer.className = `answer ${kind}`;
    say(this.#answer, text);
  }
}
