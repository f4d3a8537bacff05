//! What only the kernel's debugging interface can do: to hold a single thread of a process.

use rustix::process::Pid;

/// A thread that is held until this is dropped. Whoever holds it is the only one who can let it go, so this stays where it is.
pub(crate) struct Held {
    thread: i32,
    _here: core::marker::PhantomData<*const ()>,
}

impl Held {
    /// Holds the thread of this name of a process that we have started.
    pub(crate) fn hold(process: u32, name: &str) -> Self {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
        let thread = tasks.filter_map(Result::ok).find_map(|task| {
            let called = std::fs::read_to_string(task.path().join("comm")).ok()?;
            (called.trim_end() == name).then(|| task.file_name().to_str()?.parse().ok()).flatten()
        });
        let thread: i32 = thread.unwrap_or_else(|| panic!("no thread {name}"));
        assert!(Pid::from_raw(thread).is_some());
        request(libc::PTRACE_SEIZE, thread);
        request(libc::PTRACE_INTERRUPT, thread);
        // SAFETY: a null status is one that nobody wants.
        // JUSTIFICATION: std waits for processes only, not for threads.
        let stopped = unsafe { libc::waitpid(thread, core::ptr::null_mut(), libc::__WALL) };
        assert_eq!(stopped, thread);
        Self { thread, _here: core::marker::PhantomData }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        request(libc::PTRACE_DETACH, self.thread);
    }
}

fn request(what: u32, thread: i32) {
    let none = core::ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests have neither an address nor data.
    // JUSTIFICATION: there is no safe interface.
    let done = unsafe { libc::ptrace(what, thread, none, none) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// Whether this kernel can hold programs to their files; says so if not.
pub(crate) fn has_landlock() -> bool {
    let none = core::ptr::null::<libc::c_void>();
    // SAFETY: this asks for the version: there are no attributes.
    // JUSTIFICATION: nothing else tells it for sure.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, 1_u32) };
    if version < 1 {
        eprintln!("skipped: this kernel has no Landlock");
    }
    version >= 1
}
