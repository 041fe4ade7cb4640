//! What the compiler says of mistakes in the use of the attribute. The name of a file in `ui/` is
//! the mistake; `TRYBUILD=overwrite` writes the messages anew.

#[test]
#[rustversion::attr(
    not(stable(1.95)),
    ignore = "other compilers word their messages differently"
)]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
