//! tokio-websockets as in its example, limits included; in a batch all that is buffered is read, then answered by one flush.

use super::{Task, accept};
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpStream;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio_websockets::{Config, Error, Limits, Message, ServerBuilder, WebSocketStream};

type Socket = WebSocketStream<TcpStream>;

/// A message and who said it.
type Said = (u64, Message);

pub fn serve(task: Task) -> io::Result<()> {
    if !task.broadcast {
        return accept(move |stream| async move {
            let Ok(socket) = open(stream).await else { return };
            let _ = if task.batch { echo_batch(socket).await } else { echo(socket).await };
        });
    }
    let (say, _) = broadcast::channel(4096);
    accept(move |stream| {
        let say = say.clone();
        async move {
            if let Ok(socket) = open(stream).await {
                let hear = say.subscribe();
                let _ = gather(socket, say, hear).await;
            }
        }
    })
}

async fn open(stream: TcpStream) -> Result<Socket, Error> {
    let builder = ServerBuilder::new()
        .config(Config::default().frame_size(usize::MAX))
        .limits(Limits::unlimited());
    Ok(builder.accept(stream).await?.1)
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}

async fn echo(mut socket: Socket) -> Result<(), Error> {
    while let Some(message) = socket.next().await.transpose()? {
        if is_data(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn echo_batch(mut socket: Socket) -> Result<(), Error> {
    let mut messages = vec![];
    while let Some(first) = socket.next().await {
        let mut next = Some(first);
        // To read is to flush, so all is read first.
        while let Some(message) = next.transpose()? {
            messages.push(message);
            next = if messages.len() < TOGETHER {
                socket.next().now_or_never().flatten()
            } else {
                None
            };
        }
        for message in messages.drain(..).filter(is_data) {
            socket.feed(message).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}

/// More than are ever in flight here.
const TOGETHER: usize = 64;

async fn gather(
    mut socket: Socket,
    say: Sender<Said>,
    mut hear: Receiver<Said>,
) -> Result<(), Error> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let me = NEXT.fetch_add(1, Ordering::Relaxed);
    loop {
        tokio::select! {
            heard = hear.recv() => {
                let mut next = heard.ok();
                // Who lags behind the channel is gone.
                if next.is_none() {
                    return Ok(());
                }
                while let Some((who, message)) = next {
                    if who != me {
                        socket.feed(message).await?;
                    }
                    next = hear.try_recv().ok();
                }
                socket.flush().await?;
            }
            said = socket.next() => match said.transpose()? {
                Some(message) if is_data(&message) => _ = say.send((me, message)),
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }
}
