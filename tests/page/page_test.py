"""The status page in a real browser, beside a real engine."""

import unittest

from browser import Browser
from running import PLUGINS, Running
from selenium.webdriver.common.keys import Keys


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = Running()
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        cls.engine.remove()

    def setUp(self):
        self.browser.look()
        self.open()

    def tearDown(self):
        self.assertEqual(self.browser.problems(), [])

    def open(self, fragment=""):
        self.browser.open(self.engine.url + fragment)
        self.browser.until("rows, and a live connection", self.is_live)
        self.browser.until("what is in view is filled", lambda: self.browser.all(self.row("fails", ".sparkline")))

    def is_live(self):
        return self.status() == "live" and len(self.browser.all("#rows .row")) >= len(PLUGINS)

    def status(self):
        return self.browser.one("#connection").get_attribute("data-status")

    def row(self, plugin, part=""):
        return f'#rows [data-id="{plugin}"] {part}'

    def open_row(self, plugin):
        self.browser.one(self.row(plugin, ".open")).click()
        self.browser.until("one plugin in full", lambda: self.browser.text("#detail-id") == plugin)

    def test_every_plugin_has_a_row_with_its_state_and_health(self):
        rows = self.browser.run("return [...document.querySelectorAll('#rows .row')].map((row) => row.dataset.id)")
        self.assertEqual(sorted(rows), sorted(PLUGINS))
        self.browser.until("the clock is healthy", lambda: "healthy" in self.browser.text(self.row("clock", ".health")))
        self.assertIn(self.browser.text(self.row("clock", ".state .word")), ["Enabled", "Running"])
        self.assertRegex(self.browser.text("#version"), r"^\d+\.\d+\.\d+")
        self.assertRegex(self.browser.text("#engine-facts"), r"^up .* · process \d+")

    def test_a_timeline_and_a_sparkline_are_drawn_and_told_in_words(self):
        # Read from a copy: a canvas that is read itself is drawn in another way from then on.
        inked = """const canvas = document.querySelector(arguments[0]);
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
            copy.drawImage(canvas, 0, 0);
            const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
            return new Set(new Uint32Array(data.buffer)).size"""
        for part, words in [(".timeline", "Last 5 min: now"), (".sparkline", "updates?: .* failed")]:
            selector = self.row("fails", part)
            self.browser.until(f"something on {selector}", lambda: self.browser.run(inked, selector) >= 3)
            self.assertRegex(self.browser.one(selector).get_attribute("aria-label"), words)

    def test_a_hang_is_seen_from_running_to_its_error_and_its_retry_without_loading_the_page_anew(self):
        self.browser.run("""
            window.loadedOnce = true;
            window.seen = [];
            const row = document.querySelector(arguments[0]);
            const text = (part) => row.querySelector(part)?.textContent ?? '';
            new MutationObserver(() => {
              const error = row.querySelector('.error');
              const now = [text('.state .word'), error.hidden ? '' : error.textContent, text('.next')];
              if (String(now) !== String(window.seen.at(-1))) window.seen.push(now);
            }).observe(row, { subtree: true, childList: true, characterData: true, attributes: true });
        """, self.row("hangs-awhile"))

        def turns():
            """A first update that runs, its error with a retry to come, and that retry."""
            seen = iter(self.browser.run("return window.seen"))
            runs = any(state == "Running" and "running" in next for state, _, next in seen)
            fails = any(state == "Enabled" and error.startswith("timeout: ") and "retry in" in next for state, error, next in seen)
            tries_again = any(state == "Running" and error.startswith("timeout: ") for state, error, next in seen)
            return runs and fails and tries_again

        self.browser.until("running, timed out, tried again", turns)
        self.assertTrue(self.browser.run("return window.loadedOnce"))
        self.assertGreaterEqual(int(self.browser.text(self.row("hangs-awhile", ".failures"))), 1)

    def test_a_click_opens_error_why_history_and_display(self):
        self.open_row("hangs-awhile")
        self.browser.until("the error", lambda: "timeout" in self.browser.text("#detail .fault"))
        self.browser.until("why", lambda: "hangs-awhile" in self.browser.text("#detail .why"))
        self.browser.until("a timeout in the history", lambda: self.browser.all('#detail .entries [data-cause="update_timed_out"]'))
        self.browser.shot("opened")
        self.open_row("clock")
        self.browser.one("#detail .display summary").click()
        self.browser.until("what the clock shows", lambda: self.browser.text("#detail .view pre"))

    def test_older_entries_of_the_history_come_when_asked_for(self):
        held = "return fetch('plugins/clock/history').then((answer) => answer.json()).then(({ entries }) => entries.length)"
        self.browser.until("more than a page of history", lambda: self.browser.run(held) >= 70, 90)
        self.open_row("clock")
        # Not folded, so that each entry is one line.
        self.browser.one("#detail .history input").click()
        lines = lambda: len(self.browser.all("#detail .entries li"))
        self.browser.until("a full page and more", lambda: lines() >= 50 and self.browser.one("#detail .history > button").is_displayed())
        oldest = lambda: int(self.browser.all("#detail .seq")[-1].text[1:].split()[0])
        before = oldest()
        self.browser.run("document.querySelector('#detail .history > button').click()")
        self.browser.until("older entries", lambda: oldest() < before)
        numbers = self.browser.run("return [...document.querySelectorAll('#detail .seq')].map((n) => parseInt(n.textContent.slice(2)))")
        self.assertEqual(numbers, sorted(set(numbers), reverse=True))

    def test_a_refused_reload_says_why_and_that_the_old_one_goes_on(self):
        self.open_row("system")
        self.engine.spoil("system")
        self.browser.one('#detail [data-command="reload"]').click()
        self.browser.until("the token is asked for", lambda: self.browser.one("#token-dialog").is_displayed())
        self.browser.press("not the token", Keys.ENTER)
        self.browser.until("a wrong token is refused", lambda: self.browser.one("#token-dialog").is_displayed()
                           and "token" in self.browser.text("#token-why") and not self.browser.one("#token").get_attribute("value"))
        self.browser.press(self.engine.token, Keys.ENTER)
        refusal = self.browser.until("the refusal", lambda: "reload refused" in self.browser.text("#detail .answer.refusal")
                                     and self.browser.text("#detail .answer.refusal"))
        self.assertRegex(refusal, r"PE\d{4}: .*libsystem\.so")
        self.assertIn("goes on", refusal)
        self.browser.until("it is in the history", lambda: self.browser.all('#detail .entries [data-cause="reload_refused"]'))
        self.browser.shot("reload-refused")
        updates = self.browser.text("#detail .figures")
        self.browser.until("updates go on", lambda: self.browser.text("#detail .figures") != updates)
        self.assertIn(self.browser.text("#detail .standing .state .word"), ["Enabled", "Running"])

    def test_commands_switch_a_plugin_off_and_on(self):
        self.browser.run("sessionStorage.setItem('plugin-engine-token', arguments[0])", self.engine.token)
        self.open()
        self.open_row("clock")
        for command, state in [("disable", "Disabled"), ("enable", "Enabled")]:
            self.browser.until(command, lambda: self.browser.one(f'#detail [data-command="{command}"]').is_displayed())
            self.browser.one(f'#detail [data-command="{command}"]').click()
            self.browser.until(f"{command} is done", lambda: f"{command}: done" in self.browser.text("#detail .answer"))
            self.browser.until(f"the row is {state}", lambda: self.browser.text(self.row("clock", ".state .word")) == state)

    def test_keys_alone_find_open_and_close_a_row(self):
        self.browser.press("/")
        self.browser.press("awhile")
        self.browser.until("one row", lambda: len(self.browser.all("#rows .row")) == 1)
        # Past the two choices beside the filter.
        self.browser.press(Keys.TAB, Keys.TAB, Keys.TAB)
        self.assertIn("hangs-awhile", self.browser.focused())
        self.browser.press(Keys.ENTER)
        self.browser.until("it is open", lambda: self.browser.text("#detail-id") == "hangs-awhile")
        self.assertIn("detail-id", self.browser.focused())
        self.browser.press(Keys.ESCAPE)
        self.browser.until("it is closed", lambda: not self.browser.one("#detail").is_displayed())
        self.assertIn("hangs-awhile", self.browser.focused())
        self.browser.run("document.getElementById('filter').value = ''; document.getElementById('filter').dispatchEvent(new Event('input'))")
        before = self.browser.focused()
        self.browser.press(Keys.ARROW_DOWN)
        self.assertNotEqual(self.browser.focused(), before)

    def test_a_stale_task_of_the_engine_is_named(self):
        self.assertNotIn("stale", self.browser.text("#banners"))
        self.browser.run("""
            const real = window.fetch;
            const task = { name: 'scheduler', kind: 'engine', last_tick_at: '2026-01-01T00:00:00.000000Z', seconds_ago: 17, busy_since: null,
                           stale: true, ended: false, restarts: 2 };
            window.fetch = (path, options) => (String(path).endsWith('admin/liveness')
              ? Promise.resolve(new Response(JSON.stringify({ tasks: [task] }))) : real(path, options));
        """)
        self.browser.until("a banner", lambda: "1 task of the engine is stale" in self.browser.text("#banners"))
        self.assertIn("scheduler: last heard of", self.browser.text("#banners"))
        self.browser.shot("stale")

    def test_hostile_text_is_shown_as_text(self):
        self.browser.until("the error", lambda: "onerror=" in self.browser.text(self.row("long-text", ".error")))
        self.open_row("long-text")
        self.browser.until("why", lambda: "onerror=" in self.browser.text("#detail .why"))
        shown = self.browser.text("#detail .fault .message")
        for text in ["\\u{1b}[31m", "\\u{7}", "\\u{202e}gnp.exe", "<img src=x", "<script>"]:
            self.assertIn(text, shown)
        self.assertEqual(self.browser.all("#rows img, #detail img, #rows script, #detail script"), [])
        self.assertRegex(self.browser.driver.title, r"^(\(\d+\) )?Plugin engine$")
        self.browser.shot("hostile")

    def test_a_phone_shows_cards_that_fit(self):
        self.browser.look(360, 780, mobile=True)
        self.open()
        self.browser.shot("phone")
        self.assertEqual(self.browser.run("return document.documentElement.scrollWidth"), 360)
        self.assertFalse(self.browser.one(".row.head").is_displayed())
        for part in [".state", ".health", ".next", ".last", ".timeline", ".sparkline"]:
            self.assertTrue(self.browser.one(self.row("fails", part)).is_displayed(), part)
        self.open_row("long-text")
        self.assertLessEqual(self.browser.run("return document.getElementById('detail').scrollWidth"), 360)
        self.browser.shot("phone-opened")

    def test_a_page_that_nobody_looks_at_gives_its_connections_back(self):
        self.browser.run("""
            window.seen = [];
            const connection = document.getElementById('connection');
            new MutationObserver(() => window.seen.push(connection.dataset.status)).observe(connection, { attributes: true });
        """)
        driver = self.browser.driver
        first = driver.current_window_handle
        driver.switch_to.new_window("tab")
        driver.close()
        driver.switch_to.window(first)
        self.browser.until("paused, and live again", lambda: self.browser.run("return window.seen")[-1:] == ["live"]
                           and "paused" in self.browser.run("return window.seen"))

    def test_text_stands_out_in_the_light_and_in_the_dark(self):
        for scheme in ["light", "dark"]:
            self.browser.look(scheme=scheme)
            self.open()
            self.open_row("hangs-awhile")
            self.browser.shot(scheme)
            self.assertEqual(self.browser.run(CONTRAST), [], scheme)

    def test_a_lost_engine_is_said_and_found_again_without_loading_the_page_anew(self):
        self.browser.run("window.loadedOnce = true")
        self.engine.stop()
        self.browser.until("a banner", lambda: "The connection to the engine is lost" in self.browser.text("#banners"))
        self.assertEqual(self.status(), "lost")
        self.browser.shot("lost")
        self.engine.start()
        self.browser.until("it is live again", lambda: self.status() == "live", 60)
        self.assertNotIn("connection", self.browser.text("#banners"))
        self.assertTrue(self.browser.run("return window.loadedOnce"))


class ManyPlugins(unittest.TestCase):
    """A thousand plugins, of which one is updated fifty times a second."""

    COUNT = 1_000

    @classmethod
    def setUpClass(cls):
        names = (f"sensor-{i:03}" for i in range(cls.COUNT - 2))
        config = "".join(f'[[plugin]]\nfile = "libnoop.so"\nid = "{name}"\ninterval = "1s"\n' for name in names)
        cls.engine = Running({"clock": 'interval = "20ms"\n', "fails": "[settings]\nevery = 1\n", "noop": None}, config)
        cls.browser = Browser()
        cls.browser.look()
        cls.browser.open(cls.engine.url)
        cls.browser.until("all rows", lambda: len(cls.browser.all("#rows .row")) == cls.COUNT, 90)

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        cls.engine.remove()

    def tearDown(self):
        self.browser.run("scrollTo(0, 0); document.getElementById('filter').value = ''")
        self.filter("")
        self.assertEqual(self.browser.problems(), [])

    def filter(self, text):
        self.browser.run("const field = document.getElementById('filter'); field.value = arguments[0];"
                         "field.dispatchEvent(new Event('input'))", text)

    def test_trouble_comes_first_and_only_rows_in_view_are_filled(self):
        first = lambda: self.browser.run("return document.querySelector('#rows .row').dataset.id")
        self.browser.until("what fails comes first", lambda: first() == "fails")
        self.assertLess(self.browser.run("return document.querySelectorAll('#rows canvas').length"), 2 * 60)
        self.browser.shot("many")

    def test_rows_far_down_are_filled_when_they_come_into_view(self):
        last = '[data-id="sensor-997"] '
        self.assertEqual(self.browser.all(last + "canvas"), [])
        self.browser.run("document.querySelector(arguments[0]).scrollIntoView()", last)
        self.browser.until("its updates", lambda: "s ago" in self.browser.text(last + ".last") or "just now" in self.browser.text(last + ".last"))
        updates = lambda: self.browser.one(last + ".sparkline").get_attribute("aria-label")
        before = self.browser.until("how long they took", lambda: "Last" in updates() and updates())
        self.browser.until("more of them, live", lambda: updates() != before)

    def test_a_filter_shows_what_fits(self):
        self.filter("sensor-00")
        self.assertEqual(len(self.browser.all("#rows .row")), 10)
        self.filter("no such plugin")
        self.assertIn("None of 1,000 plugins", self.browser.text("#empty"))

    def test_no_row_is_drawn_more_than_ten_times_a_second(self):
        self.filter("clock")
        self.browser.until("the clock", lambda: self.browser.all('[data-id="clock"] .timeline'))
        drawn = self.browser.driver.execute_async_script("""
            const done = arguments[0];
            const canvas = document.querySelector('[data-id="clock"] .timeline');
            const context = canvas.getContext('2d');
            let drawn = 0;
            context.clearRect = (...area) => { drawn += 1; CanvasRenderingContext2D.prototype.clearRect.apply(context, area); };
            setTimeout(() => { delete context.clearRect; done(drawn); }, 4000);
        """)
        self.assertIn(drawn, range(8, 44))


# Elements with text of their own whose contrast with what they stand on is less than 4.5 to 1.
CONTRAST = """
const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
  .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = channels(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const faint = [];
for (const element of document.querySelectorAll('body *')) {
  const owns = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!owns || element.closest('[hidden], noscript, dialog, .skip, .unseen') || element.offsetParent === null) continue;
  const [a, b] = [luminance(channels(getComputedStyle(element).color)), luminance(ground(element))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) faint.push(`${element.className} "${element.textContent.slice(0, 20)}" ${contrast.toFixed(2)}`);
}
return faint;
"""


if __name__ == "__main__":
    unittest.main(verbosity=2)
