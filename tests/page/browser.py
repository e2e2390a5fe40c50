"""Chromium without a window, as Debian packages it. What never comes here: what the page shows."""

import os
import time
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

SHOTS = Path(os.environ["PAGE_SHOTS"])
WAIT_SECONDS = float(os.environ.get("PAGE_WAIT", 30))

# What was refused by the content security policy, and errors that nobody caught, from the first script on.
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI));
addEventListener('error', (event) => window.violations.push(String(event.message)));
addEventListener('unhandledrejection', (event) => window.violations.push(String(event.reason)));
"""


class Browser:
    def __init__(self):
        options = webdriver.ChromeOptions()
        # Root, as which tests run where they are alone on a machine, has no sandbox.
        for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})

    def look(self, width=1440, height=900, scheme="light", mobile=False, motion="no-preference"):
        """Looks as another screen would."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, url):
        # Away first: an address that differs only behind its # would not be loaded anew.
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(url)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """What a person reads there; empty where there is nothing."""
        for element in self.all(selector):
            try:
                return element.text
            except StaleElementReferenceException:
                return ""
        return ""

    def press(self, *keys):
        """Presses keys wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self):
        return self.run("return document.activeElement.outerHTML.slice(0, 200)")

    def until(self, what, holds, seconds=WAIT_SECONDS):
        """Waits until `holds()` is true, and returns what it is."""
        end = time.monotonic() + seconds
        while True:
            found = holds()
            if found:
                return found
            if time.monotonic() > end:
                self.shot("failed")
                raise AssertionError(f"not within {seconds} s: {what}")
            time.sleep(0.05)

    def shot(self, name):
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SHOTS / f"{name}.png"))

    def problems(self):
        """What went wrong in the page since it was opened; answers that say no are not among it."""
        logged = [entry["message"] for entry in self.driver.get_log("browser")
                  if entry["level"] in ("SEVERE", "WARNING") and entry["source"] != "network"]
        return logged + self.run("return window.violations ?? []")

    def quit(self):
        self.driver.quit()
