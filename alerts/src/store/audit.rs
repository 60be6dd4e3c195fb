//! What the store keeps of the chain over audit and register. Links are made where entries are kept, in their transaction.

use xueliang_base::time::Wall;

use super::Answer;
use crate::audit::{
    chain::{Frontier, Hash},
    head::Head,
};

/// The chain and its heads.
pub trait AuditStore {
    /// The last head, and the tree that it stands for.
    fn last_head(&self) -> Answer<Option<(Head, Frontier)>>;
    /// Links after one, with their numbers.
    fn audit_links(&self, after_exclusive: u64, limit: usize) -> Answer<Vec<(u64, Hash)>>;
    /// Keeps a head.
    fn put_head(&self, head: Head, tree: Frontier) -> Answer<()>;
    /// When each subject was last audited with this action.
    fn last_audited(&self, action: &'static str) -> Answer<Vec<(String, Wall)>>;
    /// Heads of more entries than this, by size.
    fn heads(&self, after_exclusive: u64, limit: usize) -> Answer<Vec<Head>>;
}
