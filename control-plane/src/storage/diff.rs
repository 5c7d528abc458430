//! What differs between the rows before and after a batch.

/// Pairs each row of `after` that is new or differs with what it was. `before` is sorted by
/// `id`, as loaded rows are.
pub(crate) fn changed<'a, T: PartialEq, K: Ord>(
    before: &'a [T],
    after: &'a [T],
    id: impl Fn(&T) -> K + 'a,
) -> impl Iterator<Item = (Option<&'a T>, &'a T)> {
    after.iter().enumerate().filter_map(move |(place, row)| {
        let wanted = id(row);
        // Rows are seldom moved, so the old one is mostly at the same place.
        let same_place = before.get(place).filter(|old| id(old) == wanted);
        let old = same_place.or_else(|| {
            let found = before.binary_search_by_key(&wanted, &id).ok()?;
            before.get(found)
        });
        (old != Some(row)).then_some((old, row))
    })
}

#[cfg(test)]
mod tests {
    use super::changed;

    fn differing(before: &[(u8, char)], after: &[(u8, char)]) -> Vec<(Option<char>, char)> {
        changed(before, after, |row| row.0)
            .map(|(old, new)| (old.map(|old| old.1), new.1))
            .collect()
    }

    #[test]
    fn equal_rows_are_not_written() {
        assert_eq!(differing(&[(1, 'a'), (2, 'b')], &[(1, 'a'), (2, 'b')]), []);
    }

    #[test]
    fn new_and_changed_rows_are_found_wherever_they_are() {
        let before = [(1, 'a'), (2, 'b'), (3, 'c')];
        let after = [(9, 'z'), (1, 'a'), (3, 'x')];
        assert_eq!(differing(&before, &after), [(None, 'z'), (Some('c'), 'x')]);
    }
}
