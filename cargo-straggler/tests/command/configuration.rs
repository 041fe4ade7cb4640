//! Workspaces that configure cargo, and options that say what cargo may do.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::fixture::{Ended, Fixture, end};

const CLEAN: &str = "\nstraggler: 1 test checked, no findings\n";

/// Expects a clean run of one test, and a workspace as before.
fn passes(fixture: &Fixture, command: &mut Command) {
    let before = fixture.files();
    let ended = end(command);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.ends_with(CLEAN), "{}", ended.stdout);
    assert_eq!(fixture.files(), before);
}

#[test]
fn options_of_the_network_pass() {
    let fixture = Fixture::suite("network");
    for options in [&["--locked"][..], &["--offline"], &["--frozen"]] {
        let arguments = [&["test", "--test=clean"], options].concat();
        passes(&fixture, &mut fixture.command(&arguments));
    }
    fixture.write(".cargo/config.toml", "[net]\noffline = true\n");
    passes(&fixture, &mut fixture.command(&["test", "--test=clean"]));
}

#[test]
fn locked_run_fails_on_an_outdated_lock_file() {
    let fixture = Fixture::suite("outdated");
    let lock = fixture
        .read("Cargo.lock")
        .replace("name = \"test-log\"", "name = \"test-logs\"");
    fixture.write("Cargo.lock", &lock);
    let before = fixture.files();
    let ended = fixture.straggler(&["test", "--locked"]);
    assert_eq!(ended.status, Some(11), "{ended:?}");
    assert!(ended.stderr.contains("--locked"), "{}", ended.stderr);
    assert_eq!(fixture.files(), before);
}

#[test]
fn member_is_tested_from_its_folder_and_by_its_path() {
    let fixture = Fixture::suite("folder");
    for path in ["Cargo.toml", "src", "tests"] {
        fs::create_dir_all(fixture.root.join("crates/member")).unwrap();
        let to = fixture.root.join("crates/member").join(path);
        fs::rename(fixture.root.join(path), to).unwrap();
    }
    let member = "crates/member/Cargo.toml";
    fixture.write(member, &fixture.read(member).replace("[workspace]\n", ""));
    let profile = "[profile.dev]\ndebug = \"line-tables-only\"\n";
    let root = format!("[workspace]\nmembers = [\"crates/member\"]\nresolver = \"3\"\n\n{profile}");
    fixture.write("Cargo.toml", &root);
    fixture.write(member, &fixture.read(member).replace(profile, ""));

    let mut command = fixture.command(&["test", "--test=clean"]);
    passes(
        &fixture,
        command.current_dir(fixture.root.join("crates/member")),
    );
    let elsewhere = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let manifest = fixture.root.join(member);
    let manifest = manifest.to_str().unwrap();
    let mut command = fixture.command(&["test", "--test=clean", "--manifest-path", manifest]);
    passes(&fixture, command.current_dir(elsewhere));
}

#[test]
fn configured_target_folder_and_flags_apply() {
    let fixture = Fixture::suite("flags");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures-target");
    // The flags of the other tests, so that everything is built already.
    let flags = format!("[build]\ntarget-dir = {target:?}\nrustflags = [\"-Dwarnings\"]\n");
    fixture.write(".cargo/config.toml", &flags);
    let straggler = |arguments: &[&str]| {
        let mut command = fixture.command(arguments);
        command
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS");
        command
    };
    // Without a folder `target` in the workspace.
    passes(&fixture, &mut straggler(&["test", "--test=clean"]));
    fixture.write("tests/warns.rs", "use std::env;\n");
    let ended = end(&mut straggler(&["test", "--test=warns"]));
    assert_eq!(ended.status, Some(101), "{ended:?}");
    assert!(ended.stderr.contains("unused import"), "{}", ended.stderr);
}

#[test]
fn vendored_packages_are_used() {
    let fixture = Fixture::suite("vendored");
    // In the shared folder cargo would build these packages over those of the other tests, and back: they
    // differ in nothing but where their sources are.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vendored-target");
    let test = || {
        let mut command = fixture.command(&["test", "--test=clean"]);
        command.env("CARGO_TARGET_DIR", &target);
        command
    };
    let vendor = |more: &[&str]| -> Ended {
        let ended = fixture.cargo(&[&["vendor", "--locked"], more].concat());
        assert_eq!(ended.status, Some(0), "{ended:?}");
        ended
    };
    // `cargo vendor` prints the configuration that uses the folder.
    let configuration = vendor(&[]).stdout;
    fixture.write(".cargo/config.toml", &configuration);
    let before = fixture.files();
    let ended = end(&mut test());
    assert_eq!(ended.status, Some(11), "{ended:?}");
    assert_eq!(fixture.files(), before);
    let (_, advice) = ended
        .stderr
        .split_once("`cargo vendor --sync ")
        .expect(&ended.stderr);
    let (manifest, _) = advice.split_once('`').unwrap();

    fs::remove_file(fixture.root.join(".cargo/config.toml")).unwrap();
    let ended = fixture.cargo(&["vendor", "--sync", manifest]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    fixture.write(".cargo/config.toml", &configuration);
    passes(&fixture, &mut test());
}
