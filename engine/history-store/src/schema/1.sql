-- Version 1. What is here is never edited: a change is a step of its own, in a file of its own.

-- One row about the whole file.
CREATE TABLE state (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    last_seq    INTEGER NOT NULL,
    trimmed_seq INTEGER NOT NULL
);
INSERT INTO state VALUES (1, 0, 0);

-- A plugin without an id is forgotten: its entries are on their way out.
CREATE TABLE plugin (
    number      INTEGER PRIMARY KEY,
    id          TEXT UNIQUE,
    generation  INTEGER NOT NULL DEFAULT 0,
    off_by_hand INTEGER NOT NULL DEFAULT 0,
    removed     INTEGER NOT NULL DEFAULT 0,
    removed_seq INTEGER NOT NULL DEFAULT 0,
    removed_at  INTEGER NOT NULL DEFAULT 0
);

-- Entries of one generation of one plugin, many a row, clustered by plugin.
CREATE TABLE run (
    plugin      INTEGER NOT NULL,
    last_seq    INTEGER NOT NULL,
    first_seq   INTEGER NOT NULL,
    base_at     INTEGER NOT NULL,
    at_min      INTEGER NOT NULL,
    at_max      INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    version     TEXT,
    flags       INTEGER NOT NULL,
    transitions INTEGER NOT NULL,
    entries     TEXT NOT NULL,
    PRIMARY KEY (plugin, last_seq)
) WITHOUT ROWID;

-- The same, as long as there are few a row: in the order of writing, so that a batch touches few pages. Now and then it is emptied
-- into `run`.
CREATE TABLE recent (
    last_seq    INTEGER PRIMARY KEY,
    plugin      INTEGER NOT NULL,
    first_seq   INTEGER NOT NULL,
    base_at     INTEGER NOT NULL,
    at_min      INTEGER NOT NULL,
    at_max      INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    version     TEXT,
    flags       INTEGER NOT NULL,
    transitions INTEGER NOT NULL,
    entries     TEXT NOT NULL
);

CREATE TABLE engine_run (
    started_seq INTEGER PRIMARY KEY,
    started_at  INTEGER NOT NULL,
    pid         INTEGER NOT NULL,
    version     TEXT NOT NULL,
    lost_first  INTEGER,
    lost_last   INTEGER,
    stopped_seq INTEGER,
    stopped_at  INTEGER
);

-- From here on: what people ask. SCHEMA.md describes it.

CREATE VIEW run_entry AS
SELECT plugin.id, run.generation, run.version, run.first_seq, run.base_at, run.last_seq, run.at_max, run.flags,
       entry.type, entry.value
FROM plugin JOIN run ON run.plugin = plugin.number JOIN json_each(run.entries) AS entry
WHERE plugin.id IS NOT NULL
UNION ALL
SELECT plugin.id, recent.generation, recent.version, recent.first_seq, recent.base_at, recent.last_seq, recent.at_max, recent.flags,
       entry.type, entry.value
FROM plugin JOIN recent ON recent.plugin = plugin.number JOIN json_each(recent.entries) AS entry
WHERE plugin.id IS NOT NULL;

-- Numbers and times as they are stored, a row a transition: starts, completions, all others.
CREATE VIEW transition_ns AS
SELECT first_seq + json_extract(value, '$[0]') AS seq, base_at + json_extract(value, '$[1]') AS at_ns,
       id, generation, version, 'Enabled' AS from_state, 'Running' AS to_state, 'update_started' AS cause,
       NULL AS duration_ns, NULL AS error, last_seq AS run_last_seq, at_max AS run_last_at_ns, flags
FROM run_entry WHERE type = 'array' AND json_array_length(value) <> 3
UNION ALL
SELECT first_seq + json_extract(value, '$[0]') + CASE json_array_length(value) WHEN 4 THEN json_extract(value, '$[2]') ELSE 0 END,
       base_at + json_extract(value, '$[1]') + CASE json_array_length(value) WHEN 4 THEN json_extract(value, '$[3]') ELSE 0 END,
       id, generation, version, 'Running', 'Enabled', 'update_completed',
       json_extract(value, CASE json_array_length(value) WHEN 4 THEN '$[3]' ELSE '$[2]' END), NULL, last_seq, at_max, flags
FROM run_entry WHERE type = 'array' AND json_array_length(value) <> 2
UNION ALL
SELECT json_extract(value, '$.seq'), json_extract(value, '$.at'),
       id, generation, version, json_extract(value, '$.from'), json_extract(value, '$.to'), json_extract(value, '$.cause'),
       json_extract(value, '$.duration'), json_extract(value, '$.error'), last_seq, at_max, flags
FROM run_entry WHERE type = 'object' AND flags & 2 AND json_extract(value, '$.seq') IS NOT NULL;

CREATE VIEW transitions AS
SELECT seq,
       strftime('%Y-%m-%dT%H:%M:%S', at_ns / 1000000000, 'unixepoch') || printf('.%06dZ', at_ns / 1000 % 1000000) AS at,
       id, generation, version, from_state, to_state, cause,
       duration_ns / 1000.0 AS duration_us,
       json_extract(error, '$.kind') AS error_kind,
       json_extract(error, '$.message') AS error_message,
       json_extract(error, '$.type') AS error_type,
       json_extract(error, '$.call') AS error_call,
       json_extract(error, '$.recoverable') AS error_recoverable,
       json_extract(error, '$.consecutive') AS error_consecutive,
       json_extract(error, '$.location') AS error_location,
       json_extract(error, '$.backtrace') AS error_backtrace,
       at_ns, run_last_seq, run_last_at_ns, flags & 1 AS run_has_errors, flags & 2 <> 0 AS run_has_changes
FROM transition_ns;

CREATE VIEW folded AS
SELECT id, generation,
       json_extract(value, '$.folded.first_seq') AS first_seq,
       json_extract(value, '$.folded.last_seq') AS last_seq,
       json_extract(value, '$.folded.transitions') AS transitions,
       json_extract(value, '$.folded.updates') AS updates,
       strftime('%Y-%m-%dT%H:%M:%S', json_extract(value, '$.folded.first_at') / 1000000000, 'unixepoch')
           || printf('.%06dZ', json_extract(value, '$.folded.first_at') / 1000 % 1000000) AS first_at,
       strftime('%Y-%m-%dT%H:%M:%S', json_extract(value, '$.folded.last_at') / 1000000000, 'unixepoch')
           || printf('.%06dZ', json_extract(value, '$.folded.last_at') / 1000 % 1000000) AS last_at,
       json_extract(value, '$.folded.total_duration') / 1000.0 AS total_duration_us
FROM run_entry WHERE flags & 4 AND type = 'object' AND json_extract(value, '$.folded') IS NOT NULL;

CREATE VIEW gaps AS
SELECT id, generation,
       json_extract(value, '$.gap.first_seq') AS first_seq,
       json_extract(value, '$.gap.last_seq') AS last_seq,
       json_extract(value, '$.gap.count') AS transitions,
       strftime('%Y-%m-%dT%H:%M:%S', json_extract(value, '$.gap.first_at') / 1000000000, 'unixepoch')
           || printf('.%06dZ', json_extract(value, '$.gap.first_at') / 1000 % 1000000) AS first_at,
       strftime('%Y-%m-%dT%H:%M:%S', json_extract(value, '$.gap.last_at') / 1000000000, 'unixepoch')
           || printf('.%06dZ', json_extract(value, '$.gap.last_at') / 1000 % 1000000) AS last_at
FROM run_entry WHERE flags & 8 AND type = 'object' AND json_extract(value, '$.gap') IS NOT NULL;

CREATE VIEW engine_runs AS
SELECT pid, version,
       strftime('%Y-%m-%dT%H:%M:%S', started_at / 1000000000, 'unixepoch') || printf('.%06dZ', started_at / 1000 % 1000000) AS started_at,
       strftime('%Y-%m-%dT%H:%M:%S', stopped_at / 1000000000, 'unixepoch') || printf('.%06dZ', stopped_at / 1000 % 1000000) AS stopped_at,
       started_seq, stopped_seq, lost_first, lost_last
FROM engine_run;

CREATE VIEW plugins AS
SELECT id, generation, off_by_hand, removed AS removed_transitions, removed_seq AS removed_last_seq
FROM plugin WHERE id IS NOT NULL;
