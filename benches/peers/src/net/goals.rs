//! What sockeye is held to, cell by cell, and whether it is reached. Facts only: causes are for whoever looks for them.

use super::cells::Cell;
use super::stats::Results;

/// One demand on one cell.
#[derive(Clone, PartialEq, Debug)]
pub struct Goal {
    pub cell: &'static str,
    /// In words, with what it is compared to.
    pub demand: String,
    /// What was measured: a ratio, or bytes.
    pub figure: f64,
    pub limit: f64,
    /// The figure is to be at most the limit, not at least.
    at_most: bool,
    /// The rounds of the two lie apart: more rounds would hardly change the answer.
    pub clear: bool,
}

impl Goal {
    pub fn reached(&self) -> bool {
        if self.at_most { self.figure <= self.limit } else { self.figure >= self.limit }
    }
}

/// All demands for which there are figures.
pub fn goals(results: &Results) -> Vec<Goal> {
    let mut goals = vec![];
    for cell in results.cells() {
        for (rival, least) in floors(cell) {
            goals.extend(ratio(results, cell, rival, least));
        }
        for rival in results.rivals().filter(|it| it.rust_peer) {
            goals.extend(ratio(results, cell, rival.id, 1.0));
        }
        if cell.is_memory()
            && let Some(ours) = results.spread(cell.id, OURS)
        {
            goals.push(Goal {
                cell: cell.title,
                demand: "bytes for each connection".into(),
                figure: ours.median,
                limit: IDLE_BYTES,
                at_most: true,
                clear: ours.least > IDLE_BYTES || ours.most <= IDLE_BYTES,
            });
        }
    }
    goals
}

/// What sockeye is to reach of whom.
fn floors(cell: &Cell) -> Vec<(&'static str, f64)> {
    match cell.id {
        "echo-20-16" | "echo-1k-16" => vec![("floor-mio", 0.9)],
        "echo-16k-16" => vec![("floor-mio", 0.85)],
        "broadcast-1" => vec![("floor-ws", 0.9)],
        "deflate-1k-1" | "deflate-1k-16" => vec![("ws", 4.0)],
        _ => vec![],
    }
}

/// How sockeye compares, so that more is better.
fn ratio(results: &Results, cell: &Cell, rival: &str, limit: f64) -> Option<Goal> {
    let ours = results.spread(cell.id, OURS)?;
    let theirs = results.spread(cell.id, rival)?;
    let demand = match limit {
        1.0 => format!("of {rival}: ahead of it"),
        _ => format!("of {rival}: {limit} or more"),
    };
    // Of rounds that touch nobody can say who is ahead.
    let (figure, least, most) = if cell.is_memory() {
        (theirs.median / ours.median, theirs.least / ours.most, theirs.most / ours.least)
    } else {
        (ours.median / theirs.median, ours.least / theirs.most, ours.most / theirs.least)
    };
    let clear = least >= limit || most < limit;
    Some(Goal { cell: cell.title, demand, figure, limit, at_most: false, clear })
}

const OURS: &str = "sockeye";
/// For a connection at rest, buffers and bookkeeping together.
const IDLE_BYTES: f64 = 300.0;

#[cfg(test)]
mod tests {
    use super::super::cells::{CELLS, RIVALS};
    use super::*;

    fn results(figures: &[(&str, &str, &[f64])]) -> Results {
        let mut results = Results::default();
        for (cell, rival, values) in figures {
            let cell = CELLS.iter().find(|it| it.id == *cell).expect("a cell");
            let rival = RIVALS.iter().find(|it| it.id == *rival).expect("a rival");
            for &value in *values {
                results.add(cell, rival, Ok(value));
            }
        }
        results
    }

    fn short(figures: &[(&str, &str, &[f64])]) -> Vec<String> {
        let goals = goals(&results(figures));
        goals.into_iter().filter(|it| !it.reached()).map(|it| it.demand).collect()
    }

    #[test]
    fn nine_tenths_of_the_floor_are_enough() {
        let floor = ("echo-20-16", "floor-mio", &[1000.0][..]);
        assert_eq!(short(&[floor, ("echo-20-16", "sockeye", &[900.0])]), Vec::<String>::new());
        let missed = short(&[floor, ("echo-20-16", "sockeye", &[899.0])]);
        assert_eq!(missed, ["of floor-mio: 0.9 or more"]);
        // Nobody is held to a floor with one message in flight.
        let alone = [("echo-20-1", "floor-mio", &[9.0][..]), ("echo-20-1", "sockeye", &[1.0])];
        assert_eq!(short(&alone), Vec::<String>::new());
    }

    #[test]
    fn a_rust_peer_is_to_be_behind_in_every_cell_and_others_need_not() {
        let ours = ("echo-1m-1", "sockeye", &[5.0][..]);
        assert_eq!(short(&[ours, ("echo-1m-1", "yawc", &[5.1])]), ["of yawc: ahead of it"]);
        assert_eq!(short(&[ours, ("echo-1m-1", "ws", &[5.1])]), Vec::<String>::new());
        let ours = ("idle", "sockeye", &[280.0][..]);
        assert_eq!(short(&[ours, ("idle", "yawc", &[279.0])]), ["of yawc: ahead of it"]);
        assert_eq!(short(&[ours, ("idle", "yawc", &[281.0])]), Vec::<String>::new());
    }

    #[test]
    fn memory_and_compression_have_limits_of_their_own() {
        assert_eq!(short(&[("idle", "sockeye", &[301.0])]), ["bytes for each connection"]);
        let ws = ("deflate-1k-1", "ws", &[10.0][..]);
        assert_eq!(short(&[ws, ("deflate-1k-1", "sockeye", &[39.0])]), ["of ws: 4 or more"]);
    }

    #[test]
    fn what_the_rounds_do_not_settle_is_said() {
        let clear = |ours: &[f64]| {
            let all = goals(&results(&[
                ("echo-20-1", "sockeye", ours),
                ("echo-20-1", "yawc", &[95.0, 100.0, 105.0]),
            ]));
            all.iter().map(|it| it.clear).collect::<Vec<_>>()
        };
        assert_eq!(clear(&[106.0, 110.0, 120.0]), [true]);
        assert_eq!(clear(&[104.0, 110.0, 120.0]), [false]);
        assert_eq!(clear(&[80.0, 90.0, 94.0]), [true]);
    }
}
