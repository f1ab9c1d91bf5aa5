//! Contractions: products of tensors summed over axes that both have, told by labels or by numbers. Each is one matrix
//! product, with axes ordered and grouped around it.

use dormouse_value::{DType, Dim, Op, Shape};
use smallvec::SmallVec;

use super::array::Array;
use super::elementwise::Elementwise;
use super::indexing::{Indexing, number};
use super::linalg::Linalg;
use super::matrices::{regroup, scoped};
use super::reduction::Reduction;
use crate::graph::Graph;
use crate::tensor::{Operand, Symbol, Tensor};

/// The name of an axis: equal ones go together. Those of an ellipsis are negative.
type Label = i32;

/// Labels, in an array's order of axes.
type Labels = SmallVec<[Label; 6]>;

/// Which axes [`Contraction::tensordot`] sums over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Summed {
    /// So many of the left operand's last and the right one's first.
    Inner(usize),
    /// The left operand's with the right one's, pair by pair; negative ones count from the end.
    Pairs(Vec<i32>, Vec<i32>),
}

impl From<usize> for Summed {
    fn from(count: usize) -> Self {
        Summed::Inner(count)
    }
}

impl<const N: usize> From<([i32; N], [i32; N])> for Summed {
    fn from((left, right): ([i32; N], [i32; N])) -> Self {
        Summed::Pairs(left.to_vec(), right.to_vec())
    }
}

impl From<(Vec<i32>, Vec<i32>)> for Summed {
    fn from((left, right): (Vec<i32>, Vec<i32>)) -> Self {
        Summed::Pairs(left, right)
    }
}

/// Products of two tensors or variables summed over axes of both.
pub trait Contraction: Symbol {
    /// The product summed over axes: `x.tensordot(y, 1)` over the last of x and the first of y,
    /// `x.tensordot(y, ([0, 1], [1, 2]))` over these; the other axes of x, then those of y, stay. Both numbers of axes must
    /// be known.
    #[track_caller]
    fn tensordot(self, other: impl Operand, axes: impl Into<Summed>) -> Tensor {
        let a = self.tensor();
        let b = other.tensor_like(a);
        let ranks = (a.shape().rank(), b.shape().rank());
        let (Some(rank_a), Some(rank_b)) = ranks else {
            let shapes = (a.shape(), b.shape());
            return a.poisoned_or(format!("tensordot: the axes of {} and {} are not known", shapes.0, shapes.1));
        };
        let (left, right) = match axes.into() {
            Summed::Inner(n) => {
                let n = n.min(i32::MAX as usize) as i32;
                ((0..n).map(|i| rank_a as i32 - n + i).collect(), (0..n).collect())
            }
            Summed::Pairs(left, right) => (left, right),
        };
        let labels_a: Labels = (1..).take(rank_a).collect();
        let mut labels_b: Labels = (1 + rank_a as i32..).take(rank_b).collect();
        let place = |axis: i32, rank: usize| {
            usize::try_from(i64::from(axis) + if axis < 0 { rank as i64 } else { 0 }).ok().filter(|i| *i < rank)
        };
        let mut fits = left.len() == right.len();
        for (i, j) in left.iter().zip(&right) {
            match (place(*i, rank_a), place(*j, rank_b)) {
                // An axis that is named twice has a label of the other operand by then.
                (Some(i), Some(j)) if labels_b[j] > rank_a as i32 && !labels_b.contains(&labels_a[i]) => {
                    labels_b[j] = labels_a[i];
                }
                (_, _) => fits = false,
            }
        }
        if !fits {
            let shapes = (a.shape(), b.shape());
            return a.poisoned_or(format!(
                "tensordot: axes {left:?} of {} and {right:?} of {} are no pairs",
                shapes.0, shapes.1
            ));
        }
        let kept =
            |own: &Labels, other: &Labels| own.iter().copied().filter(|l| !other.contains(l)).collect::<Labels>();
        let result = kept(&labels_a, &labels_b).into_iter().chain(kept(&labels_b, &labels_a)).collect::<Labels>();
        scoped(a.graph(), "Tensordot", || contract((a, labels_a), vec![(b, labels_b)], &result, "tensordot"))
    }

    /// The products of each element with each: `[n] × [m] → [n, m]`, and of more axes those of both.
    #[track_caller]
    fn outer(self, other: impl Operand) -> Tensor {
        self.tensordot(other, 0)
    }
}

impl<S: Symbol> Contraction for S {}

impl Graph {
    /// Einstein's sum: `graph.einsum("bij,jk->bik", &[x, w])`. A letter names an axis; letters that are not in the result are
    /// summed over, letters that are in several operands go together, a letter that is twice in one operand takes its
    /// diagonal, and `...` stands for further axes, which broadcast. Without `->` the result has the letters that are there
    /// once, in alphabetical order. More than two operands are taken from left to right.
    #[track_caller]
    pub fn einsum<S: Symbol>(&self, equation: &str, operands: &[S]) -> Tensor {
        let tensors: Vec<Tensor> = operands.iter().map(|x| x.tensor()).collect();
        let Some(&first) = tensors.first() else {
            return self.mistake("einsum: takes 1 operands at least, got 0");
        };
        match parse(equation, &tensors) {
            Err(message) => first.poisoned_or(format!("einsum: {equation:?}: {message}")),
            Ok((labels, result)) => scoped(self, "einsum", || {
                let mut operands = tensors.iter().copied().zip(labels);
                let first = operands.next().unwrap_or_else(|| (first, result.clone()));
                contract(first, operands.collect(), &result, "einsum")
            }),
        }
    }
}

/// The labels of the operands, and of the result.
fn parse(equation: &str, operands: &[Tensor]) -> Result<(Vec<Labels>, Labels), String> {
    let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = match text.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output)),
        None => (text.as_str(), None),
    };
    let inputs: Vec<&str> = inputs.split(',').collect();
    if inputs.len() != operands.len() {
        return Err(format!("speaks of {} operands, of {}", inputs.len(), operands.len()));
    }
    let mut labels = Vec::new();
    let mut broadcast = 0;
    for (input, operand) in inputs.iter().zip(operands) {
        let letters = input.replacen("...", "", 1).chars().count();
        let shape = operand.shape();
        let further = match (input.contains("..."), shape.rank()) {
            (false, _) => 0,
            (true, Some(rank)) if rank >= letters => rank - letters,
            (true, Some(_)) => return Err(format!("{input:?} names more axes than {shape} has")),
            (true, None) => return Err("the axes of an ellipsis are not known".to_owned()),
        };
        let own = letters_of(input, further)?;
        if shape.rank().is_some_and(|rank| rank != own.len()) {
            return Err(format!("{input:?} names {} axes of {shape}", own.len()));
        }
        broadcast = broadcast.max(further);
        labels.push(own);
    }
    let count = |label: Label| labels.iter().flatten().filter(|l| **l == label).count();
    let result = if let Some(output) = output {
        letters_of(output, broadcast)?
    } else {
        let mut letters: Labels = labels.iter().flatten().copied().filter(|l| *l > 0 && count(*l) == 1).collect();
        letters.sort_unstable();
        (1..=broadcast as Label).rev().map(|i| -i).chain(letters).collect()
    };
    for (i, label) in result.iter().enumerate() {
        let name = u32::try_from(*label).ok().and_then(char::from_u32).unwrap_or('…');
        if count(*label) == 0 {
            return Err(format!("the result's {name:?} is of no operand"));
        }
        if result[..i].contains(label) {
            return Err(format!("the result names {name:?} twice"));
        }
    }
    Ok((labels, result))
}

/// The labels of one term, its ellipsis standing for so many axes, the last of which is −1.
fn letters_of(term: &str, further: usize) -> Result<Labels, String> {
    let (before, after) = term.split_once("...").map_or((term, None), |(before, after)| (before, Some(after)));
    let ellipsis = (1..=further as Label).rev().map(|i| -i).filter(|_| after.is_some());
    let letters = |text: &str| -> Result<Labels, String> {
        let letter = |c: char| {
            if c.is_ascii_alphabetic() { Ok(c as Label) } else { Err(format!("{c:?} is no letter")) }
        };
        text.chars().map(letter).collect()
    };
    let (before, after) = (letters(before)?, letters(after.unwrap_or(""))?);
    Ok(before.into_iter().chain(ellipsis).chain(after).collect())
}

/// The operands' product, summed over what the result does not have.
#[track_caller]
fn contract(first: (Tensor, Labels), mut later: Vec<(Tensor, Labels)>, result: &[Label], what: &str) -> Tensor {
    let (mut x, mut labels) = first;
    later.reverse();
    loop {
        let needed = |label: &Label| result.contains(label) || later.iter().any(|(_, own)| own.contains(label));
        (x, labels) = match reduced(x, labels, &needed) {
            Ok(reduced) => reduced,
            Err(message) => return x.poisoned_or(format!("{what}: {message}")),
        };
        let Some((y, own)) = later.pop() else { break };
        let needed = |label: &Label| result.contains(label) || later.iter().any(|(_, own)| own.contains(label));
        let others = |label: &Label| needed(label) || labels.contains(label);
        let (y, own) = match reduced(y, own, &others) {
            Ok(reduced) => reduced,
            Err(message) => return y.poisoned_or(format!("{what}: {message}")),
        };
        if let Err(message) = agree(x, &labels, y, &own) {
            return x.poisoned_or(format!("{what}: {message}"));
        }
        (x, labels) = product(x, &labels, y, &own, &needed);
    }
    ordered(x, &labels, result)
}

/// Axes that nobody needs summed over, and axes of one label as their diagonal.
#[track_caller]
fn reduced(x: Tensor, mut labels: Labels, needed: &dyn Fn(&Label) -> bool) -> Result<(Tensor, Labels), String> {
    let mut x = if x.shape().rank().is_none() { x.ensure_shape(Shape::of_rank(labels.len())) } else { x };
    while let Some((i, j)) =
        (0..labels.len()).find_map(|j| labels[..j].iter().position(|l| *l == labels[j]).map(|i| (i, j)))
    {
        let shape = x.shape();
        let dims = shape.dims().unwrap_or(&[]);
        if let (Some(a), Some(b)) = (dims.get(i), dims.get(j))
            && a.unify(*b).is_none()
        {
            return Err(format!("axes {i} and {j} of {shape} have no diagonal"));
        }
        let place = |axis: usize| x.index_along(axis as i32, DType::I32);
        let on = place(i).equal(place(j));
        x = on.select(x, number(x.graph(), 0.0, x.dtype())).sum_over(j as i32);
        labels.remove(j);
    }
    let gone: Vec<i32> = (0..).zip(&labels).filter(|(_, label)| !needed(label)).map(|(i, _)| i).collect();
    if !gone.is_empty() {
        x = x.sum_over(gone);
        labels.retain(|label| needed(label));
    }
    Ok((x, labels))
}

/// Whether axes of one label have one extent; those of an ellipsis broadcast.
fn agree(x: Tensor, labels: &[Label], y: Tensor, own: &[Label]) -> Result<(), String> {
    let (a, b) = (x.shape(), y.shape());
    for (i, label) in labels.iter().enumerate() {
        let Some(j) = own.iter().position(|l| l == label) else { continue };
        let (Some(m), Some(n)) = (a.dims().and_then(|d| d.get(i)), b.dims().and_then(|d| d.get(j))) else { continue };
        let broadcasts = *label < 0 && (*m == Dim::Known(1) || *n == Dim::Known(1));
        if m.unify(*n).is_none() && !broadcasts {
            return Err(format!("axis {i} of {a} and axis {j} of {b} differ"));
        }
    }
    Ok(())
}

/// The product of two operands, summed over what both have and nobody needs.
#[track_caller]
fn product(x: Tensor, labels: &[Label], y: Tensor, own: &[Label], needed: &dyn Fn(&Label) -> bool) -> (Tensor, Labels) {
    let graph = x.graph();
    let of = |list: &[Label], f: &dyn Fn(&Label) -> bool| list.iter().copied().filter(|l| f(l)).collect::<Labels>();
    let batch = of(labels, &|l| own.contains(l) && needed(l));
    let summed = of(labels, &|l| own.contains(l) && !needed(l));
    let left = of(labels, &|l| !own.contains(l));
    let right = of(own, &|l| !labels.contains(l));
    let all: Labels = batch.iter().chain(&left).chain(&right).copied().collect();
    let order = |parts: [&Labels; 3]| parts.into_iter().flatten().copied().collect::<Labels>();
    let spread = |x: Tensor, from: &[Label]| {
        let mine = of(&all, &|l| from.contains(l));
        let x = ordered(x, from, &mine);
        let new: SmallVec<[i32; 4]> = (0..).zip(&all).filter(|(_, l)| !from.contains(l)).map(|(i, _)| i).collect();
        if new.is_empty() { x } else { graph.apply(Op::ExpandDims { axes: new }, &[x]) }
    };
    if summed.is_empty() {
        return (spread(x, labels) * spread(y, own), all);
    }
    let grouped = |x: Tensor, axis: i32, count: usize| match count {
        0 => x.expand_dims(axis),
        1 => x,
        _ => regroup(x, axis, count as u32, &[-1]),
    };
    let start = batch.len() as i32;
    let a = ordered(x, labels, &order([&batch, &left, &summed]));
    let a = grouped(grouped(a, start + left.len() as i32, summed.len()), start, left.len());
    let b = ordered(y, own, &order([&batch, &summed, &right]));
    let b = grouped(grouped(b, start + summed.len() as i32, right.len()), start, summed.len());
    let product = a.matmul(b);
    if left.len() == 1 && right.len() == 1 {
        return (product, all);
    }
    // In the shape of what the two would be if nothing were summed together: only its shape is asked for, so nothing of it
    // is computed.
    let kept = |x: Tensor, from: &[Label]| {
        let gone: Vec<i32> = (0..).zip(from).filter(|(_, l)| summed.contains(l)).map(|(i, _)| i).collect();
        let rest = of(from, &|l| !summed.contains(l));
        spread(x.sum_over(gone), &rest)
    };
    let like = kept(x, labels) + kept(y, own);
    let whole = match like.shape().to_dims() {
        Some(dims) => product.reshape(dims.to_vec()),
        None => graph.apply(Op::ReshapeLike, &[product, like]),
    };
    (whole, all)
}

/// The axes in another order.
#[track_caller]
fn ordered(x: Tensor, from: &[Label], to: &[Label]) -> Tensor {
    if from == to {
        return x;
    }
    let perm: SmallVec<[u32; 6]> =
        to.iter().filter_map(|label| from.iter().position(|l| l == label)).map(|i| i as u32).collect();
    x.transpose_axes(&perm)
}
