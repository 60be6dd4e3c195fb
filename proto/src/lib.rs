//! Rust types and services of `xueliang/v1/*.proto`, generated and committed.
//!
//! Nothing here is written by hand: `make proto` writes `src/gen`, and a test compares it with the `.proto` files.

/// Package `xueliang.v1`.
#[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic)]
pub mod v1 {
    include!("gen/xueliang.v1.rs");
}

/// The encoded file descriptor set of all packages, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/xueliang.v1.bin");
