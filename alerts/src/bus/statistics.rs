//! Statistics by request: what may be asked for, and a page of the answer.

use std::time::Duration;

use xueliang_base::time::Wall;
use xueliang_proto::v1::{self, StatisticsKey};

use super::Bus;
use crate::{
    case::tally::name,
    error::{Error, Result},
    filter::Filter,
    rights::{Principal, Right, check},
    store::StatisticsQuery,
};

/// What is counted where no begin is named.
const USUAL: Duration = Duration::from_secs(31 * 86_400);
/// What is counted at most.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// Figures of units and shifts are of so much time at least: those of a day are those of whoever worked on it.
const SHORTEST_OF_WORK: Duration = Duration::from_secs(7 * 86_400);
/// Keys that groups are made by at once.
const MOST_KEYS: usize = 2;
/// How deep a tree of divisions may be.
const DEEPEST: u32 = 32;

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// What groups are made by.
fn keys(numbers: &[i32]) -> Result<Vec<StatisticsKey>> {
    let key = |number: &i32| {
        let known = StatisticsKey::try_from(*number).ok().filter(|key| *key != StatisticsKey::Unspecified);
        known.ok_or_else(|| Error::Invalid(format!("by: {number} is nothing that groups are made by here")))
    };
    let keys = numbers.iter().map(key).collect::<Result<Vec<_>>>()?;
    if keys.len() > MOST_KEYS || (keys.len() == 2 && keys[0] == keys[1]) {
        return Err(Error::Invalid("by: name two different keys at most".to_owned()));
    }
    if keys.contains(&StatisticsKey::Day) && keys.iter().any(is_of_work) {
        return Err(Error::Invalid(
            "by: units and shifts are not told day by day, that would tell who worked: leave one of them out"
                .to_owned(),
        ));
    }
    Ok(keys)
}

/// Whether it groups by those who work.
fn is_of_work(key: &StatisticsKey) -> bool {
    matches!(key, StatisticsKey::Unit | StatisticsKey::Shift)
}

/// Between which moments.
fn stretch(
    request: &v1::GetCaseStatisticsRequest,
    keys: &[StatisticsKey],
    now: Wall,
) -> Result<(Wall, Wall)> {
    // What is opened at this very moment counts.
    let to = if request.to_unix_us == 0 { now.0.saturating_add(1) } else { request.to_unix_us };
    let from = match request.from_unix_us {
        0 => to.saturating_sub(micros(USUAL)),
        from => from,
    };
    let long = to.saturating_sub(from);
    if long <= 0 || long > micros(LONGEST) {
        return Err(Error::Invalid(
            "from_unix_us, to_unix_us: the end lies after the begin, and at most 366 days after it"
                .to_owned(),
        ));
    }
    if long < micros(SHORTEST_OF_WORK) && keys.iter().any(is_of_work) {
        return Err(Error::Invalid(
            "from_unix_us, to_unix_us: units and shifts are told of 7 days or more, less would tell who worked"
                .to_owned(),
        ));
    }
    Ok((Wall(from), Wall(to)))
}

/// A group's place in the order of groups, as a token says it.
fn place(group: &v1::CaseStatistics) -> String {
    format!("{}/{}", group.cases, name(group))
}

fn page_start(token: &str) -> Result<Option<(u64, String)>> {
    if token.is_empty() {
        return Ok(None);
    }
    let parts = token.split_once('/').and_then(|(cases, name)| Some((cases.parse().ok()?, name.to_owned())));
    parts.map(Some).ok_or_else(|| Error::Invalid("page_token: use one from an earlier answer".to_owned()))
}

impl Bus {
    /// Counts cases in groups.
    pub async fn case_statistics(
        &self,
        principal: &Principal,
        request: v1::GetCaseStatisticsRequest,
        limit: usize,
    ) -> Result<v1::GetCaseStatisticsResponse> {
        check(principal, Right::ReadAlerts)?;
        let by = keys(&request.by)?;
        let (from_inclusive, to_exclusive) = stretch(&request, &by, self.0.clock.wall())?;
        if request.division_depth > DEEPEST {
            return Err(Error::Invalid(format!("division_depth: no tree is deeper than {DEEPEST}")));
        }
        let after = page_start(&request.page_token)?;
        let filter = Filter::try_from(request.filter.unwrap_or_default())?;
        let query = StatisticsQuery {
            filter: Filter { within: principal.reach(), ..filter },
            from_inclusive,
            to_exclusive,
            by,
            depth: request.division_depth as usize,
            with_drills: request.with_drills,
        };
        let (told, counted) = self.0.store.case_statistics(query).await?;
        let is_later = |group: &v1::CaseStatistics| match &after {
            None => true,
            Some((cases, last)) => group.cases < *cases || (group.cases == *cases && name(group) > *last),
        };
        let mut groups = told.groups.into_iter().filter(is_later);
        let page: Vec<_> = groups.by_ref().take(limit).collect();
        let next = groups.next().and(page.last()).map(place).unwrap_or_default();
        Ok(v1::GetCaseStatisticsResponse {
            groups: page,
            total: Some(told.total),
            next_page_token: next,
            from_unix_us: from_inclusive.0,
            to_unix_us: to_exclusive.0,
            counted_unix_us: counted.0,
        })
    }
}
