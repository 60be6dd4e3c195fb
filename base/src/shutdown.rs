//! One signal that asks every task to finish.

use tokio::sync::watch;

/// Held by whoever decides to stop. Dropping it also asks to stop.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

/// Held by every task that can be asked to stop.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

/// A connected pair.
pub fn pair() -> (Stop, Stopping) {
    let (sender, receiver) = watch::channel(false);
    (Stop(sender), Stopping(receiver))
}

impl Stop {
    /// Asks all to stop.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    /// Whether stopping has been asked.
    pub fn asked(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
    /// Waits until stopping is asked. Cancel-safe.
    pub async fn wait(&mut self) {
        // An error means that the other half is gone, which asks to stop as well.
        let _gone_or_asked = self.0.wait_for(|asked| *asked).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asking_and_dropping_both_stop() {
        let (stop, mut stopping) = pair();
        assert!(!stopping.asked());
        stop.ask();
        stopping.wait().await;
        assert!(stopping.asked());

        let (stop, mut stopping) = pair();
        drop(stop);
        stopping.wait().await;
        assert!(stopping.asked());
    }
}
