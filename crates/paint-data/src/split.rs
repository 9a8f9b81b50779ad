//! Class-stratified orders, from which every split, subset and part is a slice.

use crate::Rng;

/// All positions of `labels` in a seeded random order any slice of which has the classes
/// in nearly the shares of the whole.
///
/// Within a class the order is random; the k-th of a class's n images stands at the
/// quantile (k + u) / n, with one random u per class so that small classes
/// do not all fall on the same side of a cut. Slices of one order are disjoint.
pub(crate) fn stratified_order(labels: &[u32], seed: u64) -> Vec<usize> {
    let n_classes = labels.iter().max().map_or(0, |&label| label as usize + 1);
    let mut by_class: Vec<Vec<usize>> = vec![Vec::new(); n_classes];
    for (position, &label) in labels.iter().enumerate() {
        by_class[label as usize].push(position);
    }
    let mut placed: Vec<(f64, usize)> = Vec::with_capacity(labels.len());
    for (class_idx, mut members) in by_class.into_iter().enumerate() {
        let mut rng = Rng::derive(seed, &[class_idx as u64]);
        rng.shuffle(&mut members);
        let (offset, n) = (rng.unit(), members.len() as f64);
        placed.extend(
            members
                .iter()
                .enumerate()
                .map(|(k, &p)| ((k as f64 + offset) / n, p)),
        );
    }
    placed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    placed.into_iter().map(|(_, position)| position).collect()
}

/// How many of `n` training images become validation images: PAINT's rule, a tenth and at
/// most 5,000, but at least one.
pub(crate) fn n_validation(n: usize) -> usize {
    (n / 10).clamp(1, 5000).min(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_slice_has_the_shares_of_the_whole() {
        let labels: Vec<u32> = (0..1000)
            .map(|i| if i < 700 { 0 } else { 1 + i % 3 })
            .collect();
        let order = stratified_order(&labels, 4);
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
    fn order_depends_on_the_seed_alone() {
        let labels: Vec<u32> = (0..100).map(|i| i % 10).collect();
        assert_eq!(stratified_order(&labels, 1), stratified_order(&labels, 1));
        assert_ne!(stratified_order(&labels, 1), stratified_order(&labels, 2));
        // Balanced classes: the first ten are one of each.
        let mut first: Vec<u32> = stratified_order(&labels, 1)[..10]
            .iter()
            .map(|&p| labels[p])
            .collect();
        first.sort_unstable();
        assert_eq!(first, (0..10).collect::<Vec<u32>>());
        assert!(stratified_order(&[], 1).is_empty());
    }

    #[test]
    fn single_images_do_not_all_fall_on_one_side() {
        let labels: Vec<u32> = (0..200).collect();
        let order = stratified_order(&labels, 0);
        let low = order[..100].iter().filter(|&&p| p < 100).count();
        assert!((30..70).contains(&low), "{low}");
    }

    #[test]
    fn validation_size() {
        let sizes = [(0, 0), (1, 1), (5, 1), (100, 10), (60_000, 5000)];
        sizes
            .iter()
            .for_each(|&(n, expected)| assert_eq!(n_validation(n), expected));
    }
}
