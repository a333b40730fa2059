//! The list of cases.

use super::link::Us;
use super::trial::Trial;
use super::verdict::Tried;

type Run = Box<dyn Fn(&Trial<'_>) -> Tried>;

/// One case.
pub(crate) struct Case {
    /// Its section, a dot, and a sentence.
    pub(crate) name: String,
    /// Where the rule stands: of RFC 6455 unless it says otherwise.
    pub(crate) clause: &'static str,
    /// What it does.
    pub(crate) what: String,
    /// The roles of the testee that it is for.
    server: bool,
    client: bool,
    pub(crate) run: Run,
}

impl Case {
    pub(crate) fn section(&self) -> &str {
        self.name.split_once('.').map_or(&self.name, |(section, _)| section)
    }

    /// Whether it is for a testee on the other side of us.
    pub(crate) fn is_for(&self, us: Us) -> bool {
        match us {
            Us::Client => self.server,
            Us::Server => self.client,
        }
    }
}

/// All cases, in order.
#[derive(Default)]
pub(crate) struct Book(pub(crate) Vec<Case>);

impl Book {
    /// A case for servers and clients.
    pub(crate) fn both(
        &mut self,
        name: impl Into<String>,
        clause: &'static str,
        what: impl Into<String>,
        run: impl Fn(&Trial<'_>) -> Tried + 'static,
    ) {
        self.add(name.into(), clause, what.into(), (true, true), Box::new(run));
    }

    /// A case for servers.
    pub(crate) fn server(
        &mut self,
        name: impl Into<String>,
        clause: &'static str,
        what: impl Into<String>,
        run: impl Fn(&Trial<'_>) -> Tried + 'static,
    ) {
        self.add(name.into(), clause, what.into(), (true, false), Box::new(run));
    }

    /// A case for clients.
    pub(crate) fn client(
        &mut self,
        name: impl Into<String>,
        clause: &'static str,
        what: impl Into<String>,
        run: impl Fn(&Trial<'_>) -> Tried + 'static,
    ) {
        self.add(name.into(), clause, what.into(), (false, true), Box::new(run));
    }

    fn add(
        &mut self,
        name: String,
        clause: &'static str,
        what: String,
        (server, client): (bool, bool),
        run: Run,
    ) {
        self.0.push(Case { name, clause, what, server, client, run });
    }
}
