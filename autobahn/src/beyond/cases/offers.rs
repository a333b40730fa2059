//! To come.
pub(super) fn add(_book: &mut crate::beyond::book::Book) {}
