//! Linear algebra: the matrix product of every dtype. Floats go to `gemm`; integers are few and small, and wrap
//! around, so they take a plain loop here. [`systems`] has what solves equations, [`factors`] what takes matrices
//! apart, [`exponential`] their exponential.

mod exponential;
mod factors;
mod systems;

use dormouse_value::{DType, Element, broadcast_dims};
use smallvec::SmallVec;

use crate::gemm::{self, Operand, Product};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

pub(crate) use exponential::exponential;
pub(crate) use factors::{Factors, factors};
pub(crate) use systems::{System, systems};

/// Multiply-adds of integers that one tile takes, about 50 µs.
const INTEGER_WORK: usize = 1 << 17;

/// The kernel of `[.., n, k] × [.., k, m] → [.., n, m]`; leading axes broadcast, and a transposed operand has its last
/// two axes swapped: `[.., k, n]`, `[.., m, k]`.
///
/// # Errors
/// When the operands have no common dtype that can be multiplied, or shapes that do not fit each other or the result.
pub(crate) fn matmul(
    transpose_a: bool,
    transpose_b: bool,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    let ([a, b], [c]) = (inputs, outputs) else {
        return Err(KernelError::new(format!(
            "matmul: takes 2 operands and gives 1 result, not {} and {}",
            inputs.len(),
            outputs.len()
        )));
    };
    let wrong = |what: &str| KernelError::new(format!("matmul: {what}: {a} × {b} → {c}"));
    if a.dtype != b.dtype || a.dtype != c.dtype {
        return Err(wrong("operands and result must have one dtype; cast first"));
    }
    let (Some((a_batch, a_dims)), Some((b_batch, b_dims))) =
        (a.dims.split_last_chunk::<2>(), b.dims.split_last_chunk::<2>())
    else {
        return Err(wrong("operands must have rank 2 or more; reshape first"));
    };
    let (rows, depth) = if transpose_a { (a_dims[1], a_dims[0]) } else { (a_dims[0], a_dims[1]) };
    let (inner, columns) = if transpose_b { (b_dims[1], b_dims[0]) } else { (b_dims[0], b_dims[1]) };
    if depth != inner {
        return Err(wrong(&format!("inner dimensions differ, {depth} and {inner}")));
    }
    let Some(batch) = broadcast_dims(a_batch, b_batch) else {
        return Err(wrong("leading axes do not broadcast"));
    };
    if !c.dims.split_last_chunk::<2>().is_some_and(|(dims, last)| dims == &batch[..] && *last == [rows, columns]) {
        return Err(wrong("the result has another shape"));
    }
    let operand = |dims: &[usize], [_, inner]: [usize; 2], lines_inside: bool| Operand {
        line: if lines_inside { 1 } else { inner },
        step: if lines_inside { inner } else { 1 },
        matrices: dims.iter().product(),
        axes: matrix_strides(dims, batch.len()),
    };
    let mut product = Product {
        rows,
        columns,
        depth,
        a: operand(a_batch, *a_dims, transpose_a),
        b: operand(b_batch, *b_dims, !transpose_b),
        batch: batch.clone(),
    };
    if !transpose_a && product.b.matrices == 1 && product.a.matrices == product.products() {
        // One matrix on the right: the products are one, with the rows of all of them.
        product.rows *= product.products();
        product.a.matrices = 1;
        product.batch.clear();
        product.a.axes.clear();
        product.b.axes.clear();
    }
    let mut kernel = match c.dtype {
        DType::F32 => gemm::kernel::<f32>(product),
        DType::F64 => gemm::kernel::<f64>(product),
        DType::I32 => integers::<i32>(product),
        DType::I64 => integers::<i64>(product),
        DType::U8 => integers::<u8>(product),
        DType::Bool | DType::F16 | DType::Bf16 | DType::I8 | DType::I16 | DType::U16 | DType::U32 | DType::U64 => {
            return Err(wrong(&format!("{} cannot be multiplied; cast first", a.dtype)));
        }
    };
    if c.is_empty() {
        kernel.phases.clear();
        kernel.shared = 0;
        kernel.local = 0;
        kernel.cost = Cost::default();
    }
    Ok(kernel)
}

/// For each axis of a batch of this rank, matrices between two indices of an operand with these leading extents.
fn matrix_strides(dims: &[usize], rank: usize) -> SmallVec<[usize; 4]> {
    let mut strides = SmallVec::from_elem(0, rank);
    let mut stride = 1;
    for (slot, &extent) in strides.iter_mut().rev().zip(dims.iter().rev()) {
        *slot = if extent == 1 { 0 } else { stride };
        stride *= extent;
    }
    strides
}

/// An integer with wrapping arithmetic.
trait Integer: Element {
    /// `a · b + c`, wrapping around.
    fn multiply_add(a: Self, b: Self, c: Self) -> Self;
}

macro_rules! integers {
    ($($type:ident),*) => { $(
        impl Integer for $type {
            #[inline(always)]
            fn multiply_add(a: Self, b: Self, c: Self) -> Self { a.wrapping_mul(b).wrapping_add(c) }
        }
    )* };
}
integers!(i32, i64, u8);

/// Products of integer matrices, some rows of the result a tile.
#[derive(Debug)]
struct Integers<T> {
    product: Product,
    rows_a_tile: usize,
    element: std::marker::PhantomData<fn(T)>,
}

/// The kernel of a batch of integer products.
fn integers<T: Integer>(product: Product) -> Kernel {
    let a_row = product.columns.saturating_mul(product.depth);
    let rows = product.products() * product.rows;
    let rows_a_tile = (INTEGER_WORK / a_row.max(1)).clamp(1, rows.max(1));
    let work = a_row as f64 * rows as f64;
    let cost = Cost {
        flops: 2.0 * work,
        bytes: ((rows * (product.depth + product.columns) + product.b.matrices * a_row) * size_of::<T>()) as f64,
        // Measured on i32, between 2 and 4 multiply-adds a nanosecond.
        nanos: 20.0 + work / 3.0,
    };
    Kernel::new(
        rows.div_ceil(rows_a_tile),
        cost,
        Integers::<T> { product, rows_a_tile, element: std::marker::PhantomData },
    )
}

impl<T: Integer> Body for Integers<T> {
    unsafe fn run(&self, args: &Args<'_>, _: usize, tile: usize) -> Result<(), KernelError> {
        let Product { rows, columns, depth, ref batch, ref a, ref b } = self.product;
        let all = self.product.products() * rows;
        let from = tile * self.rows_a_tile;
        let to = (from + self.rows_a_tile).min(all);
        // SAFETY: nobody writes the operands, which hold so many matrices; these rows of the result are this tile's.
        let (a_data, b_data, c) = unsafe {
            (
                args.input::<T>(0, a.matrices * rows * depth),
                args.input::<T>(1, b.matrices * depth * columns),
                args.output::<T>(0, from * columns, (to - from) * columns),
            )
        };
        for (row, c) in (from..to).zip(c.chunks_exact_mut(columns)) {
            let (product, row) = (row / rows, row % rows);
            let a_start = a.matrix(batch, product) * rows * depth + row * a.line;
            let b_matrix = &b_data[b.matrix(batch, product) * depth * columns..][..depth * columns];
            c.fill(T::default());
            if b.line == 1 {
                for step in 0..depth {
                    let x = a_data[a_start + step * a.step];
                    let b_row = &b_matrix[step * columns..][..columns];
                    for (c, &b) in c.iter_mut().zip(b_row) {
                        *c = T::multiply_add(x, b, *c);
                    }
                }
            } else {
                for (c, b_column) in c.iter_mut().zip(b_matrix.chunks_exact(depth.max(1))) {
                    for (step, &b) in b_column.iter().enumerate() {
                        *c = T::multiply_add(a_data[a_start + step * a.step], b, *c);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
