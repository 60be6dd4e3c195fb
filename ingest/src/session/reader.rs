//! What is common to the drivers: one attempt, from the address to the last unit, over whichever driver is due.

use std::sync::Arc;

use futures::future::BoxFuture;
use tracing::info;
use xueliang_base::time::SharedClock;

use super::{
    Delivery, Driver, Halt, SessionError, SessionSpec, Source, address,
    choice::{Choice, Why},
    haste::{Haste, Patience, Progress},
    knock,
};

/// One attempt, as a driver is given it.
#[derive(Clone)]
pub(crate) struct Attempt {
    /// Whose stream.
    pub(crate) spec: SessionSpec,
    /// The address that was checked: nothing else may be connected to.
    pub(crate) place: address::Place,
    /// When it is given up.
    pub(crate) haste: Haste,
    /// How far it has come.
    pub(crate) progress: Arc<Progress>,
    /// Where its units go.
    pub(crate) delivery: Arc<Delivery>,
    /// Asks it to stop.
    pub(crate) halt: Halt,
    /// Time.
    pub(crate) clock: SharedClock,
}

impl Attempt {
    /// The error of a login that was refused.
    pub(crate) fn unauthorized(&self) -> SessionError {
        if self.spec.credentials.is_some() {
            SessionError::Unauthorized
        } else {
            SessionError::CredentialsMissing
        }
    }
    /// The text without what the camera's account is, and without control characters or endless tails.
    pub(crate) fn clean(&self, text: &str) -> String {
        let text = match &self.spec.credentials {
            Some(credentials) => credentials.redact(text),
            None => text.to_owned(),
        };
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
    }
}

/// Reads one camera over RTSP.
pub(super) struct Reader {
    spec: SessionSpec,
    clock: SharedClock,
    choice: Choice,
    patience: Patience,
    /// The last attempt failed: see whether anybody is there before anything is built.
    knock: bool,
    /// The reason that was logged last.
    told: Option<Why>,
}

impl Reader {
    pub(super) fn new(spec: SessionSpec, clock: SharedClock) -> Self {
        let choice = Choice::new(&spec.stream);
        Self { spec, clock, choice, patience: Patience::default(), knock: false, told: None }
    }

    async fn attempt(&mut self, delivery: &Arc<Delivery>, halt: &Halt) -> SessionError {
        let find = async {
            let place = address::check(&self.spec.stream.url, &self.spec.networks).await?;
            if self.knock {
                knock::connect(place.address).await?;
            }
            Ok(place)
        };
        let place = match halt.or(find).await {
            Some(Ok(place)) => place,
            Some(Err(error)) => return error,
            None => return SessionError::Stopped,
        };
        loop {
            let reading = self.choice.next(self.clock.mono());
            let driver = reading.driver;
            self.tell(reading.why.as_ref());
            delivery.read_by(reading);
            let first_unit = self.spec.stream.first_unit_timeout;
            let haste = if delivery.is_visit() {
                Haste::patient(first_unit)
            } else {
                self.patience.next(first_unit, self.clock.mono())
            };
            let attempt = Attempt {
                spec: self.spec.clone(),
                place: place.clone(),
                haste,
                progress: Arc::default(),
                delivery: Arc::clone(delivery),
                halt: halt.clone(),
                clock: Arc::clone(&self.clock),
            };
            let progress = Arc::clone(&attempt.progress);
            let mut error = match driver {
                Driver::Retina => crate::retina::read(&attempt).await,
                Driver::Gstreamer => crate::gst::rtsp::read(attempt).await,
            };
            let delivered = delivery.silence().1;
            if delivered {
                self.patience.worked(&progress, self.clock.mono());
            } else if !progress.described() {
                // What the driver tells no further, a connection of our own does.
                error =
                    halt.or(knock::closer(error, &place, self.knock)).await.unwrap_or(SessionError::Stopped);
            }
            let again = self.choice.ended(driver, &error, delivered, self.clock.mono());
            if !again || halt.asked() {
                return error;
            }
        }
    }

    /// Logs a new reason once.
    fn tell(&mut self, why: Option<&Why>) {
        // What the configuration says needs no line, and neither does the ordinary.
        let Some(why @ (Why::Unreadable(_) | Why::NothingCame(_))) = why else { return };
        if self.told.as_ref() != Some(why) {
            info!(camera = %self.spec.camera, %why, "read over gstreamer");
            self.told = Some(why.clone());
        }
    }
}

impl Source for Reader {
    fn run_once<'a>(
        &'a mut self,
        delivery: &'a Arc<Delivery>,
        halt: &'a Halt,
    ) -> BoxFuture<'a, SessionError> {
        Box::pin(async move {
            let ended = self.attempt(delivery, halt).await;
            self.knock = ended.gone_for_now();
            ended
        })
    }
}
