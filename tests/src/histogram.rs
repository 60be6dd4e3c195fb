//! Histograms of the service, as `/metrics` shows them.

use std::collections::BTreeMap;

/// A histogram of the service, all its label sets together: how many observations were at most how large.
#[derive(Debug, Clone, Default)]
pub struct Buckets(BTreeMap<u64, f64>);

impl Buckets {
    /// The histogram of that name in the text of `/metrics`, of the label sets that hold all of `labels`.
    pub fn read(text: &str, name: &str, labels: &[&str]) -> Self {
        let begins = format!("{name}_bucket{{");
        let mut buckets = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with(&begins)) {
            let bound = line.split("le=\"").nth(1).and_then(|rest| rest.split('"').next());
            let bound = bound.map_or(f64::INFINITY, |bound| bound.parse().unwrap_or(f64::INFINITY));
            let count: f64 = line.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0.0);
            if labels.iter().all(|label| line.contains(label)) {
                *buckets.entry(bound.to_bits()).or_insert(0.0) += count;
            }
        }
        Self(buckets)
    }
    /// The value that this share of what was observed since an earlier reading does not exceed, by straight lines within
    /// buckets. Seconds.
    pub fn quantile_since(&self, earlier: &Self, share: f64) -> f64 {
        let counts = |(bound, count): (&u64, &f64)| {
            (f64::from_bits(*bound), count - earlier.0.get(bound).copied().unwrap_or_default())
        };
        let rows: Vec<(f64, f64)> = self.0.iter().map(counts).collect();
        let wanted = rows.last().map_or(0.0, |last| last.1 * share);
        let (mut low, mut passed) = (0.0, 0.0);
        for (bound, count) in rows {
            if count >= wanted {
                let part = if count > passed { (wanted - passed) / (count - passed) } else { 0.0 };
                return if bound.is_finite() { low + (bound - low) * part } else { low };
            }
            (low, passed) = (bound, count);
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_what_came_since_are_read_from_the_metrics() {
        let text = |counts: [u64; 3]| {
            let [a, b, all] = counts;
            format!(
                "x_bucket{{le=\"0.1\",stage=\"rest\"}} {a}\nx_bucket{{le=\"0.2\",stage=\"rest\"}} {b}\n\
                 x_bucket{{le=\"+Inf\",stage=\"rest\"}} {all}\nx_bucket{{le=\"0.1\",stage=\"infer\"}} 9\n"
            )
        };
        let read = |counts| Buckets::read(&text(counts), "x", &["stage=\"rest\""]);
        let (before, after) = (read([10, 10, 10]), read([10, 110, 110]));
        assert!((after.quantile_since(&before, 0.5) - 0.15).abs() < 1e-9);
        assert!((read([50, 100, 100]).quantile_since(&Buckets::default(), 0.25) - 0.05).abs() < 1e-9);
    }
}
