// The status page: puts its parts together. What never comes here: what any of them does.

import { Refusal } from './api.js';
import { Announcer } from './announcer.js';
import { Banners } from './banners.js';
import { Connection } from './connection.js';
import { Detail } from './detail.js';
import { forgetColours } from './draw.js';
import { Legend } from './legend.js';
import { List } from './list.js';
import { Model } from './model.js';
import { Refresh } from './refresh.js';
import { TokenForm } from './token.js';

/** Up to so many plugins, the history of all is followed; of more, that of the rows in view. */
const FOLLOW_ALL_MAX = 60;
const REFOLLOW_MS = 400;
const TICK_MS = 1_000;
const GAP_MIN_MS = 10_000;

const model = new Model();
const announcer = new Announcer();
const tokenForm = new TokenForm();
const list = new List(model, { onOpen: toggle, onVisible: () => { refresh.tracks(); refollowSoon(); } });
const refresh = new Refresh(model, list, { onChange: show, onProblem });
const detail = new Detail({
  onClose: () => toggle(null),
  onSnapshot: (snapshot) => { model.take(snapshot); show([snapshot.id]); },
  onToken: (message, retry) => tokenForm.ask(message, retry),
});
const banners = new Banners({ onRetry: () => connection.retryNow(), onOpen: (id) => toggle(id) });
const connection = new Connection({
  onEngine: (engine) => tokenForm.setStateDir(engine.state_dir),
  onPoll: (answers) => banners.takePoll(answers),
  onRestart,
  load: () => refresh.all(),
  onEvent,
  onTransition,
  onLostEvents: () => refresh.all().catch(onProblem),
  onGap,
  followed,
  onStatus,
});

function show(ids) {
  for (const id of ids ?? model.plugins.keys()) {
    const plugin = model.plugins.get(id);
    if (plugin) announcer.look(plugin);
  }
  const opened = detail.id;
  if (ids === null || ids.some((id) => !list.row(id) !== !model.plugins.has(id))) {
    list.takePlugins();
    refollowSoon();
  } else {
    ids.forEach((id) => list.touch(id));
  }
  if (opened && (ids === null || ids.includes(opened))) detail.setPlugin(model.plugins.get(opened));
  else if (!opened) openFromAddress();
}

function onTransition(entry) {
  banners.heard();
  const plugin = model.plugins.get(entry.id);
  if (!plugin) {
    refresh.hear(entry.id);
    return;
  }
  if (plugin.takeTransition(entry)) refresh.hear(entry.id);
  announcer.look(plugin);
  list.touch(entry.id);
  if (entry.id === detail.id) {
    detail.takeTransition(entry);
    detail.render();
  }
}

function onEvent(event) {
  // What a plugin publishes for others changes nothing that is shown here.
  if (event.id && /\.(state|health|unhealthy|healthy|degraded|reload|refused)$/.test(event.topic)) refresh.hear(event.id);
}

function onRestart(isOther) {
  startOver();
  if (isOther) announcer.say('The engine was started anew.');
}

/** Something was missed: whatever was put together from the history is asked for anew. */
function startOver() {
  model.startOver();
  list.forgetTracks();
  refresh.all().catch(onProblem);
  detail.reload();
}

/** A request outside of a session was not answered, or wants a token. A refusal of another kind concerns that request alone. */
function onProblem(error) {
  if (!(error instanceof Refusal) || error.status === 401) connection.check(error);
}

/** Entries were lost on the way. Where that goes on, asking for everything anew each time would make it worse. */
let gapAt = -Infinity;
function onGap() {
  if (performance.now() - gapAt < GAP_MIN_MS) return;
  gapAt = performance.now();
  startOver();
}

function onStatus() {
  banners.sayConnection(connection);
  if (connection.status === 'locked') tokenForm.ask(connection.problem, () => connection.retryNow());
}

function followed() {
  if (model.plugins.size <= FOLLOW_ALL_MAX) return null;
  const ids = new Set(list.visible().map((row) => row.plugin.id));
  if (detail.id) ids.add(detail.id);
  return [...ids].sort();
}

let followedNow = '';
let refollowing = 0;
function refollowSoon() {
  clearTimeout(refollowing);
  refollowing = setTimeout(() => {
    const wanted = followed()?.join() ?? 'all';
    if (wanted !== followedNow) connection.refollow();
    followedNow = wanted;
  }, REFOLLOW_MS);
}

/** Opens a plugin, or closes it if it is open; `null` closes whatever is open. */
function toggle(id) {
  const before = detail.id;
  if (before) {
    detail.close();
    list.setOpened(null);
    if (id === null || id === before) {
      history.replaceState(null, '', location.pathname);
      list.focus(before);
      return;
    }
  }
  const plugin = model.plugins.get(id);
  if (!plugin) return;
  history.replaceState(null, '', `#${id}`);
  list.setOpened(id);
  detail.open(plugin);
  refollowSoon();
}

function openFromAddress() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id && id !== detail.id && model.plugins.has(id)) toggle(id);
}

addEventListener('hashchange', openFromAddress);
addEventListener('online', () => connection.retryNow());
addEventListener('keydown', (event) => {
  const isTyping = event.target.closest('input, select, textarea, dialog');
  if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById('filter').focus();
  } else if (event.key === 'Escape' && detail.id && !isTyping) {
    toggle(null);
  }
});
document.addEventListener('visibilitychange', () => connection.pause(document.hidden));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  forgetColours();
  list.redraw();
  legend.draw();
});
const legend = new Legend();
setInterval(() => {
  banners.sayConnection(connection);
  if (connection.status === 'live') refresh.tick();
  detail.render();
}, TICK_MS);
connection.run();
