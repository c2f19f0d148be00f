//! Sets of whole numbers as sorted, coalesced ranges (ports and their like).
//! Reading `[1-5,8-8]` out of a flag is the work of `value_text`.

use std::fmt;

/// Both ends belong to the range; `begin <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The first number.
    pub begin: u64,
    /// The last number.
    pub end: u64,
}

/// Numbers, held as ranges that are sorted, do not overlap and do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// No numbers.
    #[must_use]
    pub const fn new() -> Ranges {
        Ranges(Vec::new())
    }

    /// The ranges, in rising order.
    #[must_use]
    pub fn as_slice(&self) -> &[Range] {
        &self.0
    }

    /// Whether there is no number in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers; saturates.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |count: u64, range| {
            count.saturating_add((range.end - range.begin).saturating_add(1))
        })
    }

    /// Whether `number` is among them.
    #[must_use]
    pub fn has(&self, number: u64) -> bool {
        let after = self.0.partition_point(|range| range.begin <= number);
        after > 0 && number <= self.0[after - 1].end
    }

    /// Whether every number of `other` is among these.
    #[must_use]
    pub fn contains(&self, other: &Ranges) -> bool {
        let mut mine = self.0.iter().peekable();
        other.0.iter().all(|theirs| {
            while mine.next_if(|range| range.end < theirs.begin).is_some() {}
            mine.peek()
                .is_some_and(|range| range.begin <= theirs.begin && theirs.end <= range.end)
        })
    }

    /// The numbers of both.
    #[must_use]
    pub fn union(&self, other: &Ranges) -> Ranges {
        self.0.iter().chain(&other.0).copied().collect()
    }

    /// The numbers that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Ranges) -> Ranges {
        let mut left = Vec::new();
        for range in &self.0 {
            let mut begin = Some(range.begin);
            for taken in &other.0 {
                let Some(from) = begin else { break };
                if taken.end < from {
                    continue;
                }
                if taken.begin > range.end {
                    break;
                }
                if taken.begin > from {
                    left.push(Range {
                        begin: from,
                        end: taken.begin - 1,
                    });
                }
                // Nothing is left behind a range that reaches the greatest number.
                begin = taken.end.checked_add(1).filter(|&next| next <= range.end);
            }
            if let Some(from) = begin {
                left.push(Range {
                    begin: from,
                    end: range.end,
                });
            }
        }
        Ranges(left)
    }

    /// The numbers that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Ranges) -> Ranges {
        self.difference(&self.difference(other))
    }
}

/// Sorts and coalesces: what overlaps or touches becomes one range. A range whose begin lies
/// behind its end holds nothing.
impl FromIterator<Range> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range>>(ranges: I) -> Ranges {
        let mut sorted: Vec<Range> = ranges
            .into_iter()
            .filter(|range| range.begin <= range.end)
            .collect();
        sorted.sort_unstable();
        let mut merged: Vec<Range> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(last) if range.begin <= last.end.saturating_add(1) => {
                    last.end = last.end.max(range.end);
                }
                _ => merged.push(range),
            }
        }
        Ranges(merged)
    }
}

impl FromIterator<(u64, u64)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(ranges: I) -> Ranges {
        ranges
            .into_iter()
            .map(|(begin, end)| Range { begin, end })
            .collect()
    }
}

/// `[1-5, 8-8]`, as Mesos prints them.
impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: Vec<String> = self
            .0
            .iter()
            .map(|range| format!("{}-{}", range.begin, range.end))
            .collect();
        write!(f, "[{}]", ranges.join(", "))
    }
}
