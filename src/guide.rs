//! The guide: how to use straggler, page by page.

macro_rules! pages {
    ($($name:ident: $file:literal)*) => {$(
        // These come first, so that here they win over the links between files at the end of each page.
        #[doc = "[leaks]: crate::guide::leaks"]
        #[doc = "[joins]: crate::guide::joins"]
        #[doc = "[explore]: crate::guide::explore"]
        #[doc = "[cancel]: crate::guide::cancel"]
        #[doc = "[corpus]: crate::guide::corpus"]
        #[doc = "[ci]: crate::guide::ci"]
        #[doc = "[cargo]: crate::guide::cargo"]
        #[doc = "[attribute]: crate::guide::attribute"]
        #[doc = "[limits]: crate::guide::limits"]
        #[doc = ""]
        #[doc = include_str!($file)]
        pub mod $name {}
    )*};
}

pages! {
    leaks: "../docs/leaks.md"
    joins: "../docs/joins.md"
    explore: "../docs/explore.md"
    cancel: "../docs/cancel.md"
    corpus: "../docs/corpus.md"
    ci: "../docs/ci.md"
    cargo: "../docs/cargo.md"
    attribute: "../docs/attribute.md"
    limits: "../docs/limits.md"
}
