//! SARIF is valid by its official schema.

use std::fs;
use std::path::Path;

use boon::{Compiler, Schemas};
use serde_json::Value;

use crate::fixture::Fixture;

/// A report with a place in the suite, one in no known file, and a schedule that fails.
const REPORT: &str = r#"
{"version":1,"test":"serves","file":"tests/pool.rs","line":9,"column":10,"verdict":"leaked","level":"warning","findings":[{"kind":"task","file":"src/lib.rs","line":11,"column":9,"count":1},{"kind":"panic","file":null,"line":null,"column":null,"count":1,"message":"a \"quote\"\nand %"}]}
{"version":1,"test":"accepted","file":"elsewhere/x.rs","line":9,"column":10,"verdict":"leaked","level":"warning","findings":[{"kind":"task","file":"elsewhere/y.rs","line":2,"column":9,"count":1}]}
{"version":1,"test":"races","file":"tests/pool.rs","line":20,"column":10,"verdict":"panicked","level":"error","explored":{"runs":50,"run":9,"seed":"7:2/1f"},"findings":[{"kind":"body_panic","file":"tests/pool.rs","line":22,"column":5,"count":1,"message":"no money"}]}
"#;

/// The official schema, which a package in the registry carries. `None` without a network.
fn schema() -> Option<Value> {
    let package =
        "[dependencies]\nserde-sarif = { version = \"=0.8.0\", default-features = false }\n";
    let fixture = Fixture::package("sarif-schema", package);
    let metadata = fixture.cargo(&["metadata", "--format-version=1", "--quiet"]);
    if metadata.status != Some(0) {
        return None;
    }
    let metadata: Value = serde_json::from_str(&metadata.stdout).unwrap();
    let mut packages = metadata["packages"].as_array().unwrap().iter();
    let package = packages
        .find(|package| package["name"] == "serde-sarif")
        .unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let text = fs::read_to_string(manifest.with_file_name("src").join("schema.json"));
    Some(serde_json::from_str(&text.unwrap()).unwrap())
}

/// What is wrong with a document, or `None` if it is valid.
fn invalid(schema: Value, document: &Value) -> Option<String> {
    let mut compiler = Compiler::new();
    let mut schemas = Schemas::new();
    // Only its local references are followed.
    let url = "file:///sarif.json";
    compiler.add_resource(url, schema).unwrap();
    let schema = compiler.compile(url, &mut schemas).unwrap();
    let validated = schemas.validate(document, schema);
    validated.err().map(|error| error.to_string())
}

#[test]
fn sarif_is_valid_by_its_schema() {
    let Some(schema) = schema() else {
        eprintln!("skipped: cargo cannot get the package that has the schema");
        return;
    };
    let fixture = Fixture::suite("sarif");
    fixture.write("report.jsonl", REPORT.trim_start());
    fixture.write(
        ".config/straggler.toml",
        "[[accept]]\nkind = \"leak\"\nfile = \"elsewhere/y.rs\"\nmost = 1\nreason = \"why\"\n",
    );
    let ended = fixture.straggler(&["report", "report.jsonl", "--format=sarif"]);
    assert_eq!(ended.status, Some(10), "{ended:?}");
    let mut document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let results = document["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 4, "{}", ended.stdout);
    assert_eq!(invalid(schema.clone(), &document), None);

    document["runs"][0]["results"][0]["level"] = "fatal".into();
    assert!(invalid(schema, &document).is_some());
}
