//! Building: the methods of tensors, one family a file, under the file names of the gradient rules and the kernels.

pub(crate) mod array;
pub(crate) mod blocks;
pub(crate) mod contraction;
pub(crate) mod control;
pub(crate) mod convolutions;
pub(crate) mod debug;
pub(crate) mod dynamic;
pub(crate) mod elementwise;
pub(crate) mod embedding;
pub(crate) mod factors;
pub(crate) mod functions;
pub(crate) mod image;
pub(crate) mod indexing;
pub(crate) mod linalg;
pub(crate) mod matrices;
pub(crate) mod measured;
pub(crate) mod nn;
pub(crate) mod normalization;
pub(crate) mod random;
pub(crate) mod reduction;
pub(crate) mod sampling;
pub(crate) mod segments;
pub(crate) mod slicing;
pub(crate) mod sorting;
pub(crate) mod statistics;
pub(crate) mod systems;
