//! What the rounds of a run come to: a median, and how far they lay apart.

use super::cells::{CELLS, Cell, RIVALS, Rival};
use std::collections::BTreeMap;

/// What one server did in one cell, over the rounds.
#[derive(Clone, Default, Debug)]
pub struct Samples {
    /// Thousands per CPU second of the server, or bytes per connection.
    pub values: Vec<f64>,
    /// Why rounds have no figure.
    pub failures: Vec<String>,
}

/// A median between the least and the most.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Samples {
    pub fn spread(&self) -> Option<Spread> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let (&least, &most) = (sorted.first()?, sorted.last()?);
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[half]
        } else {
            (sorted[half - 1] + sorted[half]) / 2.0
        };
        Some(Spread { least, median, most })
    }
}

/// All that was measured, by cell and server.
#[derive(Default, Debug)]
pub struct Results(BTreeMap<(&'static str, &'static str), Samples>);

impl Results {
    pub fn add(&mut self, cell: &Cell, rival: &Rival, outcome: Result<f64, String>) {
        let samples = self.0.entry((cell.id, rival.id)).or_default();
        match outcome {
            Ok(value) => samples.values.push(value),
            Err(why) => samples.failures.push(why),
        }
    }

    pub fn samples(&self, cell: &str, rival: &str) -> Option<&Samples> {
        CELLS
            .iter()
            .find(|it| it.id == cell)
            .and_then(|cell| RIVALS.iter().find(|it| it.id == rival).map(|it| (cell.id, it.id)))
            .and_then(|key| self.0.get(&key))
    }

    pub fn spread(&self, cell: &str, rival: &str) -> Option<Spread> {
        self.samples(cell, rival)?.spread()
    }

    /// The cells that were measured, in their order.
    pub fn cells(&self) -> impl Iterator<Item = &'static Cell> {
        CELLS.iter().filter(|cell| self.0.keys().any(|it| it.0 == cell.id))
    }

    /// The servers that took part, in their order.
    pub fn rivals(&self) -> impl Iterator<Item = &'static Rival> {
        RIVALS.iter().filter(|rival| self.0.keys().any(|it| it.1 == rival.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_between_the_two_in_the_middle() {
        let spread = |values: &[f64]| {
            Samples { values: values.to_vec(), failures: vec![] }
                .spread()
                .map(|it| (it.least, it.median, it.most))
        };
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some((3.0, 3.0, 3.0)));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some((1.0, 2.0, 9.0)));
        assert_eq!(spread(&[4.0, 1.0, 9.0, 2.0]), Some((1.0, 3.0, 9.0)));
    }

    #[test]
    fn a_failed_round_leaves_the_others_their_figure() {
        let mut results = Results::default();
        let (cell, rival) = (&CELLS[0], &RIVALS[3]);
        results.add(cell, rival, Ok(5.0));
        results.add(cell, rival, Err("3 messages lost".into()));
        results.add(cell, rival, Ok(7.0));
        assert_eq!(results.spread(cell.id, rival.id).map(|it| it.median), Some(6.0));
        assert_eq!(results.samples(cell.id, rival.id).map(|it| it.failures.len()), Some(1));
        assert_eq!(results.cells().count(), 1);
        assert!(results.spread(cell.id, "yawc").is_none());
    }
}
