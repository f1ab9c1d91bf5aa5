//! Buffers, and runs of whole kernels on them.

#![allow(clippy::cast_ptr_alignment, reason = "buffers are aligned to 64 bytes")]

use criterion::{Criterion, Throughput};
use dormouse_kernels::{Args, Kernel, Spec};

/// Bytes aligned as kernels ask for, at least so many.
fn bytes(count: usize) -> Vec<u128> {
    // 64 bytes more than asked for, to begin where they are aligned.
    vec![0; count.div_ceil(16) + 4]
}

fn aligned(buffer: &mut [u128]) -> *mut u8 {
    let start = buffer.as_mut_ptr().cast::<u8>();
    start.wrapping_add(start.align_offset(64))
}

/// A buffer of a spec: numbers between −1 and 1 for floats, classes below 10 for integers.
fn filled(spec: &Spec) -> Vec<u128> {
    let mut buffer = bytes(spec.bytes());
    let start = aligned(&mut buffer);
    for i in 0..spec.len() {
        // SAFETY: the buffer has room for the spec's elements, and its start is aligned.
        unsafe {
            if spec.dtype.is_float() {
                start.cast::<f32>().add(i).write((i * 7919 % 2003) as f32 / 1001.0 - 1.0);
            } else {
                start.cast::<i32>().add(i).write((i % 10) as i32);
            }
        }
    }
    buffer
}

/// Measures a kernel of f32 (and of i32, where an operand is of classes): every tile of every phase, in order.
pub(crate) fn measure(criterion: &mut Criterion, name: &str, kernel: &Kernel, inputs: &[Spec], outputs: &[Spec]) {
    let mut operands: Vec<Vec<u128>> = inputs.iter().map(filled).collect();
    let mut results: Vec<Vec<u128>> = outputs.iter().map(|spec| bytes(spec.bytes())).collect();
    let (mut shared, mut local) = (bytes(kernel.shared), bytes(kernel.local));
    let read: Vec<*const u8> = operands.iter_mut().map(|buffer| aligned(buffer).cast_const()).collect();
    let written: Vec<*mut u8> = results.iter_mut().map(|buffer| aligned(buffer)).collect();
    let args = Args { inputs: &read, outputs: &written, shared: aligned(&mut shared), local: aligned(&mut local) };
    let mut group = criterion.benchmark_group("kernels");
    // Criterion's elements are operations here: of a float, that is what a product is measured by.
    group.throughput(Throughput::Elements(kernel.cost.flops as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for (phase, &tiles) in kernel.phases.iter().enumerate() {
                for tile in 0..tiles {
                    // SAFETY: the buffers are those of the kernel's specs, nobody else has them, and phases are in order.
                    unsafe { kernel.body.run(&args, phase, tile) }.unwrap();
                }
            }
        });
    });
    group.finish();
}
