//! One connection's requests, one after the other: head, body, answer. The next is not looked at before
//! the last is answered, so answers come in order, however late, and a client cannot pile up work.

use super::body::{Body, Part};
use super::fault::Fault;
use super::head::Head;
use super::limits::Limits;
use super::response::Answer;
use super::scan::Scan;

/// The server's side of one HTTP/1.1 connection. Holds no bytes and no heap.
#[derive(Clone, Debug)]
pub struct Requests {
    limits: Limits,
    state: State,
}

/// What came, and how many bytes it took: they are not to be passed again.
#[derive(Clone, Debug)]
pub struct Step<'b> {
    /// Bytes that are done with.
    pub used: usize,
    /// What they were.
    pub event: Event<'b>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event<'b> {
    /// Nothing yet. Pass what is not used again, with more behind it.
    More,
    /// A request begins. Body, if any, and `End` follow.
    Head(Head<'b>),
    /// Part of the request's body.
    Body(&'b [u8]),
    /// The request is complete.
    End,
    /// The request is complete and waits for [`Requests::answered`]. Whatever else has come is not
    /// looked at; stop reading.
    Wait,
    /// Nothing more is read as HTTP: an answer closed the connection, or it was upgraded, or a fault was
    /// found.
    Over,
}

impl Requests {
    /// A new connection.
    pub const fn new(limits: Limits) -> Self {
        Self { limits, state: State::Head(Scan::new()) }
    }

    /// Looks at the bytes that came and are not used. Call until `More`, `Wait` or `Over`. How they were
    /// cut makes no difference but in how many parts a body comes.
    ///
    /// # Errors
    /// The client's fault; answer with [`refuse`](super::refuse) and close. From then on it is `Over`.
    pub fn next<'b>(&mut self, bytes: &'b [u8]) -> Result<Step<'b>, Fault> {
        let step = self.step(bytes);
        if step.is_err() {
            self.state = State::Over;
        }
        step
    }

    /// The answer to the request is written. True if the connection goes on; it does not when either side
    /// said so, or when the answer came before the request's end.
    pub fn answered(&mut self, answer: Answer) -> bool {
        let next = matches!(self.state, State::Answer) && answer.keep_alive();
        self.state = if next { State::Head(Scan::new()) } else { State::Over };
        next
    }

    /// From here on the bytes belong to another protocol.
    pub fn upgraded(&mut self) {
        self.state = State::Over;
    }

    /// Whether a request has begun to arrive or waits for its answer: a connection that is not busy may
    /// be closed without a word.
    pub fn is_busy(&self) -> bool {
        !matches!(&self.state, State::Head(scan) if scan.is_fresh()) && !self.is_over()
    }

    /// Whether nothing more is read as HTTP.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    fn step<'b>(&mut self, bytes: &'b [u8]) -> Result<Step<'b>, Fault> {
        match &mut self.state {
            State::Head(scan) => {
                let Some(found) = scan.next(bytes, &self.limits)? else {
                    return Ok(Step { used: 0, event: Event::More });
                };
                let head = Head::parse(bytes, found, &self.limits)?;
                self.state = State::Body(Body::new(head.framing()));
                Ok(Step { used: found.end, event: Event::Head(head) })
            }
            State::Body(body) => {
                let (used, part) = body.next(bytes, &self.limits)?;
                let event = match part {
                    Part::More => Event::More,
                    Part::Data(data) => Event::Body(data),
                    Part::End => {
                        self.state = State::Answer;
                        Event::End
                    }
                };
                Ok(Step { used, event })
            }
            State::Answer => Ok(Step { used: 0, event: Event::Wait }),
            State::Over => Ok(Step { used: 0, event: Event::Over }),
        }
    }
}

#[derive(Clone, Debug)]
enum State {
    Head(Scan),
    Body(Body),
    Answer,
    Over,
}
