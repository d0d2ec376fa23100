//! Finding the subschemas of a schema and resolving its references, none of them outside it.

use std::collections::{HashMap, HashSet};

use jsonschema::{Draft, ReferencingError, Registry, uri};
use serde_json::{Map, Value};
use threads_core::{Error, Result};

use super::super::explain::shortened;
use super::super::pattern::Patterns;
use super::super::{NoRetriever, SCHEMA_PROPERTIES_MAX, check_draft};
use super::{Graph, Node, UNEVALUATED_TIMES};

/// The most subschemas: far more than a schema of the largest size needs.
const SUBSCHEMAS_MAX: usize = 4096;
/// The base of references in a schema that does not name itself.
const BASE: &str = "json-schema:///";

/// What a subschema is applied to.
#[derive(Clone, Copy)]
enum Step<'a> {
    Same,
    Named(&'a str),
    Members,
    Items,
    /// Nothing: it waits to be referred to.
    Kept,
}

/// The graph of `schema`, and the place of each node in it as a JSON Pointer.
pub(super) fn graph_of(schema: &Value) -> Result<(Graph, Vec<String>)> {
    let draft = Draft::default().detect(schema);
    let resource = draft.create_resource_ref(schema);
    let base = uri::from_str(BASE)
        .and_then(|base| uri::resolve_against(&base.borrow(), resource.id().unwrap_or("")))
        .map_err(|cause| unresolved("$id", "", cause))?;
    let registry = Registry::new()
        .draft(draft)
        .retriever(NoRetriever)
        .add(base.as_str(), resource)
        .and_then(|registry| registry.prepare())
        .map_err(|cause| unresolved("", "", cause))?;
    let root = registry
        .resolver(base)
        .lookup("#")
        .map_err(|cause| unresolved("#", "", cause))?;

    let (root, resolver, draft) = root.into_inner();
    let mut builder = Builder::new(root);
    builder.enter(root, String::new())?;
    let mut waiting = vec![(root, resolver, draft)];
    while let Some((value, resolver, draft)) = waiting.pop() {
        let Value::Object(members) = value else {
            continue;
        };
        let from = builder.index[&std::ptr::from_ref(value)];
        let at = builder.places[from].clone();
        builder.look(from, members)?;
        let resolver = resolver
            .in_subresource(draft.create_resource_ref(value))
            .map_err(|cause| unresolved("$id", &at, cause))?;
        for (step, child, place) in children(members, &at) {
            if builder.link(from, step, child, place)? {
                waiting.push((child, resolver.clone(), draft.detect(child)));
            }
        }
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(reference) = members.get(keyword).and_then(Value::as_str) else {
                continue;
            };
            if !draft.is_known_keyword(keyword) {
                continue;
            }
            let at = format!("{at}/{keyword}");
            let target = resolver
                .lookup(reference)
                .map_err(|cause| unresolved(reference, &at, cause))?;
            let (target, resolver, draft) = target.into_inner();
            if !builder.document.contains(&std::ptr::from_ref(target)) {
                return Err(outside(reference, &at));
            }
            // Where it really goes is known when all anchors are.
            let step = if keyword == "$ref" {
                Step::Same
            } else {
                Step::Kept
            };
            if builder.link(from, step, target, at)? {
                waiting.push((target, resolver, draft));
            }
            if keyword != "$ref" {
                let to = builder.index[&std::ptr::from_ref(target)];
                let name = reference.split_once('#').map_or("", |(_, name)| name);
                builder.redirected.push((from, to, name));
            }
        }
    }
    Ok(builder.finish())
}

struct Builder<'a> {
    /// Every value of the schema, by address: what a reference may point to.
    document: HashSet<*const Value>,
    index: HashMap<*const Value, usize>,
    nodes: Vec<Node>,
    places: Vec<String>,
    patterns: Patterns<'a>,
    properties: usize,
    /// References that a way through the schema may redirect: from where, to where at first, and
    /// the name under which there may be others. The `$recursive…` ones have no name.
    redirected: Vec<(usize, usize, &'a str)>,
    redirections: Vec<(&'a str, usize)>,
    /// Nodes that look at the same place repeatedly.
    repeated: Vec<usize>,
}

impl<'a> Builder<'a> {
    fn new(root: &'a Value) -> Self {
        let mut document = HashSet::new();
        let mut waiting = vec![root];
        while let Some(value) = waiting.pop() {
            document.insert(std::ptr::from_ref(value));
            match value {
                Value::Array(items) => waiting.extend(items),
                Value::Object(members) => waiting.extend(members.values()),
                _ => {}
            }
        }
        Self {
            document,
            index: HashMap::new(),
            nodes: Vec::new(),
            places: Vec::new(),
            patterns: Patterns::default(),
            properties: 0,
            redirected: Vec::new(),
            redirections: Vec::new(),
            repeated: Vec::new(),
        }
    }

    /// The node of `value`, and whether it is new.
    fn enter(&mut self, value: &Value, place: String) -> Result<(usize, bool)> {
        let new = self.nodes.len();
        let node = *self.index.entry(value).or_insert(new);
        if node < new {
            return Ok((node, false));
        }
        if new == SUBSCHEMAS_MAX {
            return Err(
                Error::invalid("the schema has too many parts: share or drop some")
                    .with("most", SUBSCHEMAS_MAX),
            );
        }
        check_draft(value, &place)?;
        self.nodes.push(Node::default());
        self.places.push(place);
        Ok((node, true))
    }

    /// Notes that `from` applies `to`, and says whether `to` is new.
    fn link(&mut self, from: usize, step: Step<'_>, to: &Value, place: String) -> Result<bool> {
        let (to, new) = self.enter(to, place)?;
        let node = &mut self.nodes[from];
        match step {
            Step::Same => node.same.push((to, 1)),
            Step::Named(name) => node.named.entry(name.to_owned()).or_default().push(to),
            Step::Members => node.members.push(to),
            Step::Items => node.items.push(to),
            Step::Kept => {}
        }
        Ok(new)
    }

    /// What a subschema says itself: patterns, names, anchors.
    fn look(&mut self, node: usize, members: &'a Map<String, Value>) -> Result<()> {
        let text = |keyword: &str| members.get(keyword).and_then(Value::as_str);
        let object = |keyword: &str| members.get(keyword).and_then(Value::as_object);
        let at = &self.places[node];
        if let Some(pattern) = text("pattern") {
            self.patterns.check(pattern, &format!("{at}/pattern"))?;
        }
        for pattern in object("patternProperties").into_iter().flat_map(Map::keys) {
            self.patterns
                .check(pattern, &format!("{at}/patternProperties"))?;
        }
        for keyword in ["properties", "patternProperties"] {
            self.properties += object(keyword).map_or(0, Map::len);
        }
        if self.properties > SCHEMA_PROPERTIES_MAX {
            return Err(
                Error::invalid("the schema names too many properties: drop some")
                    .with("at", at)
                    .with("most", SCHEMA_PROPERTIES_MAX),
            );
        }
        let required = members.get("required").and_then(Value::as_array);
        self.nodes[node].mentions_id = object("properties").is_some_and(|p| p.contains_key("_id"))
            || required.is_some_and(|names| names.iter().any(|name| name == "_id"));
        if let Some(name) = text("$dynamicAnchor") {
            self.redirections.push((name, node));
        }
        if members.get("$recursiveAnchor") == Some(&Value::Bool(true)) {
            self.redirections.push(("", node));
        }
        let unevaluated = ["unevaluatedProperties", "unevaluatedItems"];
        if unevaluated
            .iter()
            .any(|keyword| members.contains_key(*keyword))
        {
            self.repeated.push(node);
        }
        Ok(())
    }

    fn finish(mut self) -> (Graph, Vec<String>) {
        for (from, first, name) in &self.redirected {
            let others = self.redirections.iter().filter(|(other, _)| other == name);
            let mut targets: Vec<usize> = others.map(|(_, to)| *to).chain([*first]).collect();
            targets.sort_unstable();
            targets.dedup();
            let same = &mut self.nodes[*from].same;
            same.extend(targets.into_iter().map(|to| (to, 1)));
        }
        for node in self.repeated {
            for (_, times) in &mut self.nodes[node].same {
                *times = UNEVALUATED_TIMES;
            }
        }
        (Graph { nodes: self.nodes }, self.places)
    }
}

/// The subschemas that `members` hold, what they are applied to, and their places.
fn children<'a>(members: &'a Map<String, Value>, at: &str) -> Vec<(Step<'a>, &'a Value, String)> {
    let mut children = Vec::new();
    for (keyword, value) in members {
        let (step, named) = match keyword.as_str() {
            "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" => (Step::Same, false),
            "dependentSchemas" | "dependencies" => (Step::Same, true),
            // The name follows below.
            "properties" => (Step::Named(""), true),
            "patternProperties" => (Step::Members, true),
            "additionalProperties" | "unevaluatedProperties" | "propertyNames" => {
                (Step::Members, false)
            }
            "items" | "prefixItems" | "additionalItems" | "unevaluatedItems" | "contains" => {
                (Step::Items, false)
            }
            "$defs" | "definitions" => (Step::Kept, true),
            "contentSchema" => (Step::Kept, false),
            _ => continue,
        };
        let at = format!("{at}/{keyword}");
        match value {
            Value::Object(parts) if named => {
                for (name, part) in parts {
                    let step = match step {
                        Step::Named(_) => Step::Named(name),
                        other => other,
                    };
                    let name = name.replace('~', "~0").replace('/', "~1");
                    children.push((step, part, format!("{at}/{name}")));
                }
            }
            Value::Array(parts) => {
                for (i, part) in parts.iter().enumerate() {
                    children.push((step, part, format!("{at}/{i}")));
                }
            }
            whole => children.push((step, whole, at)),
        }
    }
    children.retain(|(_, part, _)| matches!(part, Value::Object(_) | Value::Bool(_)));
    children
}

fn outside(reference: &str, at: &str) -> Error {
    Error::invalid(
        "only references within the schema itself are allowed: copy what it refers to into $defs",
    )
    .with("$ref", shortened(reference))
    .with("at", at)
}

fn unresolved(reference: &str, at: &str, cause: ReferencingError) -> Error {
    if let ReferencingError::Unretrievable { uri, .. } = &cause {
        return outside(if reference.is_empty() { uri } else { reference }, at);
    }
    Error::invalid("a reference in the schema does not resolve: correct it")
        .with("$ref", shortened(reference))
        .with("at", at)
        .with("cause", shortened(&cause.to_string()))
}
