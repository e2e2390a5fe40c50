"""The modules of the page that can be asked without a page: imported by a browser, and asked there."""

import unittest

from browser import Browser
from running import Running


class Modules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = Running({"clock": ""})
        cls.browser = Browser()
        # A page of the same server that starts none of the scripts.
        cls.browser.open(cls.engine.url + "style.css")

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        cls.engine.remove()

    def ask(self, module, script):
        """What a script says that has the module as `m`."""
        told = self.browser.driver.execute_async_script(f"""
            const done = arguments[arguments.length - 1];
            import('{self.engine.url}{module}').then((m) => {{ {script} }}).then(done, (error) => done(String(error)));
        """)
        return told

    def test_events_are_read_however_they_are_cut(self):
        stream = "retry: 1000\\n\\n: comment\\n\\nid: 7\\nevent: transition\\ndata: {\\ndata: }\\n\\ndata: x\\r\\ndata: y\\r\\n\\r\\nid: 9\\rdata: y\\r\\rdata: unfinished\\n"
        wanted = [
            {"event": "transition", "data": "{\n}", "id": "7"},
            {"event": "message", "data": "x\ny", "id": "7"},
            {"event": "message", "data": "y", "id": "9"},
        ]
        for size in [1, 2, 3, 7, 1000]:
            told = self.ask("stream.js", f"""
                const text = '{stream}';
                const parser = new m.EventParser();
                const events = [];
                for (let at = 0; at < text.length; at += {size}) events.push(...parser.push(text.slice(at, at + {size})));
                return events;
            """)
            self.assertEqual(told, wanted, size)

    def test_what_is_not_seen_or_reorders_is_escaped(self):
        told = self.ask("format.js", r"return m.plain('a\u001b[1m\n\u202eb\u200f\u0085 ü é مرحبا 🙂')")
        self.assertEqual(told, r"a\u{1b}[1m\u{a}\u{202e}b\u{200f}\u{85} ü é مرحبا 🙂")

    def test_lengths_of_time_have_two_units_at_most(self):
        told = self.ask("format.js", "return [0, 949, 9949, 59400, 59600, 3599400, 3600000, 86399000, 93784000, -5].map(m.length)")
        self.assertEqual(told, ["0.0 s", "0.9 s", "9.9 s", "59 s", "1 min", "59 min 59 s", "1 h", "23 h 59 min", "1 d 2 h", "0.0 s"])

    def test_a_track_tells_the_states_without_gaps_and_what_it_does_not_know(self):
        told = self.ask("track.js", """
            const at = (ms) => new Date(ms).toISOString();
            const entry = (seq, ms, from, to, cause, error = null) => ({ seq, at: at(ms), from, to, cause, error, duration_us: 5 });
            const track = new m.Track();
            const none = track.segments(0, 100, 'Disabled');
            track.add(entry(3, 50, 'Enabled', 'Running', 'update_started'));
            track.load([entry(4, 70, 'Running', 'Enabled', 'update_timed_out', { kind: 'timeout', message: 'late' }),
                        entry(3, 50, 'Enabled', 'Running', 'update_started'),
                        entry(2, 30, 'Loaded', 'Enabled', 'created')], 20);
            const again = new m.Track();
            again.load([entry(1, 10, 'Enabled', 'Running', 'update_started'), entry(4, 40, 'Unloaded', 'Loaded', 'mapped')], 0);
            return [none, track.segments(0, 100, 'Enabled'), track.segments(60, 65, 'Enabled'), track.errors(0, 100).length, track.durations(),
                    again.segments(0, 50, 'Loaded')];
        """)
        states = lambda segments: [(one["state"], one["from"], one["to"]) for one in segments]
        self.assertEqual(states(told[0]), [("Disabled", 0, 100)])
        self.assertEqual(states(told[1]), [
            (None, 0, 20), ("Loaded", 20, 30), ("Enabled", 30, 50), ("Running", 50, 70), ("Enabled", 70, 100)])
        self.assertEqual(states(told[2]), [("Running", 60, 65)])
        self.assertEqual(told[3], 1)
        self.assertEqual(told[4], [{"us": 5, "failed": False}, {"us": 5, "failed": True}])
        # An engine that was killed in an update, and started again later.
        self.assertEqual(states(told[5]), [("Enabled", 0, 10), (None, 10, 40), ("Loaded", 40, 50)])

    def test_a_pixel_of_a_timeline_shows_what_took_most_of_its_time_and_hints_at_the_rest(self):
        told = self.ask("draw.js", """
            const often = Array.from({ length: 100 }, (_, i) => (
              { state: i % 2 ? 'Running' : 'Enabled', from: 100 + i, to: 101 + i - (i % 2) * 0.5 + (1 - i % 2) * 0.5 }));
            const segments = [{ state: null, from: 0, to: 50 }, { state: 'Unloaded', from: 50, to: 100 }, ...often];
            return m.columns(segments, 0, 200, 4).map(({ most, short }) => [most, short]);
        """)
        self.assertEqual(told, [[None, None], ["Unloaded", None], ["Enabled", "Running"], ["Enabled", "Running"]])

    def test_good_updates_in_a_row_are_folded_also_those_of_which_only_sums_are_kept(self):
        told = self.ask("history.js", """
            const good = (seq) => [{ seq: seq + 1, cause: 'update_completed', error: null }, { seq, cause: 'update_started', error: null }];
            const failed = [{ seq: 11, cause: 'update_failed', error: {} }, { seq: 10, cause: 'update_started', error: null }];
            const running = { seq: 20, cause: 'update_started', error: null };
            const folded = { mark: 'folded', seq: 5, updates: 40 };
            const gap = { mark: 'gap', seq: 3, count: 7 };
            const groups = m.fold([running, ...good(14), ...good(12), ...failed, ...good(8), ...good(6), folded, gap]);
            return groups.map(({ entry, newest, good }) => [newest.seq, entry.seq, good]);
        """)
        self.assertEqual(told, [[15, 12, 2], [11, 11, 0], [9, 5, 42], [3, 3, 0]])

    def test_a_snapshot_older_than_the_history_does_not_undo_it(self):
        told = self.ask("model.js", """
            const snapshot = { id: 'a', seq: 5, state: 'Running', error: null, interval_ms: 1000, updates: 1, successes: 0, failures: 0, timeouts: 0, panics: 0,
                               health: 'unknown', in_flight: { call: 'update', since: '2026-01-01T00:00:00Z', abandoned: false } };
            const plugin = new m.Plugin(snapshot);
            const error = { kind: 'timeout', message: 'late' };
            const more = plugin.takeTransition({ seq: 6, at: '2026-01-01T00:00:02Z', id: 'a', from: 'Running', to: 'Enabled',
                                                 cause: 'update_timed_out', error, duration_us: 2000000 });
            const { failed } = plugin;
            plugin.takeSnapshot({ ...snapshot, health: 'healthy' });
            const { state, health, next_update: next, in_flight: call } = plugin.now;
            return [more, state, plugin.now.error.kind, health, next, call.abandoned, plugin.trouble, failed];
        """)
        self.assertEqual(told, [True, "Enabled", "timeout", "healthy", "2026-01-01T00:00:03.000Z", True, 1, 1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
