//! Chapter 5.3: variables by name. A scope says whether its variables are made or found, and doing the other is a mistake.

#![allow(clippy::print_stdout, reason = "an example prints")]

use dormouse::prelude::*;

/// What building on a graph is told to be wrong.
fn mistake(build: impl FnOnce(&Graph)) -> String {
    let graph = Graph::new();
    build(&graph);
    graph.check().err().map(|mistakes| mistakes.to_string()).unwrap_or_default()
}

fn main() -> dormouse::Result<()> {
    let make = |graph: &Graph| graph.get_variable("v", [1], Fill::new(1.0));

    // Made in one scope, and found when the scope is entered to reuse.
    let graph = Graph::new();
    let v = graph.scope("foo", || make(&graph));
    let again = graph.variable_scope("foo", Reuse::Always, || make(&graph));
    println!("{} is {}: {}", again.name(), v.name(), again == v);
    assert_eq!(again, v);

    // Made twice, and found where it is not.
    let twice = mistake(|graph| {
        graph.scope("foo", || make(graph));
        graph.scope("foo", || make(graph));
    });
    let missing = mistake(|graph| {
        graph.variable_scope("bar", Reuse::Always, || make(graph));
    });
    println!("{twice}\n{missing}");
    assert!(twice.contains("foo/v already exists") && missing.contains("bar/v does not exist"));

    // What a scope says holds in the scopes inside.
    let mut reuse = Vec::new();
    graph.scope("root", || {
        reuse.push(graph.reuse());
        graph.variable_scope("foo", Reuse::Always, || {
            reuse.push(graph.reuse());
            graph.scope("bar", || reuse.push(graph.reuse()));
        });
        reuse.push(graph.reuse());
    });
    println!("{reuse:?}");
    assert_eq!(reuse, [Reuse::Inherit, Reuse::Always, Reuse::Always, Reuse::Inherit]);

    // Scopes in scopes, and the whole name from outside.
    let graph = Graph::new();
    let mut names = vec![make(&graph).name()];
    let inner = graph.scope("foo", || {
        names.push(make(&graph).name());
        graph.scope("bar", || make(&graph))
    });
    names.push(inner.name());
    names.push(graph.get_variable("v1", [1], Zeros::default()).name());
    println!("{names:?}");
    assert_eq!(names, ["v:0", "foo/v:0", "foo/bar/v:0", "v1:0"]);
    let found = graph.variable_scope("", Reuse::Always, || graph.get_variable("foo/bar/v", [1], Zeros::default()));
    println!("{found}: {}", found == inner);
    assert_eq!(found, inner);
    graph.check()?;
    Ok(())
}
