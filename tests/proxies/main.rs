//! The real server behind real proxies, started from the very files in `contrib/`, in which only addresses,
//! ports, paths and users are others. Where a proxy is not installed its tests are skipped with a printed
//! reason; with `SOCKEYE_REQUIRE_TOOLS=1` that fails.

#![cfg(all(feature = "server", feature = "client", feature = "tls", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod behind;
mod files;
mod scene;
