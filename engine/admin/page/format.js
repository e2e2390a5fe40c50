// How things are said: text of plugins, times, lengths of time, counts, and the elements that hold them.
// What never comes here: anything that knows of plugins, of the server, or of the place on the page.

// Control characters, and what reorders or hides the text around it.
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/** `text` with everything that is not seen, or that reorders what is seen, written as an escape. */
export function plain(text) {
  return String(text).replace(HARMFUL, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

/** As `plain`, but lines stay lines. */
export function plainLines(text) {
  return String(text).split(/\r?\n/).map(plain).join('\n');
}

/** An element with properties, `data-…` and `aria-…` attributes, and children. Strings become text, never markup. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (key.includes('-') || key === 'role' || key === 'for') made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Sets the text of an element, which is left alone if it says that already. */
export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Sets an attribute, which is left alone if it has the value already; `null` takes it away. */
export function mark(target, name, value) {
  if (value === null || value === undefined) target.removeAttribute(name);
  else if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

/** A length of time in milliseconds, as the two largest units that it has. */
export function length(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  const whole = Math.round(s);
  const two = (large, largeName, small, smallName) =>
    small ? `${large} ${largeName} ${small} ${smallName}` : `${large} ${largeName}`;
  if (whole < 3600) return two(Math.floor(whole / 60), 'min', whole % 60, 's');
  if (whole < 86400) return two(Math.floor(whole / 3600), 'h', Math.floor(whole / 60) % 60, 'min');
  return two(Math.floor(whole / 86400), 'd', Math.floor(whole / 3600) % 24, 'h');
}

/** How long a call took, in microseconds. */
export function took(us) {
  if (us === null || us === undefined) return '';
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 10_000) return `${(us / 1000).toFixed(1)} ms`;
  if (us < 1_000_000) return `${Math.round(us / 1000)} ms`;
  return length(us / 1000);
}

export function count(n, one, many = `${one}s`) {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

/** Milliseconds since 1970 of a time as the server writes it, or `null`. */
export function instant(text) {
  const ms = text ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? null : ms;
}

/** A time in full: as the person's own clock has it, and as the logs have it. */
export function absolute(text) {
  const ms = instant(text);
  if (ms === null) return plain(text ?? '');
  const local = new Date(ms).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'long' });
  return `${local} · ${plain(text)}`;
}

/** The time of day on the person's own clock, with the date unless it is today's. */
export function timeOfDay(ms, now) {
  const at = new Date(ms);
  const time = at.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
  return at.toDateString() === new Date(now).toDateString() ? time : `${at.toLocaleDateString()} ${time}`;
}

/** What a time is from now: how long ago, or how long until then. */
export function relative(ms, now) {
  const distance = ms - now;
  if (distance > 0) return `in ${length(distance)}`;
  return distance > -1000 ? 'just now' : `${length(Math.floor(-distance / 1000) * 1000)} ago`;
}

/** Makes `target`, a `<time>`, say a time. `text` is the server's; `words` makes the short form of milliseconds. */
export function sayTime(target, text, words) {
  const ms = instant(text);
  if (ms === null) {
    say(target, '–');
    mark(target, 'datetime', null);
    mark(target, 'title', null);
    return;
  }
  if (target.getAttribute('datetime') !== text) {
    mark(target, 'datetime', text);
    target.title = absolute(text);
  }
  say(target, words(ms));
}
