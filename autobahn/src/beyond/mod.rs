//! What the Autobahn suite does not see: cases of our own, for any server or client, on a codec of
//! their own. `autobahn/run beyond --help` says how to run them.

mod book;
mod cases;
mod http;
mod inflating;
mod link;
mod report;
mod run;
mod testee;
mod trial;
mod verdict;
mod wire;

pub(crate) use run::{Beyond, run};
