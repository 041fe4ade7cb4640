//! The compile errors of the attribute. Each file in `ui/` is named for its error. To update the
//! messages, run this test with `TRYBUILD=overwrite`.

#[test]
#[rustversion::attr(
    not(stable(1.95)),
    ignore = "other compilers print their errors differently"
)]
fn compile_errors() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
