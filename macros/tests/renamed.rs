//! `straggler` under another name, which the option `crate` gives.

extern crate straggler as renamed;

mod reexporting {
    pub(crate) use renamed as inner;
}

#[renamed::test(crate = "renamed")]
async fn relative_path() {}

#[renamed::test(
    crate = "::renamed",
    grace = "1s",
    flavor = "multi_thread",
    worker_threads = 1
)]
async fn absolute_path() {}

#[renamed::test(crate = "crate::reexporting::inner")]
async fn path_of_reexport() {}

#[renamed::test(crate = "renamed")]
#[tokio::test(crate = "tokio")]
async fn tokio_test_keeps_its_own_crate() {}

mod nested {
    #[renamed::leak_check(crate = "renamed")]
    #[rstest::rstest]
    #[case(1)]
    async fn alias_above_rstest_in_module(#[case] number: u8) {
        assert_eq!(number, 1);
    }
}
