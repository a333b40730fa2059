//! What is written about the numbers is true of them.
