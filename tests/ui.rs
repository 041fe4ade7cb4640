//! Compile errors for mistakes in the use of macros and functions. Each file in `ui/` is named
//! after its mistake. `TRYBUILD=overwrite` updates the expected messages.

#[test]
#[rustversion::attr(
    not(stable(1.95)),
    ignore = "other compilers word their messages differently"
)]
fn mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    if cfg!(feature = "tokio") {
        cases.compile_fail("tests/ui/tokio/*.rs");
    }
}
