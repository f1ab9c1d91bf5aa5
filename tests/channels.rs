//! Layers of images whose channels come first give what TensorFlow says of `NCHW`: that of channels last, turned.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse::prelude::*;

fn numbers(dims: &[usize], seed: usize) -> Value {
    let count: usize = dims.iter().product();
    let of = |i: usize| ((i * 37 + seed * 11 + 5) % 101) as f32 / 25.0 - 2.0;
    Value::from_elements(dims, (0..count).map(of).collect()).unwrap()
}

/// Runs a layer on images of both kinds, with the gradients by them and by its filter.
fn same(last: &[usize], perm: &[u32], filter: &[usize], layer: impl Fn(Tensor, Tensor) -> Tensor) {
    let back: Vec<u32> = (0..perm.len() as u32).map(|k| perm.iter().position(|p| *p == k).unwrap() as u32).collect();
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, Shape::known(last));
    let w = graph.constant(numbers(filter, 3));
    let plain = layer(x, w);
    let turned = x.transpose_axes(perm).channels_first(|x| layer(x, w));
    let [dx, dw] = gradients(plain.square().sum(), [x, w]);
    let [tx, tw] = gradients(turned.square().sum(), [x, w]);
    let fetches = [plain, turned.transpose_axes(&back), dx, tx, dw, tw];
    let session = Session::new(&graph).unwrap();
    let values = session.run(&fetches, feeds![x => numbers(last, 1)]).unwrap();
    for (i, pair) in values.chunks(2).enumerate() {
        assert_eq!(pair[0].shape(), pair[1].shape());
        let (a, b) = (pair[0].to_vec::<f32>().unwrap(), pair[1].to_vec::<f32>().unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-4 * a.abs().max(1.0)), "{i}: {a:?} {b:?}");
    }
}

#[test]
fn layers_of_images_with_channels_first() {
    let perm = [0, 3, 1, 2];
    let options = Conv2d { strides: [2, 1], ..Conv2d::default() };
    same(&[2, 6, 5, 3], &perm, &[3, 2, 3, 4], |x, w| x.conv2d(w, options));
    same(&[2, 6, 5, 3], &perm, &[3, 2, 3, 2], |x, w| x.depthwise_conv2d(w, Conv2d::default()));
    same(&[2, 3, 4, 4], &perm, &[3, 3, 2, 4], |x, w| {
        x.conv2d_transpose(w, [6, 8], Conv2d { strides: [2, 2], ..Conv2d::default() })
    });
    same(&[2, 6, 5, 3], &perm, &[3], |x, w| x.bias_add(w).max_pool(Pool::default()));
    same(&[2, 6, 5, 3], &perm, &[3], |x, w| x.bias_add(w).avg_pool(Pool::default()));
    same(&[1, 4, 6, 2], &perm, &[2], |x, w| x.bias_add(w).space_to_depth(2));
    same(&[2, 3, 3, 2], &perm, &[2], |x, w| x.fused_batch_norm(w, w, dormouse::graph::BatchStatistics::Batch, 1e-3).y);
}

#[test]
fn sequences_and_volumes_with_channels_first() {
    same(&[2, 7, 3], &[0, 2, 1], &[3, 3, 2], |x, w| x.conv1d(w, dormouse::graph::Conv1d::default()));
    same(&[1, 3, 4, 4, 2], &[0, 4, 1, 2, 3], &[2, 2, 2, 2, 3], |x, w| x.conv3d(w, dormouse::graph::Conv3d::default()));
}

#[test]
fn turns_give_each_other_back_and_need_axes() {
    let graph = Graph::new();
    let x = graph.constant(numbers(&[2, 3, 4, 5], 0));
    let y = x.channels_to_last();
    assert_eq!(y.shape().to_dims().unwrap()[..], [2, 4, 5, 3]);
    let back = y.channels_to_second();
    let session = Session::new(&graph).unwrap();
    assert_eq!(session.run(back, feeds![]).unwrap(), numbers(&[2, 3, 4, 5], 0));
    graph.placeholder(DType::F32, Shape::unknown()).channels_first(|x| x);
    let told = Session::new(&graph).unwrap_err().to_string();
    assert!(told.contains("channels_to_last"), "{told}");
}
