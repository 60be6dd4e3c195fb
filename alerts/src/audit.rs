//! The audit and the register as one chain that shows when it was changed.
//!
//! Every entry of the audit and of the register has a link: the hash of the link before and of what the entry says
//! ([`chain`]). Links are the leaves of a Merkle tree as of RFC 6962. Now and then its head, which stands for all entries up to
//! there, is signed ([`head`], [`key`]), kept, logged, and written into a folder that may lie elsewhere ([`seal`]).
//!
//! What shows: a change, a removal or an insertion breaks the chain at that entry; a chain that was made anew, or cut off,
//! contradicts a head. Heads in the store are worth as much as the key beside it; those that were exported, or that a log
//! elsewhere holds, also convict someone who has both. What came after the last head has the chain alone.

pub mod chain;
pub mod head;
pub mod key;
pub(crate) mod seal;

pub use self::{
    head::{Head, read_heads},
    seal::AuditOptions,
};
