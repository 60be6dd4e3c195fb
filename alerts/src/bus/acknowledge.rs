//! Acknowledgements: what a console says of how far it has come gives credit back, and stands in the audit.

use xueliang_base::{cursor::Cursor, kind::Lane};
use xueliang_proto::v1::{self, DeliveryStage};

use super::Bus;
use crate::{
    error::{Error, Result},
    rights::{Principal, Right},
};

impl Bus {
    /// Gives credit back for everything up to a cursor that was shown, and remembers it for a named subscription.
    pub fn acknowledge(&self, principal: &Principal, id: &str, cursor: &[u8]) -> Result<v1::Credit> {
        self.acknowledge_stage(principal, id, cursor, DeliveryStage::Displayed)
    }
    /// Notes how far a console has come with everything up to a cursor; from "displayed" on this acknowledges it.
    pub fn acknowledge_stage(
        &self,
        principal: &Principal,
        id: &str,
        cursor: &[u8],
        stage: DeliveryStage,
    ) -> Result<v1::Credit> {
        let stage = match stage {
            DeliveryStage::Unspecified => DeliveryStage::Displayed,
            DeliveryStage::Sent => {
                return Err(Error::Invalid(
                    "stage: that it was sent is known, tell what comes after".to_owned(),
                ));
            }
            told => told,
        };
        self.0.rights.check(principal, Right::ReadAlerts)?;
        let open = self.0.registry.find(&principal.name, id)?;
        if cursor.is_empty() {
            // Of a bookmark that is a sign of life only: it acknowledges nothing.
            return Ok(open.credits().available());
        }
        let cursor = Cursor::decode(cursor).map_err(|fault| Error::Invalid(format!("cursor: {fault}")))?;
        let (acked, available, starved) = {
            let mut credits = open.credits();
            credits.check(&cursor)?;
            if let Some(mut trail) = open.trail() {
                trail.reach(stage, &cursor, self.0.clock.wall());
            }
            if stage < DeliveryStage::Displayed {
                return Ok(credits.available());
            }
            let starved = Lane::ALL.iter().any(|lane| credits.free(*lane) == 0);
            let (acked, available) = credits.acknowledge(cursor);
            (acked, available, starved)
        };
        if !open.name.is_empty() {
            self.0.acked(&open.principal, &open.name, acked);
        }
        // A lane waits for credit only where it had none.
        if starved {
            open.acknowledged.notify_one();
        }
        Ok(available)
    }
}
