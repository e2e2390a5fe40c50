// Server-sent events, read with `fetch`: unlike an EventSource it can send the token, sees the heartbeat, and tells a refusal from a
// lost connection. What never comes here: when to try again, and what an event means.

import { openStream } from './api.js';

/** The engine sends a comment every 15 s; two missing are an accident, three are a dead connection. */
const SILENCE_MAX_MS = 50_000;

/** Cuts what arrives into events. */
export class EventParser {
  #rest = '';
  #event = { event: 'message', data: [] };
  #lastId = '';

  /** Takes what has arrived and returns the events that it completes. */
  push(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    const events = [];
    for (const line of lines) {
      if (line === '') {
        if (this.#event.data.length > 0) {
          events.push({ event: this.#event.event, data: this.#event.data.join('\n'), id: this.#lastId });
        }
        this.#event = { event: 'message', data: [] };
      } else {
        this.#field(line);
      }
    }
    return events;
  }

  #field(line) {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') this.#event.event = value;
    else if (name === 'data') this.#event.data.push(value);
    else if (name === 'id') this.#lastId = value;
  }
}

/**
 * Reads the stream at `path` to its end, or until `signal` says so. `onOpen` is called when it is there, `onEvent` with each event.
 * Returns when the server ends it; throws a `Refusal` or `Unreachable`.
 */
export async function readStream(path, { lastId = '', signal, onOpen, onEvent }) {
  const silence = new AbortController();
  const body = await openStream(path, lastId, AbortSignal.any([signal, silence.signal]));
  onOpen?.();
  const parser = new EventParser();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let watchdog = 0;
  try {
    for (;;) {
      watchdog = setTimeout(() => silence.abort(), SILENCE_MAX_MS);
      const { done, value } = await reader.read();
      clearTimeout(watchdog);
      if (done) return;
      for (const event of parser.push(value)) onEvent(event);
    }
  } finally {
    clearTimeout(watchdog);
  }
}
