//! What is measured: each cell is one load, and each rival is a server that can take part in some of them.

/// What a server is asked to do in a cell, and how that is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Messages of so many bytes come back, so many in flight on each of 100 connections.
    Echo { size: u32, depth: u32 },
    /// The same as JSON text with permessage-deflate.
    Deflate { size: u32, depth: u32 },
    /// What one says goes to a thousand others.
    Broadcast { size: u32, depth: u32 },
    /// Connections opened and closed.
    Handshake,
    /// Memory of connections at rest.
    Idle,
}

#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// For `--cells` and results.json.
    pub id: &'static str,
    pub title: &'static str,
    pub kind: Kind,
}

pub const CELLS: [Cell; 13] = [
    Cell { id: "echo-20-1", title: "echo 20 B, 1 in flight", kind: echo(20, 1) },
    Cell { id: "echo-20-16", title: "echo 20 B, 16 in flight", kind: echo(20, 16) },
    Cell { id: "echo-1k-1", title: "echo 1 KiB, 1 in flight", kind: echo(1 << 10, 1) },
    Cell { id: "echo-1k-16", title: "echo 1 KiB, 16 in flight", kind: echo(1 << 10, 16) },
    Cell { id: "echo-16k-1", title: "echo 16 KiB, 1 in flight", kind: echo(16 << 10, 1) },
    Cell { id: "echo-16k-16", title: "echo 16 KiB, 16 in flight", kind: echo(16 << 10, 16) },
    Cell { id: "echo-1m-1", title: "echo 1 MiB, 1 in flight", kind: echo(1 << 20, 1) },
    Cell {
        id: "deflate-1k-1",
        title: "deflate echo, 1 KiB JSON, 1 in flight",
        kind: Kind::Deflate { size: 1 << 10, depth: 1 },
    },
    Cell {
        id: "deflate-1k-16",
        title: "deflate echo, 1 KiB JSON, 16 in flight",
        kind: Kind::Deflate { size: 1 << 10, depth: 16 },
    },
    Cell {
        id: "broadcast-1",
        title: "broadcast to 1,000, 100 B, 1 in flight",
        kind: Kind::Broadcast { size: 100, depth: 1 },
    },
    Cell {
        id: "broadcast-16",
        title: "broadcast to 1,000, 100 B, 16 in flight",
        kind: Kind::Broadcast { size: 100, depth: 16 },
    },
    Cell { id: "handshake", title: "opening handshakes", kind: Kind::Handshake },
    Cell { id: "idle", title: "idle connection, bytes of RSS", kind: Kind::Idle },
];

const fn echo(size: u32, depth: u32) -> Kind {
    Kind::Echo { size, depth }
}

impl Cell {
    /// Less is better.
    pub fn is_memory(&self) -> bool {
        self.kind == Kind::Idle
    }

    fn depth(&self) -> u32 {
        match self.kind {
            Kind::Echo { depth, .. }
            | Kind::Deflate { depth, .. }
            | Kind::Broadcast { depth, .. } => depth,
            Kind::Handshake | Kind::Idle => 1,
        }
    }

    /// What the server is compared to: the one that does nothing else.
    pub fn floor(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Echo { .. } => Some("floor-mio"),
            Kind::Broadcast { .. } => Some("floor-ws"),
            _ => None,
        }
    }

    /// What `sockeye bench` is told, without the server's address and process.
    pub fn load(&self, rival: &Rival, seconds: f64) -> Vec<String> {
        let mut words: Vec<String> = vec![];
        let mut add = |more: &[&str]| words.extend(more.iter().map(|&it| it.to_owned()));
        // The load's ports must last: some 28,000 for each address.
        let sources = ["--source-ip", "127.0.0.1-127.0.0.16"];
        match self.kind {
            Kind::Echo { size, .. } if rival.id == "floor-mio" => {
                // The same bytes as the others get: a frame with its header and key.
                let frame = size + if size < 126 { 6 } else { 8 + 6 * u32::from(size > 65_535) };
                add(&["-m", "echo", "-c", "100", "--binary", "--raw", "-s", &frame.to_string()]);
            }
            Kind::Echo { size, .. } => {
                add(&["-m", "echo", "-c", "100", "--binary", "-s", &size.to_string()]);
            }
            Kind::Deflate { size, .. } => {
                let size = size.to_string();
                add(&["-m", "echo", "-c", "100", "--json-message", "--deflate", "-s", &size]);
            }
            Kind::Broadcast { size, .. } => {
                add(&["-m", "broadcast", "-c", "1000", "--binary", "-s", &size.to_string()]);
            }
            Kind::Handshake => {
                add(&["-m", "handshake", "-c", "16"]);
                add(&sources);
            }
            Kind::Idle => {
                add(&["-m", "idle", "-c", "10000"]);
                add(&sources);
            }
        }
        if self.depth() > 1 {
            add(&["--depth", &self.depth().to_string()]);
        }
        // To rest takes no longer for being measured longer.
        let seconds = if self.is_memory() { 0.3 } else { seconds };
        add(&["-d", &format!("{seconds}s")]);
        if !self.is_memory() {
            // Node compiles what it finds itself doing often, and that takes it a while.
            let least = if rival.program == Program::Node { 1.5 } else { 0.2 };
            add(&["--warm-up", &format!("{}s", (seconds / 4.0).max(least))]);
        }
        words
    }
}

/// Where a server's program comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// The shipped binary.
    Sockeye,
    /// `serve` of this program.
    Ours,
    Node,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rival {
    pub id: &'static str,
    pub program: Program,
    /// Its package in Cargo.lock.
    pub package: &'static str,
    /// A peer, written in Rust: what sockeye is to be ahead of.
    pub rust_peer: bool,
    /// Has a way to answer together what came together.
    batch: bool,
    deflate: bool,
    broadcast: bool,
    handshake: bool,
    echo: bool,
}

pub const RIVALS: [Rival; 10] = [
    Rival { broadcast: false, handshake: false, ..floor("floor-mio", "mio") },
    floor("floor-ws", "mio"),
    Rival { echo: false, handshake: false, ..floor("floor-ws-batch", "mio") },
    Rival {
        program: Program::Sockeye,
        deflate: true,
        broadcast: true,
        ..peer("sockeye", "sockeye", false)
    },
    Rival { batch: true, broadcast: true, ..peer("tungstenite", "tungstenite", true) },
    peer("fastwebsockets", "fastwebsockets", true),
    Rival { batch: true, broadcast: true, ..peer("tokio-websockets", "tokio-websockets", true) },
    Rival { deflate: true, ..peer("sockudo-ws", "sockudo-ws", true) },
    Rival { batch: true, deflate: true, ..peer("yawc", "yawc", true) },
    Rival { program: Program::Node, deflate: true, broadcast: true, ..peer("ws", "", false) },
];

const fn peer(id: &'static str, package: &'static str, rust_peer: bool) -> Rival {
    Rival {
        id,
        package,
        rust_peer,
        program: Program::Ours,
        batch: false,
        deflate: false,
        broadcast: false,
        handshake: true,
        echo: true,
    }
}

const fn floor(id: &'static str, package: &'static str) -> Rival {
    Rival { broadcast: true, ..peer(id, package, false) }
}

impl Rival {
    pub fn takes_part(&self, cell: &Cell) -> bool {
        match cell.kind {
            Kind::Echo { .. } => self.echo,
            Kind::Deflate { .. } => self.deflate,
            Kind::Broadcast { .. } => self.broadcast,
            Kind::Handshake | Kind::Idle => self.handshake,
        }
    }

    /// Arguments of the server, and where in it the load goes.
    pub fn arguments(&self, cell: &Cell) -> (Vec<&'static str>, &'static str) {
        let broadcast = matches!(cell.kind, Kind::Broadcast { .. });
        let deflate = matches!(cell.kind, Kind::Deflate { .. });
        if self.program == Program::Sockeye {
            let mut words = vec!["--listen", "127.0.0.1:0", "--shards", "1", "--log", "off"];
            words.extend(deflate.then_some("--deflate"));
            return (words, if broadcast { "/broadcast?room=x" } else { "/echo" });
        }
        let mut words = vec![];
        if self.program == Program::Ours {
            words.push(self.id.strip_suffix("-batch").unwrap_or(self.id));
        }
        words.extend(broadcast.then_some("--broadcast"));
        words.extend(deflate.then_some("--deflate"));
        // With one message in flight there is nothing to do together, and the plain way is the quicker.
        let batch = self.batch && cell.depth() > 1 || self.id.ends_with("-batch");
        words.extend(batch.then_some("--batch"));
        (words, "/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rival(id: &str) -> &'static Rival {
        RIVALS.iter().find(|it| it.id == id).expect("one of them")
    }

    #[test]
    fn the_bare_floor_gets_as_many_bytes_as_a_frame_has() {
        for (cell, bytes) in [(0, "26"), (2, "1032"), (4, "16392"), (6, "1048590")] {
            let words = CELLS[cell].load(rival("floor-mio"), 1.0);
            let at = words.iter().position(|it| it == "-s").expect("a size");
            assert_eq!(words[at + 1], bytes);
            assert!(words.contains(&"--raw".to_owned()));
        }
        assert!(!CELLS[0].load(rival("sockeye"), 1.0).contains(&"--raw".to_owned()));
    }

    #[test]
    fn everybody_batches_who_can_once_there_is_something_to_batch() {
        let flags = |id, cell: usize| rival(id).arguments(&CELLS[cell]).0;
        assert!(!flags("tungstenite", 0).contains(&"--batch"));
        assert!(flags("tungstenite", 1).contains(&"--batch"));
        assert!(!flags("fastwebsockets", 1).contains(&"--batch"));
        assert_eq!(flags("floor-ws-batch", 9), ["floor-ws", "--broadcast", "--batch"]);
        assert_eq!(flags("ws", 7), ["--deflate"]);
    }

    #[test]
    fn every_cell_has_sockeye_and_somebody_beside_it() {
        for cell in CELLS {
            assert!(rival("sockeye").takes_part(&cell), "{}", cell.id);
            assert!(RIVALS.iter().filter(|it| it.takes_part(&cell)).count() > 3, "{}", cell.id);
        }
    }
}
