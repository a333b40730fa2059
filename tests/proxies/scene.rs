//! A server, a proxy before it, and clients that come through the proxy from addresses of their own. All that
//! was started ends with the scene, whatever fails.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sockeye::client::{Client, ClientError, Connect};

use crate::files::{self, NAME, Patience, Ports};

/// How long anything may take before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
    Caddy,
}

/// Where TLS ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// At the proxy; a Unix socket behind it.
    Edge,
    /// At the proxy, and begins again.
    Again,
    /// There is none; a Unix socket behind the proxy.
    Plain,
    /// At the server; the proxy speaks the PROXY protocol.
    Through,
}

impl Kind {
    fn command(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
        }
    }

    pub(crate) fn shapes(self) -> Vec<Shape> {
        let mut shapes = vec![Shape::Edge, Shape::Again, Shape::Plain];
        if self != Self::Caddy {
            shapes.push(Shape::Through);
        }
        shapes
    }

    /// The program, where it is installed, with what its configuration needs; `None` after saying why.
    fn program(self) -> Option<PathBuf> {
        let name = self.command();
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Not all users have these in their path.
        let also = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
        let found = std::env::split_paths(&path)
            .chain(also)
            .map(|folder| folder.join(name))
            .find(|program| program.is_file());
        let lacks = match &found {
            None => Some(name.to_owned()),
            Some(_) if self == Self::Nginx && files::stream_module().is_none() => {
                Some("nginx's stream module (libnginx-mod-stream)".to_owned())
            }
            Some(_) => None,
        };
        let Some(lacks) = lacks else {
            return found;
        };
        let required = std::env::var_os("SOCKEYE_REQUIRE_TOOLS").is_some_and(|it| it == "1");
        // Caddy is tried where it is, and asked of nobody.
        assert!(!required || self == Self::Caddy, "{lacks} is not installed");
        eprintln!("skipped: {lacks} is not installed");
        None
    }
}

/// Both directions of whatever carries a WebSocket.
pub(crate) trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

pub(crate) struct Scene {
    kind: Kind,
    shape: Shape,
    ports: Ports,
    authority: Vec<u8>,
    // In the order in which they end.
    proxy: Guard,
    server: Guard,
    folder: Folder,
}

/// What the programs keep; goes when they have ended.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("sockeye-proxies-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        let _ = fs::remove_dir_all(&folder.0);
        fs::create_dir_all(&folder.0).unwrap();
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Scene {
    /// `None` after saying why, where the proxy is not installed.
    pub(crate) fn start(kind: Kind, shape: Shape, arguments: &[&str]) -> Option<Self> {
        Self::with_patience(kind, shape, arguments, &Patience("75s"))
    }

    pub(crate) fn with_patience(
        kind: Kind,
        shape: Shape,
        arguments: &[&str],
        patience: &Patience,
    ) -> Option<Self> {
        let program = kind.program()?;
        let kept = Folder::new();
        let folder = kept.0.clone();
        let ports = Ports::free();
        let authority = files::certificates(&folder);
        let server = server(&folder, shape, &ports, arguments);
        let mut command = Command::new(program);
        match kind {
            Kind::Nginx => {
                files::nginx(&folder, &ports, patience, files::stream_module().as_deref());
                command.arg("-p").arg(&folder).arg("-c").arg(folder.join("nginx.conf"));
                command.args(["-g", "daemon off;"]);
            }
            Kind::Haproxy => {
                files::haproxy(&folder, &ports, patience);
                command.args(["-W", "-f"]).arg(folder.join("haproxy.cfg"));
            }
            Kind::Caddy => {
                files::caddy(&folder, &ports);
                command.arg("run").arg("--config").arg(folder.join("Caddyfile"));
                command.env("HOME", &folder);
            }
        }
        let said = File::create(folder.join("proxy.out")).unwrap();
        let child = command
            // Its workers end with it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let proxy = Guard(child);
        let mut scene = Self { kind, shape, ports, authority, proxy, server, folder: kept };
        scene.await_proxy();
        Some(scene)
    }

    fn await_proxy(&mut self) {
        let begin = Instant::now();
        while TcpStream::connect(self.address()).is_err() {
            let over = self.proxy.0.try_wait().unwrap();
            let late = begin.elapsed() > PATIENCE;
            assert!(
                over.is_none() && !late,
                "{:?} did not start: {}",
                self.kind,
                self.said("proxy.out")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn said(&self, file: &str) -> String {
        fs::read_to_string(self.folder.0.join(file)).unwrap_or_default()
    }

    /// What the server has logged so far.
    pub(crate) fn log(&self) -> String {
        self.said("server.log")
    }

    fn address(&self) -> SocketAddr {
        let port = match self.shape {
            Shape::Edge => self.ports.edge,
            Shape::Again => self.ports.again,
            Shape::Plain => self.ports.plain,
            Shape::Through => self.ports.through,
        };
        ([127, 0, 0, 1], port).into()
    }

    /// A connection to the proxy from one of this machine's addresses, 127.0.0.`last`.
    pub(crate) fn stream(&self, last: u8) -> Box<dyn Wire> {
        let tcp = from(last, self.address());
        if self.shape == Shape::Plain {
            return Box::new(tcp);
        }
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.authority.clone())).unwrap();
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        let tls = ClientConnection::new(Arc::new(config), NAME.try_into().unwrap()).unwrap();
        Box::new(StreamOwned::new(tls, tcp))
    }

    /// The same to where there is no TLS and no server either.
    pub(crate) fn redirecting(&self) -> TcpStream {
        from(2, ([127, 0, 0, 1], self.ports.redirect).into())
    }

    pub(crate) fn open(
        &self,
        last: u8,
        target: &str,
        options: &Connect,
    ) -> Result<Client<Box<dyn Wire>>, ClientError> {
        options.over(self.stream(last), &format!("ws://{NAME}{target}"))
    }

    pub(crate) fn signal_server(&self, name: &str) {
        signal(name, &self.server.0.id().to_string());
    }

    pub(crate) fn server_ended(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.server.0.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "the server did not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets the proxy read its configuration anew; waits until other workers serve.
    pub(crate) fn reload_proxy(&self) {
        let before = self.workers();
        let name = if self.kind == Kind::Nginx { "HUP" } else { "USR2" };
        let begin = Instant::now();
        let mut told = None::<Instant>;
        while self.workers().iter().all(|worker| before.contains(worker)) {
            // One that has just started may not listen yet.
            if told.is_none_or(|at| at.elapsed() > Duration::from_secs(2)) {
                signal(name, &self.proxy.0.id().to_string());
                told = Some(Instant::now());
            }
            assert!(begin.elapsed() < PATIENCE, "no new worker: {}", self.said("proxy.out"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Processes whose parent the proxy is.
    fn workers(&self) -> Vec<String> {
        let pid = self.proxy.0.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        children.unwrap().split_whitespace().map(str::to_owned).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "{:?}, {:?}\nthe proxy: {}{}\nthe server: {}",
                self.kind,
                self.shape,
                self.said("proxy.out"),
                self.said("proxy.log"),
                self.log()
            );
        }
    }
}

/// A process and those that it started.
struct Guard(Child);

impl Guard {
    /// As the program itself ends, if it does so soon: a master then sees to its workers. Else all of its group,
    /// which is its own.
    fn end(&mut self) {
        let (pid, group) = (self.0.id().to_string(), format!("-{}", self.0.id()));
        let kill = |name: &str, whom: &str| {
            let mut kill = Command::new("kill");
            let _ = kill.args(["-s", name, "--", whom]).stderr(Stdio::null()).status();
        };
        // Once its end was seen its number may be another's.
        if !self.is_running() {
            return;
        }
        kill("TERM", &pid);
        let begin = Instant::now();
        while self.is_running() {
            if begin.elapsed() > Duration::from_secs(3) {
                kill("KILL", &group);
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args(["-s", name, pid]).status().unwrap().success());
}

fn from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn server(folder: &Path, shape: Shape, ports: &Ports, arguments: &[&str]) -> Guard {
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let listen = |port: u16| {
        let (cert, key) = (file("chain.pem"), file("key.pem"));
        let address = format!("127.0.0.1:{port}");
        [
            "--listen",
            &address,
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
            "--trusted-proxy",
            "127.0.0.1",
        ]
        .map(str::to_owned)
        .to_vec()
    };
    let mut flags = match shape {
        Shape::Edge | Shape::Plain => {
            let socket = file("sockeye.sock");
            ["--unix", &socket, "--trusted-proxy", "unix"].map(str::to_owned).to_vec()
        }
        Shape::Again => listen(ports.server_again),
        Shape::Through => listen(ports.server_through),
    };
    if shape == Shape::Through {
        flags.push("--proxy-protocol".to_owned());
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_sockeye"))
        .args(flags)
        .args(arguments)
        .env("SOCKEYE_LOG", "info")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(folder.join("server.log")).unwrap())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let guard = Guard(child);
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).unwrap();
    assert!(line.starts_with("chat on "), "the server does not serve: {line:?}");
    guard
}
