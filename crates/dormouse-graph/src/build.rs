//! Building: the methods of tensors, one family a file, under the file names of the gradient rules and the kernels.

pub(crate) mod random;
