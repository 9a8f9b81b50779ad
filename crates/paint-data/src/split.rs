//! Class-stratified orders, from which every split, subset and part is a slice.

use std::collections::BTreeMap;

use crate::Rng;

/// All positions of `labels` in a seeded random order any slice of which has the classes
/// in nearly the shares of the whole. `groups` holds the group of each position, or is empty
/// if each image stands alone; members of a group are adjacent.
///
/// Within a class the order of the groups is random. A group of s images that follows k images
/// of its class of n stands at the quantile (k + s·u) / n, its middle on average, with one
/// random u per class so that small classes do not all fall on the same side of a cut; for
/// single images that is (k + u) / n. A group with images of several classes counts as its
/// first image's class. Slices of one order are disjoint.
///
/// The order depends on which images share a class, not on the numbers or names of the classes:
/// what tells the classes apart here is their first position.
pub(crate) fn stratified_order(labels: &[u32], groups: &[u32], seed: u64) -> Vec<usize> {
    let mut by_class: BTreeMap<u32, Vec<Vec<usize>>> = BTreeMap::new();
    for members in members_of_groups(labels.len(), groups) {
        by_class
            .entry(labels[members[0]])
            .or_default()
            .push(members);
    }
    let mut placed: Vec<(f64, Vec<usize>)> = Vec::with_capacity(labels.len());
    for mut class in by_class.into_values() {
        let mut rng = Rng::derive(seed, &[class[0][0] as u64]);
        rng.shuffle(&mut class);
        let (offset, n) = (rng.unit(), class.iter().map(Vec::len).sum::<usize>());
        let mut before = 0;
        for members in class {
            let quantile = (before as f64 + members.len() as f64 * offset) / n as f64;
            before += members.len();
            placed.push((quantile, members));
        }
    }
    placed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1[0].cmp(&b.1[0])));
    placed
        .into_iter()
        .flat_map(|(_, members)| members)
        .collect()
}

/// The positions of each group, ascending; the groups in the order of their first positions.
fn members_of_groups(n: usize, groups: &[u32]) -> Vec<Vec<usize>> {
    if groups.is_empty() {
        return (0..n).map(|position| vec![position]).collect();
    }
    let mut index_of: BTreeMap<u32, usize> = BTreeMap::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (position, &group) in groups.iter().enumerate() {
        let index = *index_of.entry(group).or_insert(members.len());
        if index == members.len() {
            members.push(Vec::new());
        }
        members[index].push(position);
    }
    members
}

/// The first place in `order`, from `at` on, where a cut parts no group; never beyond the end.
pub(crate) fn whole_groups(order: &[usize], groups: &[u32], at: usize) -> usize {
    let mut at = at.min(order.len());
    while !groups.is_empty()
        && (1..order.len()).contains(&at)
        && groups[order[at - 1]] == groups[order[at]]
    {
        at += 1;
    }
    at
}

/// Numbers the groups that `names` make: names that are equal up to the last `separator` get
/// the same number, a name without it one of its own. The separator is looked for after the last
/// slash, since folders have names of their own, unless it has a slash itself.
pub(crate) fn group_by_name(names: &[String], separator: &str) -> Vec<u32> {
    let mut number_of: BTreeMap<&str, u32> = BTreeMap::new();
    let mut groups = Vec::with_capacity(names.len());
    for name in names {
        // The key ends in the separator, so that `a` is not of the group of `a_1` and `a_2`.
        let key = group_key(name, separator).unwrap_or(name);
        let next = number_of.len() as u32;
        groups.push(*number_of.entry(key).or_insert(next));
    }
    groups
}

/// The beginning of a file name that its group shares, with the separator; nothing if the
/// separator is not in it.
pub(crate) fn group_key<'a>(name: &'a str, separator: &str) -> Option<&'a str> {
    let file_start = match separator.contains('/') {
        true => 0,
        false => name.rfind('/').map_or(0, |slash| slash + 1),
    };
    let at = name[file_start..].rfind(separator)?;
    Some(&name[..file_start + at + separator.len()])
}

/// Two disjoint halves of `n_classes` class indices in a seeded draw, each ascending; of an odd
/// number the first half has one more.
#[must_use]
pub fn class_halves(n_classes: usize, seed: u64) -> (Vec<u32>, Vec<u32>) {
    let mut first: Vec<u32> = (0..n_classes as u32).collect();
    Rng::derive(seed, &[HALVES_STREAM]).shuffle(&mut first);
    let mut second = first.split_off(n_classes.div_ceil(2));
    first.sort_unstable();
    second.sort_unstable();
    (first, second)
}

/// Keeps the draw of classes apart from whatever else a run draws by the same seed.
const HALVES_STREAM: u64 = 0x6861_6c76;

/// How many of `n` training images become validation images: PAINT's rule, a tenth and at
/// most 5,000, but at least one.
#[must_use]
pub fn n_validation(n: usize) -> usize {
    (n / 10).clamp(1, 5000).min(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order of single images.
    fn order_of(labels: &[u32], seed: u64) -> Vec<usize> {
        stratified_order(labels, &[], seed)
    }

    #[test]
    fn any_slice_has_the_shares_of_the_whole() {
        let labels: Vec<u32> = (0..1000)
            .map(|i| if i < 700 { 0 } else { 1 + i % 3 })
            .collect();
        let order = order_of(&labels, 4);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        for slice in order.chunks(100) {
            for (class_idx, expected) in [(0, 70), (1, 10), (2, 10), (3, 10)] {
                let n = slice.iter().filter(|&&p| labels[p] == class_idx).count();
                assert!(n.abs_diff(expected) <= 1, "class {class_idx}: {n}");
            }
        }
    }

    #[test]
    fn order_depends_on_the_seed_and_on_which_images_share_a_class() {
        let labels: Vec<u32> = (0..100).map(|i| i % 10).collect();
        assert_eq!(order_of(&labels, 1), order_of(&labels, 1));
        assert_ne!(order_of(&labels, 1), order_of(&labels, 2));
        // Balanced classes: the first ten are one of each.
        let mut first: Vec<u32> = order_of(&labels, 1)[..10]
            .iter()
            .map(|&p| labels[p])
            .collect();
        first.sort_unstable();
        assert_eq!(first, (0..10).collect::<Vec<u32>>());
        // Classes may be numbered otherwise.
        let renumbered: Vec<u32> = labels.iter().map(|label| 1000 - 7 * label).collect();
        assert_eq!(order_of(&renumbered, 1), order_of(&labels, 1));
        assert!(order_of(&[], 1).is_empty());
    }

    #[test]
    fn single_images_do_not_all_fall_on_one_side() {
        let labels: Vec<u32> = (0..200).collect();
        let order = order_of(&labels, 0);
        let low = order[..100].iter().filter(|&&p| p < 100).count();
        assert!((30..70).contains(&low), "{low}");
        // Nor do classes that are one group.
        let groups: Vec<u32> = (0..200).map(|i| i / 10).collect();
        let order = stratified_order(&groups, &groups, 0);
        let low = order[..100].iter().filter(|&&p| p < 100).count();
        assert!((20..=80).contains(&low), "{low}");
    }

    #[test]
    fn groups_of_one_are_single_images() {
        let labels: Vec<u32> = (0..60).map(|i| i % 7).collect();
        let groups: Vec<u32> = (0..60).rev().collect();
        assert_eq!(stratified_order(&labels, &groups, 3), order_of(&labels, 3));
        let order = order_of(&labels, 3);
        for at in 0..70 {
            assert_eq!(whole_groups(&order, &groups, at), at.min(60));
        }
    }

    /// Groups of 1 to 30 images that lie scattered over the rows, each of one of six classes.
    fn scattered(seed: u64) -> (Vec<u32>, Vec<u32>) {
        let mut rng = Rng::new(seed);
        let mut rows: Vec<(u32, u32)> = Vec::new();
        for group in 0..150 {
            let class_idx = rng.below(6) as u32;
            let size = 1 + rng.below(30);
            rows.extend(std::iter::repeat_n((class_idx, group), size));
        }
        rng.shuffle(&mut rows);
        rows.into_iter().unzip()
    }

    #[test]
    fn no_cut_parts_a_group_and_shares_are_near_the_wanted() {
        for seed in 0..20 {
            let (labels, groups) = scattered(seed);
            let n = labels.len();
            let order = stratified_order(&labels, &groups, seed);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            let mut last = 0;
            for at in (0..=n).step_by(7) {
                let cut = whole_groups(&order, &groups, at);
                assert!((at..at + 30).contains(&cut) && cut <= n, "{at} {cut}");
                assert!(cut >= last);
                last = cut;
                let of = |slice: &[usize]| -> std::collections::BTreeSet<u32> {
                    slice.iter().map(|&p| groups[p]).collect()
                };
                assert!(of(&order[..cut]).is_disjoint(&of(&order[cut..])));
                for class_idx in 0..6 {
                    let of_class = |slice: &[usize]| {
                        slice.iter().filter(|&&p| labels[p] == class_idx).count() as f64
                    };
                    let expected = of_class(&order) * cut as f64 / n as f64;
                    // A group more or less, and the one that the cut was moved over.
                    let got = of_class(&order[..cut]);
                    assert!((got - expected).abs() <= 60.0, "{got} {expected}");
                }
            }
            assert_eq!(whole_groups(&order, &groups, n), n);
            assert_eq!(whole_groups(&order, &groups, 0), 0);
        }
    }

    #[test]
    fn a_group_of_several_classes_stays_together() {
        let groups = [0, 0, 1, 1, 0, 2];
        let order = stratified_order(&[0, 1, 0, 1, 2, 2], &groups, 0);
        for at in 0..=6 {
            let cut = whole_groups(&order, &groups, at);
            let (a, b) = order.split_at(cut);
            assert!(a.iter().all(|&p| b.iter().all(|&q| groups[p] != groups[q])));
        }
    }

    #[test]
    fn names_make_groups() {
        let check = |names: &[&str], separator, expected: &[u32]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(group_by_name(&names, separator), expected, "{names:?}");
        };
        let tracks = [
            "00035_00018_00012.png",
            "00035_00019_00012.png",
            "00035_00018_00000.png",
            "00036_00018_00012.png",
        ];
        check(&tracks, "_", &[0, 1, 0, 2]);
        // The separator counts in the file's name only, and the folder belongs to the group.
        check(
            &["my_cats/a_1.png", "my_cats/b_1.png", "dogs/a_1.png"],
            "_",
            &[0, 1, 2],
        );
        check(&["my_cats/a.png", "my_cats/b.png"], "_", &[0, 1]);
        check(&["t1/a.png", "t1/b.png", "t2/a.png"], "/", &[0, 0, 1]);
        check(&["a", "a_1", "a_2"], "_", &[0, 1, 1]);
        check(&["ä–1", "ä–2", "–"], "–", &[0, 0, 1]);
    }

    #[test]
    fn validation_size() {
        let sizes = [(0, 0), (1, 1), (5, 1), (100, 10), (60_000, 5000)];
        sizes
            .iter()
            .for_each(|&(n, expected)| assert_eq!(n_validation(n), expected));
    }
}
