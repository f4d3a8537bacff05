//! `felio shell`: lines from a terminal, from standard input or from the command line, to a daemon.
//!
//! What a line means is in [`felio_shell`]. Here are the prompt, history and completion of a terminal, and the folder where preferences are
//! kept. Lines with passwords in them do not get into the history.

use crate::cli::ShellArgs;
use crate::client::Client;
use crate::daemon::{Restoration, Saving};
use crate::failure::{Failure, Kind};
use felio_control::view::{SessionView, Snapshot};
use felio_control::{Change, Done, Refusal};
use felio_shell::{Daemon, Output, Preferences, Screen, Shell};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Context, Editor, Helper};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Carries out the line of the command line, or else what is typed.
pub(crate) fn run(args: &ShellArgs) -> anyhow::Result<()> {
    let home = Home::find();
    let client = Client::new(&args.socket).map_err(|error| Failure::new(Kind::Running, error.to_string()))?;
    let shell = Shell::new(home.load()?, screen());
    if !args.line.is_empty() {
        one_line(shell, client, &home, &args.line)
    } else if io::stdin().is_terminal() {
        Terminal::new(shell, client, home)?.serve()
    } else {
        all_lines(shell, client, &home)
    }
}

/// The line of the command line: what fails is this program's failure, and nothing is saved at its end.
fn one_line(mut shell: Shell, mut client: Client, home: &Home, words: &[String]) -> anyhow::Result<()> {
    let output = shell.run_words(words, &mut client);
    home.store(shell.preferences())?;
    if output.error {
        return Err(Failure::new(Kind::Running, output.text).into());
    }
    print(&output);
    Ok(())
}

/// Standard input as a script, in the way of targetcli: what fails is said, and the next line follows.
fn all_lines(mut shell: Shell, mut client: Client, home: &Home) -> anyhow::Result<()> {
    for line in io::stdin().lock().lines() {
        let output = shell.run(&line?, &mut client);
        print(&output);
        if output.quit {
            break;
        }
    }
    print(&shell.leave(&mut client));
    home.store(shell.preferences())?;
    Ok(())
}

/// A terminal, and somebody at it.
struct Terminal {
    editor: Editor<Assistant, FileHistory>,
    shell: Rc<RefCell<Shell>>,
    client: Rc<RefCell<Client>>,
    home: Home,
}

impl Terminal {
    fn new(shell: Shell, client: Client, home: Home) -> anyhow::Result<Self> {
        let config = rustyline::Config::builder().completion_type(CompletionType::List).build();
        let mut editor = Editor::with_config(config)?;
        let (shell, client) = (Rc::new(RefCell::new(shell)), Rc::new(RefCell::new(client)));
        editor.set_helper(Some(Assistant { shell: Rc::clone(&shell), client: Rc::clone(&client) }));
        if let Some(file) = home.file(HISTORY) {
            // Before the first time there is none.
            let _ = editor.load_history(&file);
        }
        Ok(Self { editor, shell, client, home })
    }

    fn serve(mut self) -> anyhow::Result<()> {
        loop {
            let prompt = self.shell.borrow().prompt();
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
                let mut shell = self.shell.borrow_mut();
                shell.set_screen(screen());
                shell.run(&line, &mut *self.client.borrow_mut())
            };
            print(&output);
            if output.quit {
                break;
            }
        }
        print(&self.shell.borrow_mut().leave(&mut *self.client.borrow_mut()));
        self.home.store(self.shell.borrow().preferences())?;
        if let Some(file) = self.home.file(HISTORY) {
            fs::create_dir_all(file.parent().unwrap_or(&file))?;
            self.editor.save_history(&file)?;
        }
        Ok(())
    }
}

/// What the line editor asks while somebody types.
struct Assistant {
    shell: Rc<RefCell<Shell>>,
    client: Rc<RefCell<Client>>,
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let found = self.shell.borrow().complete(line, position, &mut *self.client.borrow_mut());
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

impl Daemon for Client {
    fn snapshot(&mut self) -> Result<Snapshot, Refusal> {
        self.get("/v1/snapshot")
    }

    fn apply(&mut self, changes: Vec<Change>) -> Result<Vec<Done>, Refusal> {
        self.post("/v1/changes", &changes)
    }

    fn sessions(&mut self) -> Result<Vec<SessionView>, Refusal> {
        self.get("/v1/sessions")
    }

    fn save(&mut self, file: Option<&str>) -> Result<String, Refusal> {
        self.post("/v1/save", &Saving { file: absolute(file)? })
    }

    fn restore(
        &mut self,
        file: Option<&str>,
        clear_existing: bool,
        target: Option<&str>,
        storage_object: Option<&str>,
    ) -> Result<Vec<String>, Refusal> {
        let what = Restoration {
            file: absolute(file)?,
            clear_existing,
            target: target.map(ToOwned::to_owned),
            storage_object: storage_object.map(ToOwned::to_owned),
        };
        self.post("/v1/restore", &what)
    }
}

/// A file as the user means it: the daemon works in another folder.
fn absolute(file: Option<&str>) -> Result<Option<PathBuf>, Refusal> {
    file.map(std::path::absolute).transpose().map_err(|error| Refusal::invalid(error.to_string()))
}

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
