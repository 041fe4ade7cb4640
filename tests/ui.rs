//! What the compiler says of mistakes in the use of the macros and functions. The name of a file in
//! `ui/` is the mistake; `TRYBUILD=overwrite` writes the messages anew.

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
