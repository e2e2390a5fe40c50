"""A running engine and what lies around it, for the tests of its page. What never comes here: a browser."""

import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

TARGET = Path(os.environ["PAGE_TARGET"])
START_SECONDS = 60

# The markup is repeated up to the bound that the engine sets to errors; before it come a colour, a bell and a line break.
HOSTILE = "<img src=x onerror=\\\"document.title='owned'\\\"><script>document.title='owned'</script>\\u202egnp.exe "

PLUGINS = {
    "clock": 'interval = "200ms"\n',
    "system": "",
    "hangs-awhile": 'interval = "4s"\ntimeout = "1500ms"\n[settings]\nms = 2500\n',
    "hangs": 'interval = "10s"\n',
    "fails": "[settings]\nevery = 3\n",
    "long-text": f'interval = "5s"\n[settings]\nunit = "{HOSTILE}"\n',
}


def stem(name):
    return "lib" + name.replace("-", "_")


class Running:
    """An engine with these plugins, over HTTP at an address of its own."""

    def __init__(self, plugins=PLUGINS, config=""):
        self.dir = Path(tempfile.mkdtemp(prefix="page-"))
        self.plugins = self.dir / "plugins"
        self.plugins.mkdir()
        self.state = self.dir / "state"
        self.config = self.dir / "engine.toml"
        self.config.write_text(config)
        for name, toml in plugins.items():
            shutil.copy(TARGET / f"{stem(name)}.so", self.plugins)
            if toml:
                (self.plugins / f"{stem(name)}.toml").write_text(toml)
        self.address = "127.0.0.1:0"
        self.process = None
        self.said = []
        self.start()

    def start(self):
        """Starts it; a second time at the address that it had before."""
        program = [TARGET / "plugin-engine", "run", "--plugins", self.plugins, "--state", self.state]
        program += ["--config", self.config, "--http", self.address]
        self.process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        heard = threading.Event()
        self.listener = threading.Thread(target=self._listen, args=(self.process.stderr, heard), daemon=True)
        self.listener.start()
        if not heard.wait(START_SECONDS):
            self.stop()
            raise AssertionError("it does not say where it listens:\n" + "".join(self.said))

    def _listen(self, stderr, heard):
        for line in stderr:
            self.said.append(line)
            where = re.search(r"http://(127\.0\.0\.1:\d+)", line)
            if where and not heard.is_set():
                self.address = where[1]
                heard.set()

    @property
    def url(self):
        return f"http://{self.address}/"

    @property
    def token(self):
        return (self.state / "token").read_text().strip()

    def spoil(self, name):
        """Puts a file that is no plugin in the place of a plugin's, as a failed copy would."""
        bad = self.plugins / f".{name}"
        bad.write_text("<html>404 not found</html>\n")
        bad.rename(self.plugins / f"{stem(name)}.so")

    def stop(self):
        """Ends it, and waits for that."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.listener.join()
        self.process.stderr.close()

    def remove(self):
        self.stop()
        shutil.rmtree(self.dir)
