//! `felio shell`: lines from a terminal, from standard input or from the command line, to a daemon.
//!
//! What a line means is in [`felio_shell`]. Here are the prompt, history and completion of a terminal, and the folder where preferences are
//! kept. Lines with passwords in them do not get into the history.

use crate::cli::ShellArgs;
use crate::daemon::{Cursor, Line, Told, Typed};
use crate::failure::{Failure, Kind};
use crate::watch;
use felio_client::Client;
use felio_shell::{Completion, Output, Preferences, Screen, Shell, Watching};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Context, Editor, Helper};
use signal_hook::consts::SIGINT;
use std::borrow::Cow;
use std::cell::RefCell;
use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Carries out the line of the command line, or else what is typed.
pub(crate) fn run(args: &ShellArgs) -> anyhow::Result<()> {
    let home = Home::find();
    let client = args.daemon.client()?;
    let seat = Seat { shell: Shell::new(home.load()?, screen()), client, folder: std::env::current_dir()? };
    if !args.line.is_empty() {
        one_line(seat, &home, &args.line)
    } else if io::stdin().is_terminal() {
        Terminal::new(seat, home)?.serve()
    } else {
        all_lines(seat, &home)
    }
}

/// The line of the command line, in one word or in several: what fails is this program's failure, and nothing is saved at its end.
fn one_line(mut seat: Seat, home: &Home, words: &[String]) -> anyhow::Result<()> {
    let output = seat.carry_out(match words {
        [line] => Line::Text(line.clone()),
        words => Line::Words(words.to_vec()),
    });
    home.store(seat.shell.preferences())?;
    if output.error {
        return Err(Failure::new(Kind::Running, output.text).into());
    }
    print(&output);
    seat.watch(output)
}

/// Standard input as a script, in the way of targetcli: what fails is said, and the next line follows.
fn all_lines(mut seat: Seat, home: &Home) -> anyhow::Result<()> {
    for line in io::stdin().lock().lines() {
        let output = seat.carry_out(Line::Text(line?));
        print(&output);
        if output.quit {
            break;
        }
        seat.watch(output)?;
    }
    print(&seat.carry_out(Line::End));
    home.store(seat.shell.preferences())?;
    Ok(())
}

/// Somebody's place at a daemon.
struct Seat {
    shell: Shell,
    client: Client,
    /// The folder that relative names of files are meant in.
    folder: PathBuf,
}

impl Seat {
    fn carry_out(&mut self, line: Line) -> Output {
        match self.client.post("/v1/shell", &self.typed(line)) {
            Ok(Told { shell, output }) => {
                self.shell = shell;
                output
            }
            Err(refusal) => Output::failed(&refusal),
        }
    }

    /// Shows what happens, if that is what was typed.
    fn watch(&self, output: Output) -> anyhow::Result<()> {
        match output.watch {
            Some(what) => watch::show(self.client.events().map_err(Failure::from)?, what),
            None => Ok(()),
        }
    }

    /// What can stand there; nothing when the daemon is gone.
    fn complete(&self, line: &str, position: usize) -> Option<Completion> {
        let cursor = Cursor { line: line.to_owned(), position };
        self.client.post("/v1/complete", &self.typed(cursor)).ok()
    }

    fn typed<T>(&self, what: T) -> Typed<T> {
        Typed { shell: self.shell.clone(), folder: self.folder.clone(), what }
    }
}

/// A terminal, and somebody at it.
struct Terminal {
    editor: Editor<Assistant, FileHistory>,
    seat: Rc<RefCell<Seat>>,
    home: Home,
    /// What Ctrl-C does that is no key of the line editor: whoever was told of it once is told of it for good.
    ends_by_interrupt: Arc<AtomicBool>,
}

impl Terminal {
    fn new(seat: Seat, home: Home) -> anyhow::Result<Self> {
        let config = rustyline::Config::builder().completion_type(CompletionType::List).build();
        let mut editor = Editor::with_config(config)?;
        let seat = Rc::new(RefCell::new(seat));
        editor.set_helper(Some(Assistant(Rc::clone(&seat))));
        if let Some(file) = home.file(HISTORY) {
            // Before the first time there is none.
            let _ = editor.load_history(&file);
        }
        let ends_by_interrupt = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&ends_by_interrupt))?;
        Ok(Self { editor, seat, home, ends_by_interrupt })
    }

    fn serve(mut self) -> anyhow::Result<()> {
        loop {
            let prompt = self.seat.borrow().shell.prompt();
            let line = match self.editor.readline(&prompt) {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(error.into()),
            };
            if !line.contains("password") {
                self.editor.add_history_entry(&line)?;
            }
            let output = {
                let mut seat = self.seat.borrow_mut();
                seat.shell.set_screen(screen());
                seat.carry_out(Line::Text(line))
            };
            print(&output);
            if output.quit {
                break;
            }
            if let Some(what) = output.watch
                && let Err(error) = self.watch(what)
            {
                let _ = writeln!(io::stderr(), "{error}");
            }
        }
        print(&self.seat.borrow_mut().carry_out(Line::End));
        self.home.store(self.seat.borrow().shell.preferences())?;
        if let Some(file) = self.home.file(HISTORY) {
            fs::create_dir_all(file.parent().unwrap_or(&file))?;
            self.editor.save_history(&file)?;
        }
        Ok(())
    }

    /// Shows what happens until somebody has seen enough; Ctrl-C ends that, and not the shell.
    fn watch(&self, what: Watching) -> anyhow::Result<()> {
        let events = self.seat.borrow().client.events().map_err(Failure::from)?;
        self.ends_by_interrupt.store(false, Ordering::SeqCst);
        let done = watch::show_until_interrupted(events, what);
        self.ends_by_interrupt.store(true, Ordering::SeqCst);
        done
    }
}

/// What the line editor asks while somebody types.
struct Assistant(Rc<RefCell<Seat>>);

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let found = self.0.borrow().complete(line, position);
        let found = found.unwrap_or(Completion { start: position, candidates: Vec::new() });
        let width = found.candidates.iter().map(|one| one.text.chars().count()).max().unwrap_or(0);
        let columns = screen().width.saturating_sub(2);
        let pairs = found.candidates.into_iter().map(|one| {
            let explained = format!("{:width$}  {}", one.text, one.doc);
            let end = if one.text.ends_with(['/', '=']) { "" } else { " " };
            let display = explained.trim_end().chars().take(columns).collect();
            Pair { display, replacement: format!("{}{end}", one.text) }
        });
        Ok((found.start, pairs.collect()))
    }
}

impl Highlighter for Assistant {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if screen().colour { Cow::Owned(format!("\x1b[1m{prompt}\x1b[0m")) } else { Cow::Borrowed(prompt) }
    }
}

impl Hinter for Assistant {
    type Hint = String;
}

impl Validator for Assistant {}

impl Helper for Assistant {}

/// Where preferences and history are kept: `TARGETCLI_HOME`, or felio's place in the user's own folder for such things.
struct Home(Option<PathBuf>);

const PREFERENCES: &str = "shell.json";
const HISTORY: &str = "shell_history";

impl Home {
    fn find() -> Self {
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = || absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
        Self(absolute("TARGETCLI_HOME").or_else(|| Some(config()?.join("felio"))))
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        self.0.as_ref().map(|folder| folder.join(name))
    }

    fn load(&self) -> anyhow::Result<Preferences> {
        let Some(file) = self.file(PREFERENCES) else { return Ok(Preferences::default()) };
        match fs::read(&file) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).map_err(|error| unreadable(&file, &error))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Preferences::default()),
            Err(error) => Err(unreadable(&file, &error).into()),
        }
    }

    /// Keeps them if they have changed; whoever reads them meanwhile reads the old ones or the new ones.
    fn store(&self, preferences: &Preferences) -> anyhow::Result<()> {
        let Some(file) = self.file(PREFERENCES) else { return Ok(()) };
        if *preferences == self.load()? {
            return Ok(());
        }
        let written = || -> io::Result<()> {
            fs::create_dir_all(file.parent().unwrap_or(&file))?;
            let draft = file.with_extension("json.new");
            fs::write(&draft, serde_json::to_vec_pretty(preferences)?)?;
            fs::rename(&draft, &file)
        };
        written().map_err(|error| {
            let what = format!("preferences are not kept: {}: {error}", file.display());
            Failure::new(Kind::Running, what).hint("TARGETCLI_HOME names another folder")
        })?;
        Ok(())
    }
}

fn unreadable(file: &Path, error: &dyn core::fmt::Display) -> Failure {
    Failure::new(Kind::Usage, format!("preferences cannot be read: {}: {error}", file.display()))
        .hint("delete the file to go back to the defaults")
}

fn screen() -> Screen {
    let out = io::stdout();
    let size = rustix::termios::tcgetwinsize(&out).ok().map(|size| usize::from(size.ws_col));
    let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    Screen { width: size.filter(|columns| *columns > 0).unwrap_or(COLUMNS), colour }
}

/// The width of what is no terminal.
const COLUMNS: usize = 100;

/// Failures to standard error, all else to standard output; where nobody reads there is nobody to tell.
fn print(output: &Output) {
    if output.text.is_empty() {
        return;
    }
    let _ = match output.error {
        true => writeln!(io::stderr(), "{}", output.text),
        false => writeln!(io::stdout(), "{}", output.text),
    };
}
