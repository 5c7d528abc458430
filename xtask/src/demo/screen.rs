//! What people see: plain lines, in colour on a terminal that wants it.

use std::cell::Cell;
use std::io::IsTerminal;

/// Where the demo is shown.
pub(super) struct Screen {
    colour: bool,
    checks: Cell<u32>,
}

#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Dim,
    Green,
    Red,
    Cyan,
}

impl Screen {
    /// Standard output. Colour only on a terminal, unless `NO_COLOR` is set (no-color.org).
    pub(super) fn new() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self {
            colour: std::io::stdout().is_terminal() && !unwanted && !dumb,
            checks: Cell::new(0),
        }
    }

    pub(super) fn title(&self, text: &str) {
        println!("{}", self.ink(Ink::Bold, text));
    }

    pub(super) fn heading(&self, text: &str) {
        println!("\n{}", self.ink(Ink::Bold, text));
    }

    pub(super) fn line(&self, text: &str) {
        if text.is_empty() {
            println!();
        } else {
            println!("  {text}");
        }
    }

    /// A name and what it stands for, in two columns.
    pub(super) fn pair(&self, name: &str, text: &str) {
        println!("  {name:<17} {text}");
    }

    pub(super) fn aside(&self, text: &str) {
        println!("  {}", self.ink(Ink::Dim, text));
    }

    /// What a client or an operator sends.
    pub(super) fn sends(&self, text: &str) {
        println!("  {} {text}", self.ink(Ink::Cyan, "→"));
    }

    /// What comes back, with a colour for whether it passed.
    pub(super) fn gets(&self, status: u16, text: &str) {
        let ink = if status < 400 { Ink::Green } else { Ink::Red };
        println!(
            "  {} {} {text}",
            self.ink(ink, "←"),
            self.ink(ink, &status.to_string())
        );
    }

    pub(super) fn good(&self, text: &str) {
        println!("{}", self.ink(Ink::Green, text));
    }

    /// Text of several lines, indented.
    pub(super) fn block(&self, text: &str) {
        for line in text.lines() {
            println!("      {line}");
        }
    }

    /// Says that something was looked at and found right.
    pub(super) fn checked(&self, text: &str) {
        self.checks.set(self.checks.get().saturating_add(1));
        println!("  {} {text}", self.ink(Ink::Green, "✓"));
    }

    /// Counts a check that has no line of its own.
    pub(super) fn count_check(&self) {
        self.checks.set(self.checks.get().saturating_add(1));
    }

    pub(super) fn checks(&self) -> u32 {
        self.checks.get()
    }

    fn ink(&self, ink: Ink, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Green => "32",
            Ink::Red => "31",
            Ink::Cyan => "36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
