//! The cases, a file for each part of the protocol. A name says what a good testee does.

mod answers;
mod closing;
mod deflating;
mod echoing;
mod fragments;
mod frames;
mod keys;
mod limits;
mod offers;
mod requests;
mod responses;
mod sockets;
mod utf8;
mod welcomes;

use super::book::Book;

/// All cases.
pub(crate) fn book() -> Book {
    let mut book = Book::default();
    frames::add(&mut book);
    keys::add(&mut book);
    fragments::add(&mut book);
    echoing::add(&mut book);
    utf8::add(&mut book);
    closing::add(&mut book);
    welcomes::add(&mut book);
    requests::add(&mut book);
    responses::add(&mut book);
    offers::add(&mut book);
    answers::add(&mut book);
    deflating::add(&mut book);
    limits::add(&mut book);
    sockets::add(&mut book);
    book
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::beyond::link::Us;

    #[test]
    fn every_case_has_a_name_of_its_own_that_names_its_section() {
        let book = book();
        for us in [Us::Client, Us::Server] {
            let names: Vec<&str> = book
                .0
                .iter()
                .filter(|case| case.is_for(us))
                .map(|case| case.name.as_str())
                .collect();
            let different: BTreeSet<&&str> = names.iter().collect();
            assert_eq!(different.len(), names.len());
        }
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        for case in &book.0 {
            let (section, rest) = case.name.split_once('.').unwrap();
            assert!(section.bytes().all(plain) && rest.bytes().all(plain), "{}", case.name);
            assert!(!case.what.is_empty() && !case.clause.is_empty(), "{}", case.name);
        }
    }

    #[test]
    fn there_are_more_than_150_cases_for_each_role() {
        for us in [Us::Client, Us::Server] {
            assert!(book().0.iter().filter(|case| case.is_for(us)).count() > 150);
        }
    }
}
