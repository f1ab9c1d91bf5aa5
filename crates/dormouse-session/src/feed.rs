//! Feeds: what a run is given. Owned arrays move in; borrowed ones are read where they lie, since a run is over when it
//! returns.

use dormouse_graph::{Tensor, TensorId, Variable};
use dormouse_value::{Element, Value, ValueView, Weak, bf16, f16};
use ndarray::{ArcArray, Array, ArrayBase, ArrayView, CowArray, Data, Dimension};
use smallvec::SmallVec;

use crate::fetch::Target;

/// A value to feed: an array, a view of one, or a bare number, which takes the dtype of the tensor that it feeds.
#[derive(Clone, Debug)]
pub enum Feed<'a> {
    /// An array, shared or moved in.
    Owned(Value),
    /// An array that the caller keeps.
    View(ValueView<'a>),
    /// A bare number.
    Weak(Weak),
}

impl From<Value> for Feed<'_> {
    fn from(value: Value) -> Self {
        Feed::Owned(value)
    }
}

impl<'a> From<&'a Value> for Feed<'a> {
    fn from(value: &'a Value) -> Self {
        Feed::View(value.as_view())
    }
}

impl<'a> From<ValueView<'a>> for Feed<'a> {
    fn from(view: ValueView<'a>) -> Self {
        Feed::View(view)
    }
}

impl<T: Element, D: Dimension> From<Array<T, D>> for Feed<'_> {
    fn from(array: Array<T, D>) -> Self {
        Feed::Owned(array.into())
    }
}

impl<T: Element, D: Dimension> From<ArcArray<T, D>> for Feed<'_> {
    fn from(array: ArcArray<T, D>) -> Self {
        Feed::Owned(array.into())
    }
}

impl<'a, T: Element, D: Dimension> From<ArrayView<'a, T, D>> for Feed<'a> {
    fn from(array: ArrayView<'a, T, D>) -> Self {
        Feed::View(T::wrap_view(array.into_dyn()))
    }
}

impl<'a, T: Element, S: Data<Elem = T>, D: Dimension> From<&'a ArrayBase<S, D>> for Feed<'a> {
    fn from(array: &'a ArrayBase<S, D>) -> Self {
        Feed::View(T::wrap_view(array.view().into_dyn()))
    }
}

impl<'a, T: Element, D: Dimension> From<CowArray<'a, T, D>> for Feed<'a> {
    fn from(array: CowArray<'a, T, D>) -> Self {
        Feed::Owned(array.into_owned().into())
    }
}

impl<T: Element> From<Vec<T>> for Feed<'_> {
    fn from(elements: Vec<T>) -> Self {
        Feed::Owned(elements.into())
    }
}

impl<'a, T: Element> From<&'a [T]> for Feed<'a> {
    fn from(elements: &'a [T]) -> Self {
        Feed::View(T::wrap_view(ndarray::aview1(elements).into_dyn()))
    }
}

impl<'a, T: Element> From<&'a Vec<T>> for Feed<'a> {
    fn from(elements: &'a Vec<T>) -> Self {
        elements.as_slice().into()
    }
}

impl<'a, T: Element, const N: usize> From<&'a [T; N]> for Feed<'a> {
    fn from(elements: &'a [T; N]) -> Self {
        elements.as_slice().into()
    }
}

/// Arrays, and arrays of arrays.
impl<T, const N: usize> From<[T; N]> for Feed<'_>
where
    Value: From<[T; N]>,
{
    fn from(elements: [T; N]) -> Self {
        Feed::Owned(elements.into())
    }
}

impl From<bool> for Feed<'_> {
    fn from(value: bool) -> Self {
        Feed::Owned(value.into())
    }
}

macro_rules! numbers {
    ($($type:ty => $weak:expr),*) => { $(
        impl From<$type> for Feed<'_> {
            fn from(number: $type) -> Self { Feed::Weak($weak(number)) }
        }
    )* };
}
numbers!(
    f64 => Weak::Float, f32 => |x| Weak::Float(f64::from(x)), i32 => |x| Weak::Int(i64::from(x)), i64 => Weak::Int,
    u8 => |x| Weak::Int(i64::from(x)), usize => |x| Weak::Int(x as i64), f16 => |x| Weak::Float(f64::from(x)),
    bf16 => |x| Weak::Float(f64::from(x)), i8 => |x| Weak::Int(i64::from(x)), i16 => |x| Weak::Int(i64::from(x)),
    u16 => |x| Weak::Int(i64::from(x)), u32 => |x| Weak::Int(i64::from(x))
);

/// What a feed is for: a tensor, a variable, or a name.
pub trait FeedKey {
    /// The target.
    fn key(self) -> Target;
}

macro_rules! keys {
    ($($type:ty, $self:ident => $target:expr;)*) => { $(
        impl FeedKey for $type {
            fn key(self) -> Target { let $self = self; $target }
        }
    )* };
}
keys! {
    Tensor, t => Target::Tensor(t.id());
    &Tensor, t => Target::Tensor(t.id());
    Variable, v => Target::Tensor(v.before_run().id());
    &Variable, v => Target::Tensor(v.before_run().id());
    TensorId, t => Target::Tensor(t);
    &str, name => Target::Name(name.into());
    &String, name => Target::Name(name.as_str().into());
    String, name => Target::Name(name.into());
    Target, t => t;
}

/// The feeds of one run, as [`feeds!`](crate::feeds) writes them.
#[derive(Clone, Debug, Default)]
pub struct Feeds<'a>(pub(crate) SmallVec<[(Target, Feed<'a>); 4]>);

impl<'a> Feeds<'a> {
    /// No feeds.
    pub fn new() -> Self {
        Feeds(SmallVec::new())
    }

    /// These feeds and one more.
    #[must_use]
    pub fn with(mut self, key: impl FeedKey, value: impl Into<Feed<'a>>) -> Self {
        self.0.push((key.key(), value.into()));
        self
    }
}

/// The targets with what they are fed, in order.
impl<'a> IntoIterator for Feeds<'a> {
    type Item = (Target, Feed<'a>);
    type IntoIter = smallvec::IntoIter<[Self::Item; 4]>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The feeds of a run: `feeds![x => &images, y => labels]`, or `feeds![]`.
///
/// A key is a tensor, a variable or a name. A value is an array (moved in, or read where it lies when borrowed), or a
/// bare number, which takes the tensor's dtype.
#[macro_export]
macro_rules! feeds {
    () => { $crate::Feeds::new() };
    ($($key:expr => $value:expr),+ $(,)?) => { $crate::Feeds::new()$(.with($key, $value))+ };
}

/// What may be given as the feeds of a run: [`Feeds`], `()`, and arrays, vectors and slices of pairs.
pub trait IntoFeeds<'a> {
    /// The feeds.
    fn into_feeds(self) -> Feeds<'a>;
}

impl<'a> IntoFeeds<'a> for Feeds<'a> {
    fn into_feeds(self) -> Feeds<'a> {
        self
    }
}

impl<'a> IntoFeeds<'a> for &Feeds<'a> {
    fn into_feeds(self) -> Feeds<'a> {
        self.clone()
    }
}

impl<'a> IntoFeeds<'a> for () {
    fn into_feeds(self) -> Feeds<'a> {
        Feeds::new()
    }
}

impl<'a, K: FeedKey, V: Into<Feed<'a>>, const N: usize> IntoFeeds<'a> for [(K, V); N] {
    fn into_feeds(self) -> Feeds<'a> {
        Feeds(self.into_iter().map(|(k, v)| (k.key(), v.into())).collect())
    }
}

impl<'a, K: FeedKey, V: Into<Feed<'a>>> IntoFeeds<'a> for Vec<(K, V)> {
    fn into_feeds(self) -> Feeds<'a> {
        Feeds(self.into_iter().map(|(k, v)| (k.key(), v.into())).collect())
    }
}

impl<'a, 's, K: FeedKey + Copy, V> IntoFeeds<'a> for &'s [(K, V)]
where
    &'s V: Into<Feed<'a>>,
{
    fn into_feeds(self) -> Feeds<'a> {
        Feeds(self.iter().map(|(k, v)| (k.key(), v.into())).collect())
    }
}

/// What a prepared step is fed in, in the order of its arguments.
pub trait FeedKeys {
    /// The targets, in order.
    fn keys(self) -> Vec<Target>;
}

/// The values of a prepared step's feeds, in order.
pub trait Arguments<'a> {
    /// Calls `f` with each, in order.
    fn each(self, f: &mut dyn FnMut(Feed<'a>));
}

impl FeedKeys for () {
    fn keys(self) -> Vec<Target> {
        Vec::new()
    }
}

impl<K: FeedKey, const N: usize> FeedKeys for [K; N] {
    fn keys(self) -> Vec<Target> {
        self.into_iter().map(FeedKey::key).collect()
    }
}

impl<K: FeedKey> FeedKeys for Vec<K> {
    fn keys(self) -> Vec<Target> {
        self.into_iter().map(FeedKey::key).collect()
    }
}

macro_rules! single {
    ($($key:ty),*; $($value:ty),*) => {
        $(impl FeedKeys for $key {
            fn keys(self) -> Vec<Target> { vec![self.key()] }
        })*
        $(impl<'a> Arguments<'a> for $value {
            fn each(self, f: &mut dyn FnMut(Feed<'a>)) { f(self.into()); }
        })*
    };
}
single!(Tensor, Variable, &str; Value, &'a Value, ValueView<'a>, Feed<'a>, f32, f64, i32, i64);

impl<'a> Arguments<'a> for () {
    fn each(self, _: &mut dyn FnMut(Feed<'a>)) {}
}

impl<'a, V: Into<Feed<'a>>, const N: usize> Arguments<'a> for [V; N] {
    fn each(self, f: &mut dyn FnMut(Feed<'a>)) {
        self.into_iter().for_each(|v| f(v.into()));
    }
}

impl<'a, V: Into<Feed<'a>>> Arguments<'a> for Vec<V> {
    fn each(self, f: &mut dyn FnMut(Feed<'a>)) {
        self.into_iter().for_each(|v| f(v.into()));
    }
}

macro_rules! tuples {
    ($(($($type:ident $i:tt),+)),*) => { $(
        impl<$($type: FeedKey),+> FeedKeys for ($($type,)+) {
            fn keys(self) -> Vec<Target> { vec![$(self.$i.key()),+] }
        }
        impl<'a, $($type: Into<Feed<'a>>),+> Arguments<'a> for ($($type,)+) {
            fn each(self, f: &mut dyn FnMut(Feed<'a>)) { $(f(self.$i.into());)+ }
        }
    )* };
}
tuples!(
    (A 0), (A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3), (A 0, B 1, C 2, D 3, E 4), (A 0, B 1, C 2, D 3, E 4, F 5)
);
