//! A camera's faults over time: `20s:dark,50s:normal,60s:freeze,90s:normal`.
//!
//! Each step is a time since the simulator started and a fault, in order of time; `normal` ends all faults before it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::duration;
use crate::error::Error;
use crate::fault::Fault;

/// What a step does.
#[derive(Debug, Clone)]
pub enum Change {
    /// Ends all faults.
    Clear,
    /// Begins a fault, beside those of other sides that hold.
    Apply(Fault),
}

/// One step of a schedule.
#[derive(Debug, Clone)]
pub struct Step {
    /// Since the simulator's start.
    pub at: Duration,
    /// What happens.
    pub change: Change,
}

/// Steps in order of time.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    steps: Vec<Step>,
}

impl Schedule {
    /// A schedule of `steps`, which are put in order of time.
    pub fn new(mut steps: Vec<Step>) -> Self {
        steps.sort_by_key(|step| step.at);
        Self { steps }
    }

    /// The steps in order of time.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut steps: Vec<Step> = Vec::new();
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        for (number, text) in (1..).zip(text.split(',')) {
            let at_earliest = steps.last().map_or(Duration::ZERO, |step| step.at);
            let step = parse_step(text.trim(), at_earliest).map_err(|source| Error::BadStep {
                number,
                step: text.trim().to_owned(),
                source: Box::new(source),
            })?;
            steps.push(step);
        }
        Ok(Self { steps })
    }
}

fn parse_step(text: &str, at_earliest: Duration) -> Result<Step, Error> {
    let (at, change) = text.split_once(':').ok_or(Error::StepWithoutColon)?;
    let at = duration::parse(at.trim())?;
    if at < at_earliest {
        return Err(Error::StepOutOfOrder);
    }
    let change = match change.trim() {
        "normal" => Change::Clear,
        fault => Change::Apply(fault.parse()?),
    };
    Ok(Step { at, change })
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:", duration::text(step.at))?;
            match &step.change {
                Change::Clear => f.write_str("normal")?,
                Change::Apply(fault) => write!(f, "{fault}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_schedule_reads_back_as_it_was_written() {
        let text = "500ms:dark,20s:normal,60s:freeze,60s:corrupt=0.001,90s:restart=5s,100s:show=small,\
                    101s:away,102s:stall,103s:half-open,104s:refuse,105s:stop,106s:lock,107s:normal";
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.to_string(), text);
        assert_eq!(schedule.steps().len(), 13);
        assert_eq!(
            " 1m:dark , 2m : normal ".parse::<Schedule>().unwrap().to_string(),
            "60s:dark,120s:normal"
        );
        assert!("".parse::<Schedule>().unwrap().steps().is_empty());
    }

    #[test]
    fn an_error_names_the_step_and_says_what_to_write() {
        for (text, step, cause) in [
            ("20s:dark,30s", "schedule step 2 (`30s`)", "TIME:FAULT"),
            ("20:dark", "schedule step 1 (`20:dark`)", "like 20s"),
            ("-2s:dark", "schedule step 1 (`-2s:dark`)", "like 20s"),
            ("20s:dim", "schedule step 1 (`20s:dim`)", "half-open"),
            ("20s:corrupt=2", "schedule step 1 (`20s:corrupt=2`)", "0 to 1"),
            ("20s:restart=now", "schedule step 1 (`20s:restart=now`)", "like 20s"),
            ("20s:dark,10s:normal", "schedule step 2 (`10s:normal`)", "order of time"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err();
            assert_eq!(error.to_string(), step);
            assert!(error.source().unwrap().to_string().contains(cause), "{text}: {error:?}");
        }
    }
}
