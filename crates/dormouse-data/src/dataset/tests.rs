#![allow(clippy::unwrap_used, reason = "tests")]

use ndarray::{Array, Array1, Array2, ArrayD, IxDyn, array};
use proptest::prelude::*;

use super::*;

const SHUFFLED: Order = Order::Shuffled { seed: 5 };

/// Image i is `[i, i + 0.5]`, label i is i.
fn numbered(n: usize, order: Order) -> Dataset {
    let images = Array::from_shape_fn((n, 2), |(i, j)| i as f32 + 0.5 * j as f32);
    Dataset::new(images, Array1::from_iter(0..n as i64), order).unwrap()
}

/// The labels of the next batch, after checking that each has its own image.
fn draw(data: &mut Dataset, size: usize) -> Vec<i64> {
    let (images, labels) = data.next_batch(size).unwrap();
    assert_eq!((images.dim(), labels.dim()), ((size, 2), size));
    for (image, &label) in images.rows().into_iter().zip(&labels) {
        assert_eq!(image.to_vec(), [label as f32, label as f32 + 0.5]);
    }
    labels.to_vec()
}

fn is_permutation(labels: &[i64]) -> bool {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    sorted.iter().copied().eq(0..labels.len() as i64)
}

#[test]
fn an_epoch_draws_every_example_once() {
    let mut data = numbered(10, SHUFFLED);
    let mut stream = Vec::new();
    for _ in 0..10 {
        stream.extend(draw(&mut data, 3));
    }
    // Batches cross epochs: 30 numbers are three whole epochs, each with an order of its own.
    for epoch in stream.chunks(10) {
        assert!(is_permutation(epoch), "{epoch:?}");
    }
    assert_ne!(stream[..10], stream[10..20]);
    assert_ne!(stream[..10].to_vec(), (0..10).collect::<Vec<_>>(), "the first epoch is shuffled too");
    assert_eq!(data.images(), numbered(10, SHUFFLED).images(), "the examples stay where they are");
}

#[test]
fn epochs_are_counted_as_tensorflow_counts_them() {
    let mut data = numbered(10, SHUFFLED);
    let counts: Vec<u64> = (0..8)
        .map(|_| {
            draw(&mut data, 5);
            data.epochs_completed()
        })
        .collect();
    assert_eq!(counts, [0, 0, 1, 1, 2, 2, 3, 3]);
}

#[test]
fn sequential_order_repeats_and_shares() {
    let mut data = numbered(5, Order::Sequential);
    assert_eq!(draw(&mut data, 2), [0, 1]);
    assert_eq!(draw(&mut data, 2), [2, 3]);
    assert_eq!(draw(&mut data, 2), [4, 0]);
    assert_eq!(draw(&mut data, 4), [1, 2, 3, 4]);
    assert_eq!(draw(&mut data, 5), [0, 1, 2, 3, 4]);
    assert_eq!(draw(&mut data, 13), [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2]);
    data.restore(DatasetState { position: 1, ..data.state() }).unwrap();
    let (images, _) = data.next_batch(2).unwrap();
    assert_eq!(images.as_ptr(), data.images().row(1).as_ptr(), "a sequential batch is a view");
}

#[test]
fn memory_is_reused_only_when_dropped() {
    let mut data = numbered(100, SHUFFLED);
    let mut pointers = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let (images, labels) = data.next_batch(8).unwrap();
        pointers.insert((images.as_ptr() as usize, labels.as_ptr() as usize));
    }
    assert_eq!(pointers.len(), 2);

    let mut reference = numbered(100, SHUFFLED);
    reference.restore(data.state()).unwrap();
    let held: Vec<_> = (0..40).map(|i| data.next_batch(8 - i % 3).unwrap()).collect();
    for (i, (_, labels)) in held.iter().enumerate() {
        assert_eq!(labels.to_vec(), draw(&mut reference, 8 - i % 3), "held batch {i} was overwritten");
    }
    // Changing a batch changes neither the dataset nor what comes next.
    let (mut images, _) = data.next_batch(8).unwrap();
    images.fill(-1.0);
    assert!(data.images().iter().all(|&x| x >= 0.0));
    draw(&mut data, 8);
    assert!(images.iter().all(|&x| x == -1.0));
}

#[test]
fn states_that_do_not_fit_change_nothing() {
    let mut data = numbered(10, SHUFFLED);
    draw(&mut data, 4);
    let state = data.state();
    let error = data.restore(DatasetState { examples: 11, ..state }).unwrap_err();
    assert_eq!(error.to_string(), "restore: the state is of a dataset of 11 examples, this one has 10");
    let error = data.restore(DatasetState { position: 11, ..state }).unwrap_err();
    assert_eq!(error.to_string(), "restore: the state is at position 11 of 10 examples");
    assert_eq!(data.state(), state);
    data.restore(DatasetState { epoch: u64::MAX, position: 10, ..state }).unwrap();
    assert!(is_permutation(&draw(&mut data, 10)));
    assert_eq!(data.epochs_completed(), 0, "the count of epochs wraps");
}

#[test]
fn empty_batches_and_empty_datasets() {
    let mut data = numbered(3, SHUFFLED);
    assert!(draw(&mut data, 0).is_empty());
    assert_eq!(data.state().position, 0);

    let mut empty = numbered(0, SHUFFLED);
    assert!(draw(&mut empty, 0).is_empty());
    let error = empty.next_batch(1).unwrap_err();
    assert_eq!(error.to_string(), "next_batch: 1 examples asked for, the dataset has none");
    assert_eq!(empty.batches(2).len(), 0);

    let error = data.next_batch(usize::MAX).unwrap_err();
    assert!(error.to_string().contains("more memory than this machine can address"), "{error}");
    assert_eq!(data.state().position, 0);

    // Rows without elements are rows still.
    let mut rowless = Dataset::new(Array2::<f32>::zeros((4, 0)), array![0_i64, 1, 2, 3], SHUFFLED).unwrap();
    for _ in 0..4 {
        assert_eq!(rowless.next_batch(3).unwrap().0.dim(), (3, 0));
    }
}

#[test]
fn pairs_must_be_pairs() {
    let error = Dataset::new(Array2::<f32>::zeros((3, 2)), array![0_i64, 1], SHUFFLED).unwrap_err();
    assert_eq!(error.to_string(), "dataset: 3 images and 2 labels; as many labels as images expected");
    let scalar = ArrayD::<f32>::zeros(IxDyn(&[]));
    let error = Dataset::new(scalar, array![0_i64], SHUFFLED).unwrap_err();
    assert_eq!(error.to_string(), "dataset: the images are a scalar; an array with one row an example expected");
}

#[test]
fn any_dtype_rank_and_layout() {
    // Column-major bytes of rank 3, booleans of rank 2.
    let images = Array::from_shape_fn((2, 3, 4), |(i, j, k)| (i + 2 * j + 6 * k) as u8).reversed_axes();
    let labels = Array2::from_elem((4, 2), true);
    let mut data = Dataset::new(images.clone(), labels, Order::Shuffled { seed: 9 }).unwrap();
    let (batch, labels) = data.next_batch(4).unwrap();
    assert_eq!((batch.dim(), labels.dim()), ((4, 3, 2), (4, 2)));
    let mut firsts: Vec<u8> = batch.outer_iter().map(|image| image[[0, 0]]).collect();
    firsts.sort_unstable();
    assert_eq!(firsts, [0, 6, 12, 18]);
    assert_eq!(data.images(), &images.into_shared());
}

#[test]
fn splits_and_views_share_memory() {
    let data = numbered(10, SHUFFLED);
    let start = data.images().as_ptr();
    let (mut first, mut second) = data.split(4).unwrap();
    assert_eq!(first.images().as_ptr(), start);
    assert_eq!(second.images().as_ptr(), start.wrapping_add(8));
    assert!(is_permutation(&draw(&mut first, 4)));
    assert!(is_permutation(&draw(&mut second, 6).iter().map(|label| label - 4).collect::<Vec<_>>()));
    assert_eq!(first.split(5).unwrap_err().to_string(), "split: 5 examples asked for, the dataset has 4");

    let sizes: Vec<_> = second.batches(4).map(|(images, labels)| (images.nrows(), labels[0])).collect();
    assert_eq!(sizes, [(4, 4), (2, 8)]);
    assert_eq!(second.batches(0).len(), 6);
    assert_eq!(second.batches(usize::MAX).len(), 1);
    let (whole, _) = second.batches(6).next().unwrap();
    assert_eq!(whole.as_ptr(), second.images().as_ptr());
}

#[test]
fn forms_keep_the_state() {
    let mut data = numbered(10, SHUFFLED);
    draw(&mut data, 7);
    let mut other = data.clone().nhwc([1, 2, 1]).unwrap().one_hot(10).unwrap();
    let labels = draw(&mut data, 6);
    let (images, rows) = other.next_batch(6).unwrap();
    assert_eq!(images.dim(), (6, 1, 2, 1));
    assert_eq!(images.iter().step_by(2).map(|&x| x as i64).collect::<Vec<_>>(), labels);
    assert_eq!(rows.rows().into_iter().map(|r| r.iter().position(|&x| x == 1.0)).collect::<Vec<_>>(), {
        labels.iter().map(|&label| Some(label as usize)).collect::<Vec<_>>()
    });
    assert_eq!(
        data.clone().nhwc([2, 2, 1]).unwrap_err().to_string(),
        "nhwc: images of shape [10, 2] cannot be seen as [10, 2, 2, 1]"
    );
    assert!(data.clone().nhwc([usize::MAX, usize::MAX, 2]).is_err());
    assert!(data.clone().one_hot(9).is_err());
    data = data.with_order(Order::Sequential);
    assert_eq!(draw(&mut data, 3), [0, 1, 2]);
}

proptest! {
    #[test]
    fn resumed_draws_are_those_of_the_unbroken_run(
        n in 1_usize..30,
        seed in prop::option::of(any::<u64>()),
        sizes in prop::collection::vec(0_usize..40, 1..12),
        broken_at in any::<prop::sample::Index>(),
    ) {
        let order = seed.map_or(Order::Sequential, |seed| Order::Shuffled { seed });
        let mut unbroken = numbered(n, order);
        let drawn: Vec<_> = sizes.iter().map(|&size| draw(&mut unbroken, size)).collect();
        // Any epoch holds each example once.
        for epoch in drawn.concat().chunks_exact(n) {
            prop_assert!(is_permutation(epoch));
        }
        let broken_at = broken_at.index(sizes.len());
        let mut first = numbered(n, order);
        for &size in &sizes[..broken_at] {
            draw(&mut first, size);
        }
        let saved = serde_json::to_string(&first.state()).unwrap();
        let mut second = numbered(n, Order::Shuffled { seed: 77 });
        draw(&mut second, 1);
        second.restore(serde_json::from_str(&saved).unwrap()).unwrap();
        for (&size, expected) in sizes.iter().zip(&drawn).skip(broken_at) {
            prop_assert_eq!(&draw(&mut second, size), expected);
        }
        prop_assert_eq!(second.state(), unbroken.state());
    }
}
