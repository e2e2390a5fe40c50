// The field for the token. What never comes here: what the token is for.

import { setToken } from './api.js';
import { plain, say } from './format.js';

export class TokenForm {
  #dialog = document.getElementById('token-dialog');
  #field = document.getElementById('token');
  #retry = null;
  #stateDir = null;

  constructor() {
    document.getElementById('token-form').addEventListener('submit', () => {
      setToken(this.#field.value);
      const retry = this.#retry;
      this.#retry = null;
      // After the dialog has closed and given the focus back.
      setTimeout(() => retry?.(), 0);
    });
    document.getElementById('token-cancel').addEventListener('click', () => this.#dialog.close());
    this.#dialog.addEventListener('close', () => { this.#field.value = ''; });
  }

  /** Where the file with the token is. */
  setStateDir(dir) {
    this.#stateDir = dir;
  }

  /** Asks for the token, says why, and calls `retry` when it is there. */
  ask(why, retry) {
    this.#retry = retry;
    const file = this.#stateDir ? `${this.#stateDir}/token` : 'the file token in the state directory';
    say(document.getElementById('token-why'), plain(why));
    say(document.getElementById('token-hint'), `It is the content of ${plain(file)}. It is kept until this tab is closed.`);
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#field.focus();
  }
}
