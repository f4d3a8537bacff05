//! Rows become a screen, or lines.

use super::sample::{Row, Sample};
use core::cmp::Reverse;
use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize as _};
use ratatui::widgets::{Paragraph, Row as Line, Table};

/// What is looked at, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Screen {
    view: View,
    order: Order,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum View {
    #[default]
    Storage,
    Sessions,
}

/// Which row comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Commands,
    Bytes,
    Latency,
    Name,
}

/// A column: its head, its width, and what stands in it.
type Column = (&'static str, u16, fn(&Row) -> String);

const COLUMNS: [Column; 9] = [
    ("IOPS", 9, |row| row.commands.to_string()),
    ("READ/s", 9, |row| row.reads.to_string()),
    ("WRITE/s", 9, |row| row.writes.to_string()),
    ("MB/s IN", 9, |row| tenths(row.bytes_in, 1_000_000)),
    ("MB/s OUT", 9, |row| tenths(row.bytes_out, 1_000_000)),
    ("p50 ms", 9, |row| row.p50_nanos.map_or("-".to_owned(), millis)),
    ("p99 ms", 9, |row| row.p99_nanos.map_or("-".to_owned(), millis)),
    ("QUEUE", 6, |row| row.in_flight.to_string()),
    ("ERRORS", 8, |row| row.errors.to_string()),
];

/// The least that a name gets.
const NAME_WIDTH: u16 = 24;

impl Screen {
    /// A key was pressed that does not end the program.
    pub(super) const fn handle_key(&mut self, key: KeyCode) {
        match key {
            KeyCode::Tab => {
                self.view = match self.view {
                    View::Storage => View::Sessions,
                    View::Sessions => View::Storage,
                }
            }
            KeyCode::Char('s') => {
                self.order = match self.order {
                    Order::Commands => Order::Bytes,
                    Order::Bytes => Order::Latency,
                    Order::Latency => Order::Name,
                    Order::Name => Order::Commands,
                }
            }
            _ => {}
        }
    }

    pub(super) fn draw(self, sample: &Sample, frame: &mut Frame<'_>) {
        let (title, rows) = match self.view {
            View::Storage => ("storage objects", &sample.storage),
            View::Sessions => ("sessions", &sample.sessions),
        };
        let order = match self.order {
            Order::Commands => "IOPS",
            Order::Bytes => "bytes",
            Order::Latency => "p99",
            Order::Name => "name",
        };
        let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(frame.area());
        let keys =
            format!("felio top: {} {title} by {order}   tab: other view  s: sort  q: quit", rows.len());
        frame.render_widget(Paragraph::new(keys).bold(), head);
        let widths = COLUMNS.map(|(_, width, _)| Constraint::Length(width));
        let widths = core::iter::once(Constraint::Min(NAME_WIDTH)).chain(widths);
        let heads = core::iter::once("NAME".to_owned())
            .chain(COLUMNS.map(|(head, width, _)| right(head, usize::from(width))));
        let lines = self.sorted(rows).into_iter().map(|row| Line::new(cells(row)));
        let table = Table::new(lines, widths).header(Line::new(heads).style(Style::new().reversed()));
        frame.render_widget(table, body);
    }

    fn sorted(self, rows: &[Row]) -> Vec<&Row> {
        let mut rows: Vec<&Row> = rows.iter().collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        match self.order {
            Order::Commands => rows.sort_by_key(|row| Reverse(row.commands)),
            Order::Bytes => rows.sort_by_key(|row| Reverse(row.bytes_in.saturating_add(row.bytes_out))),
            Order::Latency => rows.sort_by_key(|row| Reverse(row.p99_nanos)),
            Order::Name => {}
        }
        rows
    }
}

/// Both views, as lines of text.
pub(super) fn plain(sample: &Sample) -> String {
    let mut text = String::new();
    for (title, rows) in [("STORAGE", &sample.storage), ("SESSION", &sample.sessions)] {
        let names = rows.iter().map(|row| row.name.chars().count());
        let width = names.max().unwrap_or(0).max(usize::from(NAME_WIDTH));
        let mut line = |name: &str, cells: Vec<String>| {
            text.push_str(&format!("{name:width$} {}", cells.join(" ")));
            text.push('\n');
        };
        line(title, COLUMNS.map(|(head, width, _)| right(head, usize::from(width))).to_vec());
        for row in Screen::default().sorted(rows) {
            line(&row.name, cells(row).into_iter().skip(1).collect());
        }
    }
    text
}

fn cells(row: &Row) -> Vec<String> {
    let values = COLUMNS.map(|(_, width, value)| right(&value(row), usize::from(width)));
    core::iter::once(row.name.clone()).chain(values).collect()
}

fn right(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

/// A number in a larger unit, with one digit behind the point.
fn tenths(number: u64, unit: u64) -> String {
    let tenths = number.saturating_mul(10) / unit;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Nanoseconds as milliseconds, with three digits behind the point.
fn millis(nanos: u64) -> String {
    let micros = nanos / 1000;
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

#[cfg(test)]
mod tests {
    use super::super::sample::tests::reading;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(screen: Screen) -> String {
        let sample = Sample::between(&reading(0, 0), &reading(1_000_000_000, 2500));
        let mut terminal = Terminal::new(TestBackend::new(120, 4)).expect("a screen");
        terminal.draw(|frame| screen.draw(&sample, frame)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn a_storage_object_is_shown_with_its_rates() {
        let screen = drawn(Screen::default());
        let line = screen.lines().find(|line| line.contains("/backstores/ramdisk/a")).expect("its line");
        let words: Vec<&str> = line.trim_matches('"').split_whitespace().skip(1).collect();
        assert_eq!(words, ["2500", "2500", "0", "10.2", "0.0", "0.000", "0.000", "3", "0"]);
    }

    #[test]
    fn tab_shows_the_sessions() {
        let mut screen = Screen::default();
        screen.handle_key(KeyCode::Tab);
        assert!(drawn(screen).contains("0 sessions by IOPS"));
    }

    #[test]
    fn s_sorts_by_something_else() {
        let mut screen = Screen::default();
        let row = |name: &str, commands, bytes_in| Row {
            name: name.to_owned(),
            commands,
            bytes_in,
            ..Row::default()
        };
        let rows = [row("a", 1, 9), row("b", 2, 1)];
        assert_eq!(screen.sorted(&rows)[0].name, "b");
        screen.handle_key(KeyCode::Char('s'));
        assert_eq!(screen.sorted(&rows)[0].name, "a");
    }

    #[test]
    fn without_a_terminal_there_are_lines() {
        let text = plain(&Sample::between(&reading(0, 0), &reading(1_000_000_000, 1)));
        assert!(text.starts_with("STORAGE") && text.contains("\nSESSION"), "{text}");
    }
}
