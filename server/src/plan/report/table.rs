//! A plan as a table for people.

use std::fmt;

use super::{Cores, FloorRow, MOST_WORKERS, Memory, OutOfReach, Report, Times, TypeRow};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { cameras, nodes, workers, looks, cores, memory, uplink, .. } = self;
        writeln!(
            f,
            "{cameras} cameras, {} s simulated, costs of: {} ({})",
            self.simulated_s, self.costs.processor, self.costs.taken
        )?;
        let fewest =
            if self.workers_searched { ", the fewest that keep all floors that can be kept" } else { "" };
        if *nodes > 1 {
            write!(f, "{nodes} nodes with {:.0} cameras and ", *cameras as f64 / *nodes as f64)?;
        }
        let each = if *nodes > 1 { " each" } else { "" };
        writeln!(
            f,
            "{workers} look workers{each}{fewest}, busy for {:.0} % of their time",
            self.utilisation * 100.0
        )?;
        if *workers > MOST_WORKERS as usize {
            writeln!(f, "A node may have at most {MOST_WORKERS} workers: plan more nodes (--nodes).")?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{:<19} {:>9} {:>9} {:>9} {:>13}",
            "rules", "floor s", "kept", "breached", "longest blind"
        )?;
        for row in &self.floors {
            let FloorRow { kind, blind_max_s, kept, breached, longest_blind_s } = row;
            writeln!(f, "{kind:<19} {blind_max_s:>9} {kept:>9} {breached:>9} {longest_blind_s:>11.1} s")?;
        }
        for row in &self.out_of_reach {
            let OutOfReach { camera_type, kind, blind_max_s, rules, keyframes_s } = row;
            writeln!(
                f,
                "No number of workers keeps {rules} x {kind} at {camera_type:?}: a floor of {blind_max_s} s, keyframes every \
                 {keyframes_s} s."
            )?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{:<22} {:>8} {:>8} {:>21} {:>24} {:>10}",
            "cameras", "", "looks/s", "interval s p50/p99", "age ms p50/p99/max", "Mbit/s"
        )?;
        for row in &self.types {
            let TypeRow { name, cameras, looks_per_s, interval, age, megabit_s, .. } = row;
            let intervals = format!("{:.1}/{:.1}", interval.p50_s, interval.p99_s);
            writeln!(
                f,
                "{name:<22} {cameras:>8} {looks_per_s:>8.1} {intervals:>21} {:>24} {megabit_s:>10.0}",
                ages(age)
            )?;
        }
        let all = looks.keyframe_per_s + looks.continued_per_s;
        let intervals = format!("{:.1}/{:.1}", looks.interval.p50_s, looks.interval.p99_s);
        writeln!(
            f,
            "{:<22} {cameras:>8} {all:>8.1} {intervals:>21} {:>24} {:>10.0}",
            "all",
            ages(&looks.age),
            uplink.megabit_s
        )?;
        writeln!(
            f,
            "{:.1} of these looks a second are of keyframes, {:.1} continued, on up to {} leased decoders; {} missed their deadline.",
            looks.keyframe_per_s, looks.continued_per_s, looks.leases, looks.missed
        )?;
        writeln!(f)?;
        let Cores { workers, receive, decide, evidence, total } = cores;
        writeln!(
            f,
            "cores   {total:>8.1}   looks {workers:.0}, receiving {receive:.1}, deciding {decide:.1}, evidence {evidence:.1}{}",
            of_each(*total, *nodes)
        )?;
        let Memory { rings_gib, sessions_gib, workers_gib, base_gib, total_gib } = memory;
        writeln!(
            f,
            "memory  {total_gib:>8.1}   GiB: rings {rings_gib:.1}, sessions {sessions_gib:.1}, workers {workers_gib:.1}, rest \
             {base_gib:.1}{}",
            of_each(*total_gib, *nodes)
        )?;
        write!(f, "uplink  {:>8.0}   Mbit/s", uplink.megabit_s)?;
        if uplink.connected.round() < *cameras as f64 {
            write!(f, ", {:.0} cameras connected at once", uplink.connected)?;
        }
        if let (Some(uplinks), Some(load)) = (uplink.uplinks, uplink.load) {
            write!(f, " over {uplinks} uplinks, each {:.0} % full on the average", load * 100.0)?;
            if load > 0.8 {
                write!(f, ": TOO MUCH for keyframes that come together")?;
            }
        }
        writeln!(f)
    }
}

fn of_each(all: f64, nodes: usize) -> String {
    if nodes > 1 { format!("; {:.1} a node", all / nodes as f64) } else { String::new() }
}

fn ages(age: &Times) -> String {
    format!("{:.0}/{:.0}/{:.0}", age.p50_s * 1000.0, age.p99_s * 1000.0, age.max_s * 1000.0)
}
