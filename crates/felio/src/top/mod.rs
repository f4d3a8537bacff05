//! `felio top`: what the daemon's disks and sessions are doing, live.
//!
//! [`sample`] makes rows of two readings of `/v1/stats`, [`screen`] draws them; here are the terminal and the keys.

mod sample;
mod screen;

use crate::cli::TopArgs;
use crate::failure::{Failure, Kind};
use core::time::Duration;
use felio_client::Client;
use felio_control::stats::Stats;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use sample::Sample;
use screen::Screen;
use std::io::Write as _;
use std::time::Instant;

/// Shows until somebody has seen enough; once, where it is not for somebody who watches.
pub(crate) fn run(args: &TopArgs) -> anyhow::Result<()> {
    let client = args.daemon.client()?;
    let first = read(&client)?;
    if args.once || args.json {
        std::thread::sleep(args.interval());
        let sample = Sample::between(&first, &read(&client)?);
        let text = if args.json { serde_json::to_string(&sample)? + "\n" } else { screen::plain(&sample) };
        std::io::stdout().write_all(text.as_bytes())?;
        return Ok(());
    }
    let mut terminal = ratatui::try_init().map_err(|error| {
        Failure::new(Kind::Usage, format!("no terminal to draw on: {error}")).hint("--once prints")
    })?;
    let watched = watch(&mut terminal, &client, args.interval(), first);
    ratatui::restore();
    watched
}

fn watch(
    terminal: &mut DefaultTerminal,
    client: &Client,
    interval: Duration,
    mut last: Stats,
) -> anyhow::Result<()> {
    let mut screen = Screen::default();
    let mut sample = Sample::between(&last, &last);
    let mut next = Instant::now() + interval;
    loop {
        terminal.draw(|frame| screen.draw(&sample, frame))?;
        if event::poll(next.saturating_duration_since(Instant::now()))?
            && let Event::Key(key) = event::read()?
        {
            if is_end(key) {
                return Ok(());
            }
            screen.handle_key(key.code);
        }
        if next <= Instant::now() {
            let now = read(client)?;
            sample = Sample::between(&last, &now);
            last = now;
            next = Instant::now() + interval;
        }
    }
}

fn is_end(key: KeyEvent) -> bool {
    let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

fn read(client: &Client) -> Result<Stats, Failure> {
    Ok(client.stats()?)
}
