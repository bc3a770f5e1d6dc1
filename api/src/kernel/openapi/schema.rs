//! The schemas that operations of the document refer to.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::schema::ArrayItems;
use utoipa::openapi::{Ref, RefOr, Schema};

/// The schemas that operations refer to, by name.
#[derive(Default)]
pub(crate) struct Schemas {
    pub(super) named: BTreeMap<String, RefOr<Schema>>,
    /// Names of several types.
    pub(super) ambiguous: Vec<String>,
}

impl Schemas {
    /// Adds a type with all its parts, and refers to it. Foreign types, such as texts and maps, have no meaningful
    /// name, so they are inlined.
    pub(crate) fn refer<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        for (name, schema) in parts {
            self.add(name, schema);
        }
        let type_name = std::any::type_name::<T>();
        match type_name.strip_prefix("alloc::vec::Vec<").and_then(|name| name.strip_suffix('>')) {
            Some(item) if is_own(item) => self.refer_to_items(item, T::schema()),
            _ if is_own(type_name) => self.refer_to(T::name().into_owned(), T::schema()),
            _ => T::schema(),
        }
    }

    /// Whether a schema rejects an empty object.
    pub(super) fn requires_members(&self, schema: &RefOr<Schema>) -> bool {
        match schema {
            RefOr::Ref(reference) => {
                let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
                self.named.get(name).is_some_and(|schema| self.requires_members(schema))
            }
            RefOr::T(Schema::Object(object)) => !object.required.is_empty(),
            RefOr::T(_) => false,
        }
    }

    /// A list inlines its items' schema, and has the name of their type only in its own name.
    fn refer_to_items(&mut self, item: &str, list: RefOr<Schema>) -> RefOr<Schema> {
        let RefOr::T(Schema::Array(mut list)) = list else { return list };
        if let ArrayItems::RefOrSchema(items) = list.items {
            let name = item.rsplit("::").next().unwrap_or(item);
            let reference = self.refer_to(name.to_owned(), *items);
            list.items = ArrayItems::RefOrSchema(Box::new(reference));
        }
        Schema::Array(list).into()
    }

    fn refer_to(&mut self, name: String, schema: RefOr<Schema>) -> RefOr<Schema> {
        let reference = Ref::from_schema_name(&name).into();
        self.add(name, schema);
        reference
    }

    fn add(&mut self, name: String, schema: RefOr<Schema>) {
        match self.named.get(&name) {
            Some(known) if *known != schema => self.ambiguous.push(name),
            Some(_) => {}
            None => {
                self.named.insert(name, schema);
            }
        }
    }
}

fn is_own(type_name: &str) -> bool {
    type_name.starts_with("kymograph_")
}
