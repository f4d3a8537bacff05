//! The document of the HTTP interface, OpenAPI 3.1: made of the table of routes, the table of resources, the rows of attributes, and what the
//! types say of themselves. Nothing of the kind is written here a second time.

use super::routes::{Answer, Describe, EVENTS, ROUTES, Route};
use felio_control::resource::{self, Node, PARAMETERS, ROWS, Row, TREE};
use felio_control::view::WorkView;
use felio_control::{Change, Done, Group, Path, Refusal, Scope, schema};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value as Json, json};

/// The document.
pub(crate) fn document() -> Json {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
    });
    let mut writer = Writer { schemas: settings.into_generator() };
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| !matches!(route.answer, Answer::Tree)) {
        paths.insert(route.path.to_owned(), writer.route(route));
    }
    for row in ROWS {
        let path = format!("{TREE}{}", row.template.trim_end_matches('/'));
        paths.insert(path, writer.resource(row));
    }
    let mut schemas = writer.schemas.take_definitions(true);
    schemas.extend(Scope::ALL.map(|scope| (schema::name(scope), schema::values(scope).into())));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "felio",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A SCSI target in user space.",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
            "description": DESCRIPTION,
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

const DESCRIPTION: &str = "\
The same objects that the shell has. Each request that changes something is one transaction: all of it happens and is saved, or nothing. \
The entity tag of answers is the revision of all that is shown: with If-Match a change is made only if nothing has changed since. \
Whatever changes something and may take long goes on by itself with `Prefer: respond-async`; /v1/work tells how far it is. \
What is refused says why (`what`), what to do next (`hint`), and `kind` for programs. \
The Unix socket asks for no token: its permissions say who may use it.";

struct Writer {
    schemas: SchemaGenerator,
}

impl Writer {
    fn of<T: JsonSchema>(&mut self) -> Json {
        self.schemas.subschema_for::<T>().into()
    }

    fn describe(&mut self, describe: Describe) -> Json {
        describe(&mut self.schemas).into()
    }

    /// A path with its only method.
    fn route(&mut self, route: &Route) -> Json {
        let method = if route.body.is_some() { "post" } else { "get" };
        let good = match route.answer {
            Answer::Json(describe) => content("application/json", self.describe(describe)),
            Answer::Stream(describe) => content(EVENTS, self.describe(describe)),
            Answer::Text(kind) => content(kind, json!({ "type": "string" })),
            Answer::Tree => Json::Null,
        };
        let body = route.body.map(|describe| self.describe(describe));
        let id = format!("{method}{}", route.path.replace(['/', '.'], "_").replace(['{', '}'], ""));
        let mut parameters: Vec<Json> = names(route.path).map(|name| parameter(name, None)).collect();
        if route.tagged {
            parameters.push(precondition(body.is_some()));
        }
        let operation = self.operation(&id, route.doc, parameters, body, ("200", good.clone()), route.tagged);
        let mut methods = json!({ method: operation });
        if let Some(doc) = route.delete {
            let parameters = names(route.path).map(|name| parameter(name, None)).collect();
            let id = id.replacen(method, "delete", 1);
            methods["delete"] = self.operation(&id, doc, parameters, None, ("200", good), false);
        }
        methods
    }

    /// A kind of object with all its methods.
    fn resource(&mut self, row: &Row) -> Json {
        let Ok(path) = row.example() else { return Json::Null };
        let last = row.template.rsplit('/').next().map(|name| name.trim_matches(['{', '}']));
        let name = last.filter(|name| !name.is_empty()).unwrap_or("root");
        let node = self.node(row, &path);
        let bodies = [
            ("put", "Makes one.", row.create.map(|_| self.creation(row, &path))),
            (
                "post",
                "Makes one below it, under a name that is made unless one is given.",
                row.grow.map(|_| self.growth(row, &path)),
            ),
            ("patch", "Changes what the body says; null is back to the default.", self.change(row, &path)),
        ];
        let mut methods = Map::new();
        let parameters = |writes| {
            let path = names(row.template).map(|name| parameter(name, Some(PARAMETERS)));
            path.chain([precondition(writes)]).collect::<Vec<_>>()
        };
        let good = ("200", content("application/json", node.clone()));
        let read = self.operation(&format!("get_{name}"), row.doc, parameters(false), None, good, true);
        methods.insert("get".to_owned(), read);
        for (method, doc, body) in bodies {
            let Some(body) = body else { continue };
            let node = match method {
                "post" => row
                    .grow
                    .and_then(Row::made_by)
                    .and_then(|below| Some(self.node(below, &below.example().ok()?))),
                _ => None,
            }
            .unwrap_or_else(|| node.clone());
            let status = if method == "patch" { "200" } else { "201" };
            let good = (status, content("application/json", node));
            let id = format!("{method}_{name}");
            methods.insert(
                method.to_owned(),
                self.operation(&id, doc, parameters(true), Some(body), good, true),
            );
        }
        if row.delete.is_some() {
            let good = ("200", content("application/json", self.of::<Vec<Done>>()));
            let doc = "Removes it, and what depends on it. Blocks are not touched.";
            let id = format!("delete_{name}");
            methods.insert("delete".to_owned(), self.operation(&id, doc, parameters(true), None, good, true));
        }
        methods.into()
    }

    fn operation(
        &mut self,
        id: &str,
        doc: &str,
        parameters: Vec<Json>,
        body: Option<Json>,
        (status, good): (&str, Json),
        tagged: bool,
    ) -> Json {
        let refusal = content("application/json", self.of::<Refusal>());
        let writes = body.is_some() || id.starts_with("delete");
        let mut answers = Map::new();
        let mut good = json!({ "description": "Done.", "content": good });
        if tagged {
            good["headers"] =
                json!({ "ETag": { "schema": { "type": "string" }, "description": "The revision." } });
        }
        answers.insert(status.to_owned(), good);
        if writes {
            let later = content("application/json", self.of::<WorkView>());
            let description = "With `Prefer: respond-async`: it goes on, and Location is where it is found.";
            answers.insert("202".to_owned(), json!({ "description": description, "content": later }));
        }
        let refused = REFUSALS.iter().filter(|(_, when, _)| match when {
            When::Any => true,
            When::Writing => writes,
            When::WithBody => body.is_some(),
            When::Tagged => tagged && writes,
        });
        for (status, _, description) in refused {
            answers.insert((*status).to_owned(), json!({ "description": description, "content": refusal }));
        }
        if tagged && !writes {
            answers.insert("304".to_owned(), json!({ "description": "It is at a revision that is known." }));
        }
        let mut operation =
            json!({ "operationId": id, "summary": doc, "parameters": parameters, "responses": answers });
        if let Some(schema) = body {
            operation["requestBody"] =
                json!({ "required": true, "content": content("application/json", schema) });
        }
        operation
    }

    /// What is read of an object.
    fn node(&mut self, row: &Row, path: &Path) -> Json {
        let common = self.schemas.root_schema_for::<Node>();
        let mut properties = common.get("properties").and_then(Json::as_object).cloned().unwrap_or_default();
        for member in row.members.iter().filter(|member| member.shown) {
            let one = self.member(row, member);
            properties.insert(member.name.to_owned(), json!({ "anyOf": [one, { "type": "null" }] }));
        }
        properties.extend(groups(path));
        json!({ "type": "object", "properties": properties, "required": ["path", "state", "children"] })
    }

    /// What is said when one is made.
    fn creation(&mut self, row: &Row, path: &Path) -> Json {
        let change = self.change_schema(row.create.unwrap_or_default());
        let mut properties = Map::new();
        for member in row.members.iter().filter(|member| member.given || member.change.is_some()) {
            properties.insert(member.name.to_owned(), self.member(row, member));
        }
        properties.extend(groups(path));
        object(&properties, &required(&change, &properties))
    }

    /// What is said when one is made below.
    fn growth(&mut self, row: &Row, path: &Path) -> Json {
        let change = self.change_schema(row.grow.unwrap_or_default());
        let said = resource::address(path);
        let mut properties = change["properties"].as_object().cloned().unwrap_or_default();
        properties.retain(|name, _| name != "change" && said.iter().all(|(other, _)| other != name));
        object(&properties, &required(&change, &properties))
    }

    /// What can be changed of one; nothing of some.
    fn change(&mut self, row: &Row, path: &Path) -> Option<Json> {
        let mut properties = Map::new();
        for member in row.members.iter().filter(|member| member.change.is_some()) {
            properties.insert(member.name.to_owned(), self.member(row, member));
        }
        properties.extend(groups(path));
        row.is_changeable(path).then(|| object(&properties, &[]))
    }

    /// A member as the change that says it has it.
    fn member(&mut self, row: &Row, member: &resource::Member) -> Json {
        let change = if member.given { row.create } else { member.change };
        let schema = self.change_schema(change.unwrap_or_default());
        match schema["properties"].get(member.name) {
            Some(found) if member.name == "tag" && member.change.is_some() => {
                json!({ "anyOf": [found, { "type": "null" }] })
            }
            Some(found) => found.clone(),
            // Not every change says it by a member: a portal group's are two.
            None => json!({ "type": "boolean" }),
        }
    }

    /// A change of this name.
    fn change_schema(&mut self, change: &str) -> Json {
        self.of::<Change>();
        let all = self.schemas.definitions().get("Change").and_then(|all| all["oneOf"].as_array());
        let found = all.into_iter().flatten().find(|one| one["properties"]["change"]["const"] == change);
        found.cloned().unwrap_or_default()
    }
}

/// When a refusal of a kind can be.
enum When {
    Any,
    Writing,
    WithBody,
    Tagged,
}

/// Status, when, what it means.
const REFUSALS: &[(&str, When, &str)] = &[
    ("400", When::Any, "The request is malformed."),
    ("401", When::Any, "The token is missing, or nobody's."),
    ("403", When::Any, "The token does not allow that."),
    ("404", When::Any, "There is no such object."),
    ("405", When::Writing, "That is never done to objects of that kind; Allow says what is."),
    ("409", When::Writing, "Something that is there stands in the way."),
    (
        "412",
        When::Tagged,
        "The configuration has changed since the revision of If-Match; for objects, `now` has what is there.",
    ),
    ("413", When::WithBody, "The body is too long."),
    ("415", When::WithBody, "The body is not said to be JSON."),
    ("422", When::Writing, "It can never be done as it is asked."),
    ("503", When::Any, "felio is about to end."),
];

fn content(kind: &str, schema: Json) -> Json {
    json!({ kind: { "schema": schema } })
}

fn object(properties: &Map<String, Json>, required: &[Json]) -> Json {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Those that a change cannot do without, of these.
fn required(change: &Json, properties: &Map<String, Json>) -> Vec<Json> {
    let all = change["required"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|name| name.as_str().is_some_and(|name| properties.contains_key(name))).collect()
}

/// The settings of an object by group.
fn groups(path: &Path) -> impl Iterator<Item = (String, Json)> {
    Group::of(path).filter_map(|group| {
        let values = schema::reference(group.scope(path)?);
        Some((group.as_str().to_owned(), values.into()))
    })
}

/// What stands in a path's braces.
fn names(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}

fn parameter(name: &str, known: Option<&[(&str, &str, &str)]>) -> Json {
    let known = known.into_iter().flatten().find(|(other, ..)| *other == name);
    let mut parameter =
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    match known {
        Some((_, example, doc)) => {
            parameter["description"] = (*doc).into();
            parameter["example"] = (*example).into();
        }
        None => parameter["schema"] = json!({ "type": "integer", "minimum": 0 }),
    }
    parameter
}

fn precondition(writes: bool) -> Json {
    let (name, doc) = match writes {
        true => ("If-Match", "Only if this is the entity tag still."),
        false => ("If-None-Match", "An entity tag that is known."),
    };
    json!({ "name": name, "in": "header", "schema": { "type": "string" }, "description": doc })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Everything within a value that stands under a name.
    fn all<'v>(value: &'v Json, name: &str, found: &mut Vec<&'v Json>) {
        match value {
            Json::Object(members) => {
                for (key, value) in members {
                    if key == name {
                        found.push(value);
                    }
                    all(value, name, found);
                }
            }
            Json::Array(values) => values.iter().for_each(|value| all(value, name, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut references = Vec::new();
        all(&document, "$ref", &mut references);
        assert!(references.len() > 100);
        for reference in references {
            let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
            assert!(pointer.is_some_and(|pointer| document.pointer(pointer).is_some()), "{reference}");
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_declares_its_parameters() {
        let document = document();
        let mut ids = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("an object") {
            for operation in methods.as_object().expect("an object").values() {
                assert!(ids.insert(operation["operationId"].as_str().expect("text")), "{operation}");
                let declared = operation["parameters"].as_array().expect("a list").iter();
                let declared: Vec<&str> = declared
                    .filter(|one| one["in"] == "path")
                    .filter_map(|one| one["name"].as_str())
                    .collect();
                assert_eq!(declared, names(path).collect::<Vec<_>>(), "{path}");
            }
        }
    }

    #[test]
    fn an_attribute_is_described_by_its_row() {
        let document = document();
        let row = &document["components"]["schemas"]["StorageValues"]["properties"]["block_size"];
        assert_eq!(row["enum"], json!([512, 1024, 2048, 4096, null]));
        assert_eq!(row["x-when"], "while_not_exported");
        let patch = &document["paths"]["/v1/tree/backstores/{plugin}/{storage}"]["patch"];
        let body = &patch["requestBody"]["content"]["application/json"]["schema"]["properties"];
        assert_eq!(body["attribute"]["$ref"], "#/components/schemas/StorageValues");
        assert!(body["backing"]["$ref"].is_string(), "{body}");
    }

    #[test]
    fn every_member_has_a_schema_of_its_change() {
        let document = document();
        for row in ROWS.iter().filter(|row| row.create.is_some()) {
            let path = format!("{TREE}{}", row.template);
            let body =
                &document["paths"][&path]["put"]["requestBody"]["content"]["application/json"]["schema"];
            for member in row.members.iter().filter(|member| member.given || member.change.is_some()) {
                let schema = &body["properties"][member.name];
                let is_switch = member.name == "enable";
                assert_eq!(*schema == json!({ "type": "boolean" }), is_switch, "{path} {}", member.name);
            }
        }
    }
}
