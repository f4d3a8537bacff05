//! Standard output, written by a thread of its own.
//!
//! Whoever does not read what we print must keep us neither from serving nor from stopping: text waits in a queue with an
//! end, and what finds no room there is counted and lost.

use core::time::Duration;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Texts that may wait.
const QUEUE_MAX: usize = 4096;

/// How long the last texts may take.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Printer {
    queue: SyncSender<String>,
    ended: Receiver<()>,
}

/// There was no room.
#[derive(Debug)]
pub(crate) struct Full;

impl Printer {
    /// Starts the thread.
    pub(crate) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, texts) = sync_channel(QUEUE_MAX);
        let (ending, ended) = channel();
        let write = move || write_all(out, &texts, ending);
        std::thread::Builder::new().name("printer".to_owned()).spawn(write)?;
        Ok(Self { queue, ended })
    }

    /// Hands a text over, without waiting.
    pub(crate) fn print(&self, text: String) -> Result<(), Full> {
        self.queue.try_send(text).map_err(|_| Full)
    }

    /// Waits until all is written, but not for long.
    pub(crate) fn finish(self) {
        let Self { queue, ended } = self;
        drop(queue);
        // The thread sends nothing: it ends, or the time does.
        let _ = ended.recv_timeout(FINISH_TIMEOUT);
    }
}

/// What others may have named, for a terminal: characters that nobody sees, or that change how a line looks, are escaped. Line ends are ours.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' | '\n' => plain.push(c),
            _ => plain.extend(c.escape_debug()),
        }
    }
    plain
}

/// Whoever closes our standard output ends the printing, not the serving.
fn write_all(mut out: impl Write, texts: &Receiver<String>, _ending: Sender<()>) {
    for text in texts {
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn what_would_make_a_line_look_like_another_is_escaped() {
        assert_eq!(plain("iqn.ü:\u{202e}a\u{200b}\u{1b}[2K\r"), "iqn.ü:\\u{202e}a\\u{200b}\\u{1b}[2K\\r");
        assert_eq!(plain("\"it's\" a\\b\n"), "\"it's\" a\\b\n");
    }

    /// Takes nothing before it is told to.
    struct Reluctant {
        told: Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.told.recv();
            self.taken.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_does_not_read_keeps_nobody_waiting_and_who_reads_late_gets_what_waits() {
        let (tell, told) = channel();
        let taken = Arc::default();
        let printer = Printer::start(Reluctant { told, taken: Arc::clone(&taken) }).expect("a thread");
        let printed = (0..2 * QUEUE_MAX).filter(|_| printer.print("x".to_owned()).is_ok()).count();
        assert!((QUEUE_MAX..=QUEUE_MAX + 1).contains(&printed), "{printed}");
        drop(tell);
        printer.finish();
        assert_eq!(taken.lock().expect("no panic").len(), printed);
    }
}
