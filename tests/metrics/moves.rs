//! Every number moves when it should.
