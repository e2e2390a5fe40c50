// Timelines and sparklines, drawn on canvases: hundreds of bars in each of dozens of rows would be too many elements.
// Every state has a shape as well as a colour. What never comes here: where the canvases are, and when they are drawn.

import { absolute, count, length, took } from './format.js';

/** How high the bar of each state is, as a share of the whole, and where it begins. */
const BARS = {
  Enabled: { top: 0.45, height: 0.4 },
  Running: { top: 0.2, height: 0.65 },
  Error: { top: 0.2, height: 0.65, hatched: true },
  Loaded: { top: 0.45, height: 0.4, hatched: true },
  Disabled: { top: 0.75, height: 0.1 },
  Unloaded: { top: 0.75, height: 0.1, dotted: true },
};
/** Of what is too short for a bar, so much lies between what is drawn. */
const TICK_GAP_PX = 3;

let colours = null;

/** Has the colours read anew, after dark has become light. */
export function forgetColours() {
  colours = null;
}

function colour(name) {
  colours ??= new Map();
  if (!colours.has(name)) {
    const style = getComputedStyle(document.documentElement);
    colours.set(name, style.getPropertyValue(`--${name.toLowerCase()}`).trim());
  }
  return colours.get(name);
}

/** The context of a canvas, cleared, with one unit to a pixel of the page; `null` if it is not laid out. */
function prepare(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (width === 0 || height === 0) return null;
  const scale = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext('2d');
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

function drawBar(context, state, x, width, height) {
  const bar = BARS[state];
  if (!bar) return;
  const top = height * bar.top;
  const tall = Math.max(2, height * bar.height);
  context.fillStyle = colour(`state-${state}`);
  if (bar.dotted) {
    for (let at = Math.ceil(x / 6) * 6; at < x + width; at += 6) context.fillRect(at, top, 2, tall);
    return;
  }
  context.fillRect(x, top, width, tall);
  if (!bar.hatched || width < 4) return;
  context.save();
  context.beginPath();
  context.rect(x, top, width, tall);
  context.clip();
  context.strokeStyle = colour('surface');
  context.lineWidth = 1.5;
  context.beginPath();
  for (let at = Math.floor(x / 6) * 6 - tall; at < x + width; at += 6) {
    context.moveTo(at, top + tall);
    context.lineTo(at + tall, top);
  }
  context.stroke();
  context.restore();
}

/** A state that was there for less than a pixel: a tick on top of the bar of the state around it. */
function drawTick(context, state, x, height) {
  const bar = BARS[state];
  if (!bar) return;
  context.fillStyle = colour(`state-${state}`);
  context.fillRect(x, height * bar.top, 1, height * Math.min(bar.height, 0.25));
}

function drawError(context, x, height) {
  const y = height * 0.2;
  context.fillStyle = colour('mark');
  context.fillRect(x - 0.75, y, 1.5, height * 0.65);
  context.beginPath();
  context.moveTo(x - 4, 0);
  context.lineTo(x + 4, 0);
  context.lineTo(x, 6);
  context.fill();
}

/**
 * What each pixel of a row of `width` stands for: `most`, the state that took most of its time or `null`, and `short`, a state that was
 * there, too. What is updated many times a second has more transitions than there are pixels.
 */
export function columns(segments, start, end, width) {
  const shares = Array.from({ length: width }, () => new Map());
  const scale = width / (end - start);
  for (const { state, from, to } of segments) {
    const [left, right] = [(from - start) * scale, (to - start) * scale];
    for (let i = Math.floor(left); i < Math.min(Math.ceil(right), width); i += 1) {
      const share = Math.min(right, i + 1) - Math.max(left, i);
      shares[i].set(state, (shares[i].get(state) ?? 0) + share);
    }
  }
  return shares.map((share) => {
    const [[most] = [null], [short] = [null]] = [...share].sort(([, a], [, b]) => b - a);
    return { most, short };
  });
}

function drawColumns(context, wanted, height) {
  let begin = 0;
  let tickAt = -TICK_GAP_PX;
  wanted.forEach(({ most }, i) => {
    if (wanted[i + 1]?.most === most) return;
    if (most !== null) drawBar(context, most, begin, i + 1 - begin, height);
    begin = i + 1;
  });
  wanted.forEach(({ short }, i) => {
    if (short === null || i - tickAt < TICK_GAP_PX) return;
    drawTick(context, short, i, height);
    tickAt = i;
  });
}

/** Draws the states of a plugin from `start` to `end`. */
export function drawTimeline(canvas, track, state, start, end) {
  const prepared = prepare(canvas);
  if (!prepared) return;
  const { context, width, height } = prepared;
  const x = (at) => ((Math.min(Math.max(at, start), end) - start) / (end - start)) * width;
  context.fillStyle = colour('line');
  context.fillRect(0, height - 1.5, width, 1);
  for (let minute = Math.ceil(start / 60_000) * 60_000; minute < end; minute += 60_000) {
    context.fillRect(x(minute), height - 4, 1, 4);
  }
  drawColumns(context, columns(track.segments(start, end, state), start, end, Math.floor(width)), height);
  let lastMark = -9;
  for (const error of track.errors(start, end)) {
    if (x(error.at) - lastMark < 2) continue;
    lastMark = x(error.at);
    drawError(context, lastMark, height);
  }
}

/** Draws what a state looks like on a timeline, or an `error`. */
export function drawSample(canvas, name) {
  const prepared = prepare(canvas);
  if (!prepared) return;
  const { context, width, height } = prepared;
  drawBar(context, name === 'error' ? 'Enabled' : name, 0, width, height);
  if (name === 'error') drawError(context, width / 2, height);
}

/** What a timeline shows, in words. */
export function timelineWords(track, state, start, end) {
  const errors = track.errors(start, end);
  const newest = errors.at(-1);
  const last = newest ? `, the last ${length(end - newest.at)} ago` : '';
  return `Last ${length(end - start)}: now ${state}, ${count(errors.length, 'error')}${last}`;
}

/** What there was at a place of a timeline, in words. `share` is from 0, the left end, to 1. */
export function wordsAt(track, state, start, end, share) {
  const at = start + (end - start) * share;
  const near = (end - start) / 60;
  const error = track.errors(at - near, at + near)
    .reduce((best, one) => (best && Math.abs(best.at - at) <= Math.abs(one.at - at) ? best : one), null);
  if (error) return `${absolute(new Date(error.at).toISOString())}\n${error.cause}: ${error.error}`;
  const segment = track.segments(start, end, state).find(({ to }) => at <= to);
  return `${absolute(new Date(at).toISOString())}\n${segment?.state ?? 'not known'}`;
}

/** Draws how long updates took; those that failed have a mark. */
export function drawSparkline(canvas, durations) {
  const prepared = prepare(canvas);
  if (!prepared || durations.length === 0) return;
  const { context, width, height } = prepared;
  const most = Math.max(...durations.map(({ us }) => us), 1);
  const step = width / Math.max(durations.length, 12);
  const bar = Math.max(1, step - 1);
  durations.forEach(({ us, failed }, i) => {
    const tall = Math.max(1.5, (us / most) * (height - 5));
    const left = width - (durations.length - i) * step;
    context.fillStyle = failed ? colour('mark') : colour('spark');
    context.fillRect(left, height - tall, bar, tall);
    if (failed) context.fillRect(left, 0, bar, 3);
  });
}

/** What a sparkline shows, in words. */
export function sparklineWords(durations) {
  if (durations.length === 0) return 'No update is known';
  const all = durations.map(({ us }) => us);
  const failed = durations.filter((one) => one.failed).length;
  const ends = `${took(Math.min(...all))} to ${took(Math.max(...all))}`;
  return `Last ${count(all.length, 'update')}: ${ends}, ${failed} failed`;
}
