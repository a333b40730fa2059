//! A client's and a server's end that talk through two `Vec`s: the codec without any IO, as it is
//! used in tests, over transports of one's own, or where there is no operating system.
//!
//! `cargo run --example codec_in_memory --no-default-features`

use sockeye::proto::{
    CloseCode, CloseFrame, Config, Connection, Event, Input, Transport, Violation,
};

/// A whole conversation, from the first message to the end.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A real client takes strong randomness here (RFC 6455 §10.3), such as `getrandom`.
    let mut seed = 0_u8;
    let not_random = move |bytes: &mut [u8]| {
        bytes.fill_with(|| {
            seed = seed.wrapping_mul(5).wrapping_add(1);
            seed
        });
    };
    let mut client = Connection::client(Config::default(), not_random);
    let mut server = Connection::server(Config::default());

    // The two directions of what would be a socket.
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());

    let (_, tx) = client.split_mut();
    tx.text("hello", &mut to_server)?;
    tx.ping(b"are you there", &mut to_server)?;
    tx.binary(&[1, 2, 3], &mut to_server)?;
    println!("{} bytes to the server", to_server.len());

    hear("server", &mut server, &mut to_server, &mut to_client)?;
    hear("client", &mut client, &mut to_client, &mut to_server)?;

    let bye = CloseFrame { code: CloseCode::NORMAL, reason: "bye" };
    client.split_mut().1.close(Some(bye), &mut to_server)?;
    hear("server", &mut server, &mut to_server, &mut to_client)?;
    hear("client", &mut client, &mut to_client, &mut to_server)?;

    // Both said goodbye: the server hangs up first and the client waits for that (RFC 6455 §7.1.1).
    assert_eq!(server.transport(), Transport::FlushThenClose);
    assert_eq!(client.transport(), Transport::AwaitPeerClose);
    println!("ended: {:?}", client.receive_eof());
    Ok(())
}

/// Lends `from` to one end, which works in it in place. A server echoes; what it has to say is
/// appended to `to`.
fn hear(
    name: &str,
    connection: &mut Connection,
    from: &mut Vec<u8>,
    to: &mut Vec<u8>,
) -> Result<(), Box<dyn std::error::Error>> {
    let echoes = name == "server";
    let (rx, tx) = connection.split_mut();
    // `event` borrows from the input and from `rx`; answers go through `tx`, the other half.
    let mut input = Input::new(from);
    while let Some(event) = rx.next(&mut input, tx, to).inspect_err(explain)? {
        println!("{name} hears {event:?}");
        match event {
            Event::Text(text) if echoes => tx.text(text, to)?,
            Event::Binary(bytes) if echoes => tx.binary(bytes, to)?,
            _ => {}
        }
    }
    // After `None` the codec needs none of these bytes any more.
    from.clear();
    Ok(())
}

/// A violation is the peer's fault. The close frame that tells it so is in the output already.
fn explain(violation: &Violation) {
    eprintln!("closing with {}: {violation}", violation.close_code());
}
