//! A server that does not treat messages as it should, so that it shows whether the tool notices.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sockeye::proto::handshake::{Answer, HeadLimits, RequestReader};
use sockeye::proto::{CloseCode, CloseFrame, Config, Connection, Event, Input, Transport};

/// What it does to the messages of a connection, which it counts from 0.
#[derive(Clone, Copy)]
pub(crate) enum Wrong {
    /// All is well.
    Nothing,
    /// Everything comes back a fifth of a second later.
    Dawdles,
    /// The fifth, the fifteenth and so on never come back.
    Drops,
    /// The tenth comes back twice.
    Doubles,
    /// The tenth and the one after it change places.
    Swaps,
    /// After ten there is a close with 1013.
    Closes,
    /// After ten the connection breaks off.
    Breaks,
    /// Every second connection is refused with 503.
    Refuses,
    /// Every handshake but the first takes a second.
    Hesitates,
    /// After the handshake there is a close with 1013.
    Leaves,
}

/// Serves for as long as the test runs, and tells where its clients come from.
pub(crate) fn serve(wrong: Wrong) -> (SocketAddr, Receiver<IpAddr>) {
    begin(wrong, None)
}

/// Serves one room: what one says goes to the others.
pub(crate) fn serve_room(wrong: Wrong) -> SocketAddr {
    begin(wrong, Some(Arc::default())).0
}

/// Who is in the room, by number.
type Room = Arc<Mutex<Vec<(usize, TcpStream)>>>;

fn begin(wrong: Wrong, room: Option<Room>) -> (SocketAddr, Receiver<IpAddr>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, peers) = mpsc::channel();
    thread::spawn(move || {
        for (nth, stream) in listener.incoming().enumerate() {
            let stream = stream.unwrap();
            // Few tests ask.
            let _ = tell.send(stream.peer_addr().unwrap().ip());
            let room = room.clone();
            thread::spawn(move || {
                let room_holds_it_too = stream.try_clone().unwrap();
                talk(stream, wrong, nth, room);
                let _ = room_holds_it_too.shutdown(Shutdown::Both);
            });
        }
    });
    (address, peers)
}

fn talk(mut stream: TcpStream, wrong: Wrong, nth: usize, room: Option<Room>) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (mut head, mut out, mut scratch) = (Vec::new(), Vec::new(), vec![0; 64 << 10]);
    let mut connection = Connection::server(Config::default());
    loop {
        let n = stream.read(&mut scratch).unwrap();
        head.extend_from_slice(&scratch[..n]);
        let mut reader = RequestReader::new(HeadLimits::default());
        if let Some(request) = reader.read(&head).unwrap() {
            if matches!(wrong, Wrong::Refuses) && nth % 2 == 1 {
                stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").unwrap();
                return;
            }
            request.upgrade().unwrap().accept(&Answer::default(), &mut out).unwrap();
            break;
        }
    }
    // Who has the 101 in hand is in the room.
    if let Some(room) = &room {
        room.lock().unwrap().push((nth, stream.try_clone().unwrap()));
    }
    if matches!(wrong, Wrong::Hesitates) && nth > 0 {
        thread::sleep(Duration::from_secs(1));
    }
    if matches!(wrong, Wrong::Leaves) {
        let code = CloseCode::new(1013).unwrap();
        let frame = CloseFrame { code, reason: "" };
        connection.split_mut().1.close(Some(frame), &mut out).unwrap();
    }
    // One that was cut off takes nothing.
    if stream.write_all(&out).is_err() {
        return;
    }
    let mut said = Vec::new();
    let (mut count, mut kept) = (0, None);
    loop {
        let n = stream.read(&mut scratch).unwrap_or(0);
        if n == 0 {
            return;
        }
        out.clear();
        let mut input = Input::new(&mut scratch[..n]);
        let (rx, tx) = connection.split_mut();
        while let Some(event) = rx.next(&mut input, tx, &mut out).unwrap() {
            let Event::Text(text) = event else { continue };
            let (tenth, fifth) = (count == 9, count % 10 == 4);
            count += 1;
            match wrong {
                Wrong::Drops if fifth => {}
                Wrong::Doubles if tenth => {
                    tx.text(text, &mut said).unwrap();
                    tx.text(text, &mut said).unwrap();
                }
                Wrong::Swaps if tenth => kept = Some(text.to_owned()),
                Wrong::Closes if tenth => {
                    let frame = CloseFrame { code: CloseCode::TRY_AGAIN_LATER, reason: "too slow" };
                    tx.close(Some(frame), &mut out).unwrap();
                }
                Wrong::Breaks if tenth => return,
                // After a close nothing more is said.
                _ if tx.text(text, &mut said).is_err() => {}
                _ => {
                    if let Some(kept) = kept.take() {
                        tx.text(&kept, &mut said).unwrap();
                    }
                }
            }
        }
        if matches!(wrong, Wrong::Dawdles) {
            thread::sleep(Duration::from_millis(200));
        }
        match &room {
            None => _ = stream.write_all(&said),
            Some(room) => {
                for (_, other) in room.lock().unwrap().iter_mut().filter(|it| it.0 != nth) {
                    let _ = other.write_all(&said);
                }
            }
        }
        said.clear();
        let _ = stream.write_all(&out);
        if connection.transport() != Transport::KeepOpen {
            return;
        }
    }
}

/// Sends back what it gets, and knows of no WebSocket. Once it has `skip` bytes it keeps the one after.
pub(crate) fn serve_bytes(skip: Option<usize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let (mut scratch, mut came) = (vec![0; 5000], 0);
                while let Ok(n @ 1..) = stream.read(&mut scratch) {
                    let mut bytes = scratch[..n].to_vec();
                    if let Some(at) = skip.and_then(|it| it.checked_sub(came)).filter(|&it| it < n)
                    {
                        bytes.remove(at);
                    }
                    came += n;
                    if stream.write_all(&bytes).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
