//! Running the program under test: a time limit, captured output, folders that go away.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// No test needs nearly as long; whatever does hangs.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// What a run left behind.
#[derive(Debug)]
pub struct Done {
    /// The exit code; a signal has none.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Done {
    /// The output of a run that must succeed.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.out, self.err);
        self.out
    }

    /// Checks that a run failed as it should: with this exit code and this text on standard error, in one message.
    #[track_caller]
    pub fn failure(self, code: i32, text: &str) -> Done {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        assert!(self.err.contains(text), "expected `{text}` in: {}", self.err);
        let has_origin = self.err.lines().any(|line| line.starts_with("weft"));
        assert!(has_origin, "an error says who reports it: {}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
}

/// The folder of the conformance programs.
pub fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/programs")
}

/// The folder of this crate's own test data.
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// A command of the program, in the folder of the conformance programs.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    command.args(arguments).current_dir(programs());
    command
}

/// Runs the program to its end.
#[track_caller]
pub fn weft(arguments: &[&str]) -> Done {
    finish(command(arguments).stdin(Stdio::null()))
}

/// `weft run` with a module of the conformance programs and a function.
#[track_caller]
pub fn run(module: &str, function: &str, more: &[&str]) -> Done {
    let (module, function) = (format!("--module={module}.vmfb"), format!("--function={function}"));
    let mut arguments = vec!["run", &module, &function];
    arguments.extend(more);
    weft(&arguments)
}

/// Runs a prepared command to its end.
#[track_caller]
pub fn finish(command: &mut Command) -> Done {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    // Both pipes are read while the program runs, or it would wait for ever for room in one of them.
    let out = child.stdout.take().map(read_apart);
    let err = child.stderr.take().map(read_apart);
    let code = wait(&mut child);
    let text = |reader: Option<std::thread::JoinHandle<Vec<u8>>>| {
        let bytes = reader.map(|reader| reader.join().expect("a reader ends")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Done { code, out: text(out), err: text(err) }
}

fn read_apart(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

/// The exit code of a child, which is ended when it takes too long.
#[track_caller]
pub fn wait(child: &mut Child) -> Option<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status.code();
        }
        if started.elapsed() > TIME_LIMIT {
            child.kill().expect("a child can be ended");
            panic!("the program did not end within {TIME_LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A folder for the files of one test, removed at its end.
pub struct Folder(PathBuf);

impl Folder {
    /// A new, empty folder.
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("weft-cli-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        Folder(path)
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Writes a file and gives its path.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a temporary file can be written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays is untidy, not wrong.
        let _ = fs::remove_dir_all(&self.0);
    }
}
