#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::sync::LazyLock;

use tempfile::TempDir;

use super::*;

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/mnist");
static MNIST: LazyLock<Mnist> = LazyLock::new(|| Mnist::open(DIR).unwrap());

fn first_labels(data: &Dataset) -> Vec<i64> {
    data.labels().iter().copied().take(5).collect()
}

#[test]
fn the_real_files_split_as_in_the_course() {
    let Mnist { train, validation, test, .. } = &*MNIST;
    assert_eq!([train, validation, test].map(Dataset::num_examples), [55_000, 5_000, 10_000]);
    assert_eq!(train.images().dim(), (55_000, 784));
    assert_eq!((MNIST.image_size(), MNIST.classes()), ([28, 28], 10));
    // The first labels as the course prints them, and those of the other two parts.
    assert_eq!(first_labels(train), [7, 3, 4, 6, 1]);
    assert_eq!(first_labels(validation), [5, 0, 4, 1, 9]);
    assert_eq!(first_labels(test), [7, 2, 1, 0, 4]);
}

#[test]
fn pixels_are_the_bytes_times_one_in_255() {
    let raw = idx::read(format!("{DIR}/t10k-images-idx3-ubyte.gz")).unwrap().to_vec::<u8>().unwrap();
    // What numpy computes: float32(byte) * float32(1 / 255), written as bits.
    let numpy = [
        (0, 0x0000_0000),
        (1, 0x3b80_8081),
        (3, 0x3c40_c0c2),
        (7, 0x3ce0_e0e2),
        (51, 0x3e4c_ccce),
        (128, 0x3f00_8081),
        (200, 0x3f48_c8ca),
        (253, 0x3f7d_fdff),
        (254, 0x3f7e_ff00),
        (255, 0x3f80_0000),
    ];
    for (byte, bits) in numpy {
        let at = raw.iter().position(|&b| b == byte).unwrap();
        assert_eq!(MNIST.test.images().iter().nth(at).unwrap().to_bits(), bits, "byte {byte}");
    }
    let (low, high) = MNIST.train.images().iter().fold((1.0_f32, 0.0_f32), |(l, h), &x| (l.min(x), h.max(x)));
    assert_eq!((low, high), (0.0, 1.0));
}

#[test]
fn batches_pair_images_with_their_labels() {
    let mut mnist = MNIST.clone();
    let (images, labels) = mnist.train.next_batch(100).unwrap();
    let rows = mnist.train.images();
    for (image, label) in images.rows().into_iter().zip(&labels) {
        assert!((0..rows.nrows()).any(|i| mnist.train.labels()[i] == *label && rows.row(i) == image));
    }
    let pointer = MNIST.train.images().as_ptr();
    let mnist = MNIST.clone().nhwc().unwrap().one_hot().unwrap();
    assert_eq!(mnist.validation.images().dim(), (5_000, 28, 28, 1));
    assert_eq!(mnist.test.labels().dim(), (10_000, 10));
    assert_eq!(mnist.train.labels().row(0).iter().position(|&x| x == 1.0), Some(7));
    assert_eq!(mnist.train.images().as_ptr(), pointer, "seen as [n, 28, 28, 1] without a copy");
}

fn idx_file(extents: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x08, extents.len() as u8];
    for n in extents {
        bytes.extend(n.to_be_bytes());
    }
    bytes.extend(data);
    bytes
}

/// A set of four training and two test images of 2 × 3 pixels.
fn small() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..24).collect();
    let write = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
    write("train-images-idx3-ubyte", idx_file(&[4, 2, 3], &pixels));
    write("train-labels.idx1-ubyte", idx_file(&[4], &[0, 2, 1, 0]));
    write("t10k-images.idx3-ubyte", idx_file(&[2, 2, 3], &pixels[..12]));
    write("t10k-labels-idx1-ubyte", idx_file(&[2], &[1, 4]));
    dir
}

fn options(validation: usize) -> MnistOptions {
    MnistOptions { validation, order: Order::Sequential }
}

/// The message of opening `dir`, with the folder's own path taken out.
fn message(dir: &Path, validation: usize) -> String {
    let error = Mnist::open_with(dir, options(validation)).unwrap_err();
    assert!(error.path().is_some());
    error.to_string().replace(&format!("{}/", dir.display()), "").replace(&dir.display().to_string(), "DIR")
}

#[test]
fn any_set_of_the_same_form() {
    let dir = small();
    let mut mnist = Mnist::open_with(dir.path(), options(1)).unwrap();
    assert_eq!((mnist.image_size(), mnist.classes()), ([2, 3], 5));
    assert_eq!(mnist.train.next_batch(3).unwrap().1.to_vec(), [2, 1, 0]);
    assert_eq!(mnist.nhwc().unwrap().test.images().dim(), (2, 2, 3, 1));
    for validation in [0, 4] {
        let mnist = Mnist::open_with(dir.path(), options(validation)).unwrap();
        assert_eq!(mnist.validation.num_examples(), validation);
        assert_eq!(mnist.train.num_examples(), 4 - validation);
    }
}

#[test]
fn each_fault_names_its_file() {
    let dir = small();
    let path = dir.path();
    assert_eq!(message(path, 5), "train-images-idx3-ubyte: split: 5 examples asked for, the dataset has 4");

    let set = |name: &str, bytes: Vec<u8>| fs::write(path.join(name), bytes).unwrap();
    set("t10k-images.idx3-ubyte", idx_file(&[2, 3, 2], &[0; 12]));
    assert_eq!(
        message(path, 1),
        "t10k-images.idx3-ubyte: holds images of [3, 2] pixels, but train-images-idx3-ubyte has [2, 3]"
    );
    set("t10k-labels-idx1-ubyte", idx_file(&[3], &[0; 3]));
    assert_eq!(
        message(path, 1),
        "t10k-labels-idx1-ubyte: holds 3 labels, but there are 2 images in t10k-images.idx3-ubyte"
    );
    set("t10k-labels-idx1-ubyte", idx_file(&[2, 2, 3], &[0; 12]));
    assert_eq!(message(path, 1), "t10k-labels-idx1-ubyte: holds u8 of shape [2, 2, 3]; labels, u8 of rank 1, expected");
    set("train-labels.idx1-ubyte", idx_file(&[4], &[0; 3]));
    assert_eq!(
        message(path, 1),
        "train-labels.idx1-ubyte: cut short or a damaged header: the header claims [4] of u8 in 4 bytes, 3 bytes follow it"
    );
    fs::remove_file(path.join("t10k-labels-idx1-ubyte")).unwrap();
    assert_eq!(
        message(path, 1),
        "DIR: holds no file named t10k-labels-idx1-ubyte or t10k-labels.idx1-ubyte or t10k-labels-idx1-ubyte.gz or \
         t10k-labels.idx1-ubyte.gz; name the folder that has it"
    );
    let absent = Mnist::open(path.join("absent")).unwrap_err();
    assert_eq!(absent.io_kind(), Some(std::io::ErrorKind::NotFound));
    let replaced = Mnist::open_with(small().path(), options(1)).map(|mut mnist| {
        mnist.test = Dataset::new(ndarray::Array2::zeros((1, 7)), ndarray::array![9], Order::Sequential).unwrap();
        (mnist.clone().nhwc().is_err(), mnist.one_hot().is_err())
    });
    assert_eq!(replaced.unwrap(), (true, true));
}
