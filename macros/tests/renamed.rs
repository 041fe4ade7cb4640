//! `straggler` under another name.

extern crate straggler as renamed;

use renamed::leak_check;

mod reexporting {
    pub(crate) use renamed as inner;
}

#[leak_check(crate = "renamed")]
async fn by_its_name() {}

#[leak_check(
    crate = "::renamed",
    grace = "1s",
    flavor = "multi_thread",
    worker_threads = 1
)]
async fn by_its_absolute_name() {}

#[renamed::test(crate = "crate::reexporting::inner")]
async fn by_where_it_is_exported_again() {}

#[leak_check(crate = "renamed")]
#[tokio::test(crate = "tokio")]
async fn while_tokio_has_a_name_of_its_own() {}

mod nested {
    #[renamed::leak_check(crate = "renamed")]
    #[rstest::rstest]
    #[case(1)]
    async fn in_a_module_and_with_cases(#[case] number: u8) {
        assert_eq!(number, 1);
    }
}
