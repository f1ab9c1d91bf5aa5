//! Rows: what updates do where a gradient is of some rows only.

use dormouse_graph::{Array, IndexedSlices, Tensor, Variable};

/// The rows that a gradient is of, and their part of variables.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    indices: Tensor,
    /// What all slices of a row sum up to.
    pub(crate) gradient: Tensor,
}

impl Rows {
    #[track_caller]
    pub(crate) fn of(slices: IndexedSlices) -> Self {
        let summed = slices.summed();
        Rows { indices: summed.indices(), gradient: summed.values() }
    }

    /// These rows of a variable.
    #[track_caller]
    pub(crate) fn of_variable(self, variable: Variable) -> Tensor {
        variable.gather(self.indices)
    }

    /// Writes these rows of a variable.
    #[track_caller]
    pub(crate) fn write(self, variable: Variable, rows: Tensor) -> Tensor {
        variable.scatter_update(self.indices, rows)
    }
}
