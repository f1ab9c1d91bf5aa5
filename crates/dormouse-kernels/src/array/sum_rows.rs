//! The gradient of a gather as rows: the slices that indices name, each once, with their sums. What is not named is not
//! touched, however many rows there are.

use dormouse_value::DType;
use smallvec::SmallVec;

use super::gather::{Index, shared, with_index};
use super::{BYTES_PER_NANO, Number, Ranges, nothing, with_number};
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// The kernel of (dy `[n.., inner..]`, indices `[n..]`) → (rows `[n, inner..]`, indices `[n, 1]`): the sums of the slices of
/// dy at each index of `extent`, in the order of the indices; what is left are zeros at the last of these.
///
/// # Errors
/// When dtypes or extents do not fit each other.
pub fn compile_sum_rows(extent: usize, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let unfit = || KernelError::new(format!("gradient of gather: {inputs:?} do not give rows {outputs:?}"));
    let ([dy, indices], [rows, places]) = (inputs, outputs) else { return Err(unfit()) };
    let count = indices.len();
    let inner = rows.dims.get(1..).map_or(1, |dims| dims.iter().product());
    let fits = matches!(indices.dtype, DType::I32 | DType::I64)
        && places.dtype == indices.dtype
        && places.dims.as_slice() == [count, 1]
        && rows.dtype == dy.dtype
        && rows.dims.first() == Some(&count)
        && dy.len() == count * inner;
    if !fits {
        return Err(unfit());
    }
    let bytes = (2 * dy.bytes() + 4 * indices.bytes()) as f64;
    let nanos = bytes / BYTES_PER_NANO + count as f64 * 20.0;
    let cost = Cost { flops: dy.len() as f64, bytes, nanos };
    let groups = Ranges::of_items(count, nanos);
    let body = SumRows { dtype: dy.dtype, index: indices.dtype, count, inner, extent, groups };
    if count == 0 {
        return Ok(nothing(body));
    }
    let phases = SmallVec::from_slice(&[1, body.groups.count()]);
    // Positions in the order of their indices, where each index begins among them, and how many there are.
    let shared = (2 * count + 2) * size_of::<usize>();
    Ok(Kernel { fallible: true, shared, phases, ..Kernel::new(1, cost, body) })
}

#[derive(Debug)]
struct SumRows {
    dtype: DType,
    index: DType,
    count: usize,
    inner: usize,
    extent: usize,
    groups: Ranges,
}

impl SumRows {
    /// # Safety
    /// As of [`Body::run`] in phase 0.
    unsafe fn sort<I: Index>(&self, args: &Args<'_>) -> Result<(), KernelError> {
        let count = self.count;
        // SAFETY: there are as many indices and places; the kernel asked for this much shared scratch, aligned to 64, and phase 0
        // has one tile.
        let (indices, places, scratch) = unsafe {
            let scratch = std::slice::from_raw_parts_mut(shared(args), 2 * count + 2);
            (args.input::<I>(1, count), args.output::<I>(1, 0, count), scratch)
        };
        if let Some(outside) = indices.iter().find(|index| index.within(self.extent).is_none()) {
            let outside: i64 = (*outside).into();
            return Err(KernelError::new(format!(
                "gradient of gather: index {outside} is not in [0, {})",
                self.extent
            )));
        }
        let (positions, begins) = scratch.split_at_mut(count);
        positions.iter_mut().enumerate().for_each(|(i, position)| *position = i);
        // Positions of one index stay in order: that is the order of their sum.
        positions.sort_unstable_by_key(|position| (indices[*position].into(), *position));
        let mut groups = 0;
        for (i, &position) in positions.iter().enumerate() {
            let new = i == 0 || indices[positions[i - 1]].into() != indices[position].into();
            if new {
                begins[groups] = i;
                places[groups] = indices[position];
                groups += 1;
            }
        }
        begins[groups] = count;
        begins[count + 1] = groups;
        let last = places[groups - 1];
        places[groups..].fill(last);
        Ok(())
    }

    /// # Safety
    /// As of [`Body::run`] in phase 1.
    unsafe fn sum<T: Number>(&self, args: &Args<'_>, tile: usize) {
        // SAFETY: dy has a slice for each index; phase 0 has filled the scratch, which is only read now.
        let (dy, scratch) = unsafe {
            let scratch = std::slice::from_raw_parts(shared(args).cast_const(), 2 * self.count + 2);
            (args.input::<T>(0, self.count * self.inner), scratch)
        };
        let (positions, begins) = scratch.split_at(self.count);
        let groups = begins[self.count + 1];
        for group in self.groups.get(tile) {
            // SAFETY: this row is this tile's alone.
            let row = unsafe { args.output::<T>(0, group * self.inner, self.inner) };
            row.fill(T::default());
            if group < groups {
                for &position in &positions[begins[group]..begins[group + 1]] {
                    let slice = &dy[position * self.inner..][..self.inner];
                    row.iter_mut().zip(slice).for_each(|(y, &dy)| *y = y.plus(dy));
                }
            }
        }
    }
}

impl Body for SumRows {
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError> {
        if phase == 0 {
            // SAFETY: the caller's contract.
            return with_index!(self.index, I => unsafe { self.sort::<I>(args) });
        }
        with_number!(
            self.dtype,
            // SAFETY: the caller's contract.
            T => unsafe { self.sum::<T>(args, tile) },
            return Err(KernelError::new("gradient of gather: booleans do not add up"))
        );
        Ok(())
    }
}
