//! A rotary encoder: clicks from the edges of its two lines.

/// Follows the two lines of an encoder that rests with both of them open.
#[derive(Debug, Clone, Default)]
pub(super) struct Encoder {
    first: bool,
    second: bool,
    /// Quarters of a turn since it last rested.
    quarters: i32,
}

/// Where the pair of lines is within a click, in the order in which an upward click passes it.
const fn place(first: bool, second: bool) -> i32 {
    match (first, second) {
        (false, false) => 0,
        (true, false) => 1,
        (true, true) => 2,
        (false, true) => 3,
    }
}

impl Encoder {
    /// A line's level at start.
    pub(super) const fn begin(&mut self, second: bool, active: bool) {
        if second {
            self.second = active;
        } else {
            self.first = active;
        }
    }

    /// An edge of one line; the click that it completes: 1, -1, or 0 for none.
    ///
    /// A click counts when the encoder rests again after more than half of it, so that a contact that trembles does not
    /// count, and a single lost edge does no harm.
    pub(super) fn edge(&mut self, second: bool, active: bool) -> i32 {
        let before = place(self.first, self.second);
        self.begin(second, active);
        let after = place(self.first, self.second);
        self.quarters += match (after - before).rem_euclid(4) {
            1 => 1,
            3 => -1,
            _ => 0,
        };
        if after != 0 {
            return 0;
        }
        let quarters = std::mem::take(&mut self.quarters);
        match quarters {
            2.. => 1,
            ..=-2 => -1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UP: [(bool, bool); 4] = [(false, true), (true, true), (false, false), (true, false)];
    const DOWN: [(bool, bool); 4] = [(true, true), (false, true), (true, false), (false, false)];

    fn turn(encoder: &mut Encoder, edges: &[(bool, bool)]) -> i32 {
        edges.iter().map(|&(second, active)| encoder.edge(second, active)).sum()
    }

    #[test]
    fn a_click_each_way() {
        let mut encoder = Encoder::default();
        assert_eq!(turn(&mut encoder, &UP), 1);
        assert_eq!(turn(&mut encoder, &UP), 1);
        assert_eq!(turn(&mut encoder, &DOWN), -1);
    }

    #[test]
    fn half_a_click_and_back_is_none() {
        let mut encoder = Encoder::default();
        assert_eq!(turn(&mut encoder, &[(false, true), (true, true), (true, false), (false, false)]), 0);
    }

    proptest! {
        /// Trembling anywhere within a click changes nothing.
        #[test]
        fn bounces_do_not_count(clicks in prop::collection::vec((any::<bool>(), 0_usize..4, 0_usize..6), 0..40)) {
            let (mut encoder, mut expected, mut told) = (Encoder::default(), 0, 0);
            for (up, place, bounces) in clicks {
                let edges = if up { UP } else { DOWN };
                for (index, &(second, active)) in edges.iter().enumerate() {
                    if index == place {
                        for _ in 0..bounces {
                            told += encoder.edge(second, active);
                            told += encoder.edge(second, !active);
                        }
                    }
                    told += encoder.edge(second, active);
                }
                expected += if up { 1 } else { -1 };
            }
            prop_assert_eq!(told, expected);
        }

        /// Any edges: at most one click an edge.
        #[test]
        fn any_edges_are_survived(edges in prop::collection::vec(any::<(bool, bool)>(), 0..200)) {
            let mut encoder = Encoder::default();
            for (second, active) in edges {
                prop_assert!(encoder.edge(second, active).abs() <= 1);
            }
        }
    }
}
