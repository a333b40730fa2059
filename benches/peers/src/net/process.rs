//! The processes of a run: each server fresh and on one core, the load on another. Ends only what it started.

use core_affinity::CoreId;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Starts a program that stays on that core: threads and programs begin where those who started them may run.
fn start(mut command: Command, core: CoreId) -> Result<Child, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let spawn = move || {
        if !core_affinity::set_for_current(core) {
            return Err(format!("cannot stay on core {}", core.id));
        }
        command.spawn().map_err(|error| format!("cannot start {name}: {error}"))
    };
    thread::spawn(spawn).join().unwrap_or_else(|_| Err("the thread that starts it panicked".into()))
}

/// A server that listens.
pub struct Server {
    child: Child,
    pub address: String,
    /// Open for as long as it runs, in case it says more.
    _out: BufReader<ChildStdout>,
}

impl Server {
    /// `log` takes what it says of errors.
    pub fn start(mut command: Command, core: CoreId, log: &Path) -> Result<Self, String> {
        let log_file = File::create(log).map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file);
        let mut child = start(command, core)?;
        let (tell, told) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            thread::spawn(move || {
                let mut out = BufReader::new(out);
                let mut line = String::new();
                // Nobody waits for it once the time is over.
                let _ = tell.send(out.read_line(&mut line).map(|_| (line, out)));
            });
        }
        let address = match told.recv_timeout(Duration::from_secs(20)) {
            Ok(Ok((line, out))) => {
                let (_, address) = line.split_once("http://").unwrap_or_default();
                let address = address.trim().trim_end_matches('/').to_owned();
                (!address.is_empty()).then_some((address, out))
            }
            _ => None,
        };
        if let Some((address, out)) = address {
            return Ok(Self { child, address, _out: out });
        }
        let _ = child.kill();
        let _ = child.wait();
        let said = std::fs::read_to_string(log).unwrap_or_default();
        let why = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Err(format!("it does not listen: {why}"))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The report of the load tool, which has so long for it.
pub fn load(mut command: Command, core: CoreId, patience: Duration) -> Result<Value, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start(command, core)?;
    let read = |pipe: Option<Box<dyn Read + Send>>| {
        thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_string(&mut text);
            }
            text
        })
    };
    let out = read(child.stdout.take().map(|it| Box::new(it) as Box<dyn Read + Send>));
    let said = read(child.stderr.take().map(|it| Box::new(it) as Box<dyn Read + Send>));
    let begin = Instant::now();
    let in_time = loop {
        match child.try_wait() {
            Ok(None) if begin.elapsed() < patience => thread::sleep(Duration::from_millis(10)),
            Ok(None) | Err(_) => break false,
            Ok(Some(_)) => break true,
        }
    };
    if !in_time {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("the load did not end within {} s", patience.as_secs()));
    }
    let (out, said) = (out.join().unwrap_or_default(), said.join().unwrap_or_default());
    serde_json::from_str(&out)
        .map_err(|_| said.lines().last().unwrap_or("the load reported nothing").to_owned())
}
