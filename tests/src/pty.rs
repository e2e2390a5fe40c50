//! A program on a terminal that a test holds the other end of.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::rig::wait_for;

const COLUMNS: usize = 80;
const ROWS: usize = 24;

/// A program on a terminal of 80 columns and 24 rows, ended at the latest when its test does.
pub struct OnTerminal {
    child: Child,
    keys: File,
    terminal: OwnedFd,
    written: Arc<Mutex<Vec<u8>>>,
}

impl OnTerminal {
    /// Starts a command with its input and its output there.
    pub fn start(command: &mut Command) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
        grantpt(&keys)
            .and_then(|()| unlockpt(&keys))
            .expect("it is ours");
        let name = ptsname(&keys, Vec::new()).expect("it has a name");
        let path = std::ffi::OsStr::from_bytes(name.to_bytes());
        let open = || OpenOptions::new().read(true).write(true).open(path);
        let terminal: OwnedFd = open().expect("it can be opened").into();
        let size = Winsize {
            ws_col: COLUMNS as u16,
            ws_row: ROWS as u16,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).expect("it has a size");
        let child = command
            .env("TERM", "xterm-256color")
            .stdin(open().expect("it can be opened"))
            .stdout(open().expect("it can be opened"))
            .spawn()
            .expect("the program runs");
        let keys = File::from(keys);
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, heard) = (
            keys.try_clone().expect("it can be read"),
            Arc::clone(&written),
        );
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // Ends with the last who has the terminal open.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                heard.lock().unwrap().extend(&bytes[..count]);
            }
        });
        Self {
            child,
            keys,
            terminal,
            written,
        }
    }

    /// Waits until this is to be read on the screen.
    pub fn await_shown(&self, what: &str) {
        wait_for(what, || self.screen().contains(what));
    }

    /// Waits until this has been written to the terminal, control characters and all.
    pub fn await_written(&self, what: &str) {
        wait_for(what, || self.has_written(what));
    }

    /// Whether this has been written to the terminal.
    pub fn has_written(&self, what: &str) -> bool {
        let written = self.written.lock().unwrap();
        String::from_utf8_lossy(&written).contains(what)
    }

    /// What is to be read on the screen, line by line.
    pub fn screen(&self) -> String {
        let written = self.written.lock().unwrap();
        screen(&String::from_utf8_lossy(&written))
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it takes keys");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program still runs");
    }

    /// Whether the terminal shows what is typed and hands it over by lines, as a shell wants it.
    pub fn is_as_before(&self) -> bool {
        let modes = tcgetattr(&self.terminal)
            .expect("it is a terminal")
            .local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Waits for the end: the exit status.
    pub fn end(&mut self) -> Option<i32> {
        self.child.wait().expect("it can be waited for").code()
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a terminal shows of what was written to it, as far as a program goes that places every character: moves of the cursor and clearing.
fn screen(written: &str) -> String {
    let mut lines = vec![[' '; COLUMNS]; ROWS];
    let (mut row, mut column) = (0, 0);
    let mut chars = written.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.as_str().starts_with('[') => {
                chars.next();
                let mut arguments = String::new();
                let end = chars.by_ref().find(|&c| {
                    arguments.push(c);
                    c.is_ascii_alphabetic()
                });
                arguments.pop();
                match end {
                    Some('H') => {
                        let at = |part: Option<&str>| -> usize {
                            part.and_then(|part| part.parse().ok()).unwrap_or(1) - 1
                        };
                        let mut parts = arguments.split(';');
                        (row, column) = (at(parts.next()), at(parts.next()));
                    }
                    Some('J') => lines.fill([' '; COLUMNS]),
                    _ => {}
                }
            }
            '\r' => column = 0,
            '\n' => row += 1,
            _ if c.is_control() => {}
            _ => {
                if let Some(cell) = lines.get_mut(row).and_then(|line| line.get_mut(column)) {
                    *cell = c;
                }
                column += 1;
            }
        }
    }
    let lines = lines.iter().map(|line| line.iter().collect::<String>());
    lines
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}
