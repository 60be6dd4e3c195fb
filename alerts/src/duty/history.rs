//! Versions that are in force for a time. Of a key, the version that began last is in force, until its own end; a version
//! made later with the same begin takes the place of an earlier one.

use std::collections::BTreeMap;

use xueliang_base::time::Wall;

/// A version of something.
#[derive(Debug, Clone, PartialEq)]
pub struct Version<T> {
    /// Grows with every version made, of whatever.
    pub number: u64,
    /// In force from here.
    pub from: Wall,
    /// Until here, exclusive; `None`: until another begins. One that ends where it begins only ends what was before.
    pub to: Option<Wall>,
    /// The account that made it.
    pub author: String,
    /// When.
    pub made: Wall,
    /// What it says.
    pub what: T,
}

impl<T> Version<T> {
    /// Whether it is ever in force.
    pub fn lives(&self) -> bool {
        self.to.is_none_or(|to| to > self.from)
    }
}

/// Versions by key.
#[derive(Debug, Clone)]
pub struct History<K, T>(BTreeMap<K, Vec<Version<T>>>);

impl<K, T> Default for History<K, T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone, T> History<K, T> {
    /// Adds a version.
    pub fn add(&mut self, key: K, version: Version<T>) {
        let versions = self.0.entry(key).or_default();
        let place = versions.partition_point(|one| (one.from, one.number) <= (version.from, version.number));
        versions.insert(place, version);
    }
    /// All versions of a key, by begin.
    pub fn of(&self, key: &K) -> &[Version<T>] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }
    /// The version in force at a moment.
    pub fn at(&self, key: &K, at: Wall) -> Option<&Version<T>> {
        in_force(self.0.get(key)?, at)
    }
    /// All that is in force at a moment, by key.
    pub fn all_at(&self, at: Wall) -> impl Iterator<Item = (&K, &Version<T>)> {
        self.0.iter().filter_map(move |(key, versions)| Some((key, in_force(versions, at)?)))
    }
    /// When a version of a key ceases to be in force, exclusive; `None`: never, as far as is known.
    pub fn until(&self, key: &K, version: &Version<T>) -> Option<Wall> {
        let next = self.of(key).iter().find(|one| (one.from, one.number) > (version.from, version.number));
        [version.to, next.map(|next| next.from)].into_iter().flatten().min()
    }
    /// Moments after one at which a version begins or ends.
    pub fn turns_after(&self, after: Wall) -> impl Iterator<Item = Wall> {
        let moments = |one: &Version<T>| [Some(one.from), one.to].into_iter().flatten();
        self.0.values().flatten().flat_map(moments).filter(move |moment| *moment > after)
    }
    /// Keys that have ever been used, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.0.keys()
    }
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn in_force<T>(versions: &[Version<T>], at: Wall) -> Option<&Version<T>> {
    let begun = versions.partition_point(|one| one.from <= at);
    versions[..begun].last().filter(|one| one.to.is_none_or(|to| at < to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64, from: i64, to: Option<i64>) -> Version<u64> {
        Version {
            number,
            from: Wall(from),
            to: to.map(Wall),
            author: String::new(),
            made: Wall(0),
            what: number,
        }
    }

    #[test]
    fn the_version_that_began_last_is_in_force_until_its_end() {
        let mut history = History::default();
        for one in [
            version(1, 0, None),
            version(2, 100, Some(150)),
            version(3, 50, None),
            version(4, 100, Some(120)),
        ] {
            history.add("k", one);
        }
        let at = |at| history.at(&"k", Wall(at)).map(|one| one.number);
        assert_eq!(
            [-1, 0, 49, 50, 99, 100, 119, 120, 130].map(at),
            [None, Some(1), Some(1), Some(3), Some(3), Some(4), Some(4), None, None]
        );
        let until = |index: usize| history.until(&"k", &history.of(&"k")[index]);
        assert_eq!([0, 1, 2, 3].map(until), [50, 100, 100, 120].map(|at| Some(Wall(at))));
        assert_eq!(history.turns_after(Wall(50)).count(), 4);
        assert!(!version(5, 7, Some(7)).lives());
    }
}
