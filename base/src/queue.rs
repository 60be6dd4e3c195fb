//! The one queue: bounded, with a when-full policy and counters.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

/// What happens to a full queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The new item is refused, counted, and given back to the caller.
    Refuse,
    /// The oldest item makes room, counted.
    DropOldest,
}

/// Items in, out and dropped since the queue was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Accepted.
    pub pushed: u64,
    /// Handed out.
    pub popped: u64,
    /// Refused, or pushed out by newer ones.
    pub dropped: u64,
    /// Waiting now.
    pub waiting: u64,
}

struct Shared<T> {
    items: Mutex<VecDeque<T>>,
    capacity: usize,
    when_full: WhenFull,
    arrived: Notify,
    pushed: AtomicU64,
    popped: AtomicU64,
    dropped: AtomicU64,
}

/// A bounded queue; clones share it. `push` never blocks, so media threads may call it.
pub struct Queue<T>(Arc<Shared<T>>);

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl<T> Queue<T> {
    /// A queue of at most `capacity` items.
    pub fn new(capacity: usize, when_full: WhenFull) -> Self {
        Self(Arc::new(Shared {
            items: Mutex::new(VecDeque::new()),
            capacity: capacity.max(1),
            when_full,
            arrived: Notify::new(),
            pushed: AtomicU64::new(0),
            popped: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }))
    }
    fn items(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.0.items.lock().expect("no code panics while it holds this lock")
    }
    /// Adds an item. Gives back what did not fit: the item itself, or the oldest one, by policy.
    pub fn push(&self, item: T) -> Option<T> {
        let mut items = self.items();
        let mut left_over = None;
        if items.len() >= self.0.capacity {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            match self.0.when_full {
                WhenFull::Refuse => return Some(item),
                WhenFull::DropOldest => left_over = items.pop_front(),
            }
        }
        items.push_back(item);
        self.0.pushed.fetch_add(1, Ordering::Relaxed);
        drop(items);
        self.0.arrived.notify_one();
        left_over
    }
    /// Takes the oldest item, if any.
    pub fn try_pop(&self) -> Option<T> {
        let item = self.items().pop_front();
        if item.is_some() {
            self.0.popped.fetch_add(1, Ordering::Relaxed);
        }
        item
    }
    /// Waits for an item. Cancel-safe: an item is taken only when the future completes.
    pub async fn pop(&self) -> T {
        loop {
            let arrived = self.0.arrived.notified();
            if let Some(item) = self.try_pop() {
                // Another waiter may have missed its wake-up while this one took the permit.
                if !self.items().is_empty() {
                    self.0.arrived.notify_one();
                }
                return item;
            }
            arrived.await;
        }
    }
    /// What went in and out.
    pub fn counts(&self) -> QueueCounts {
        QueueCounts {
            pushed: self.0.pushed.load(Ordering::Relaxed),
            popped: self.0.popped.load(Ordering::Relaxed),
            dropped: self.0.dropped.load(Ordering::Relaxed),
            waiting: self.items().len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_by_policy_and_counts_it() {
        let refuse = Queue::new(2, WhenFull::Refuse);
        assert_eq!((refuse.push(1), refuse.push(2), refuse.push(3)), (None, None, Some(3)));
        let oldest = Queue::new(2, WhenFull::DropOldest);
        assert_eq!((oldest.push(1), oldest.push(2), oldest.push(3)), (None, None, Some(1)));
        assert_eq!(oldest.try_pop(), Some(2));
        assert_eq!(oldest.counts(), QueueCounts { pushed: 3, popped: 1, dropped: 1, waiting: 1 });
    }

    #[tokio::test]
    async fn every_waiter_is_woken() {
        let queue = Queue::new(8, WhenFull::Refuse);
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.pop().await })
            })
            .collect();
        tokio::task::yield_now().await;
        for n in 0..4 {
            queue.push(n);
        }
        let mut got = Vec::new();
        for waiter in waiters {
            got.push(waiter.await.unwrap());
        }
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2, 3]);
    }
}
