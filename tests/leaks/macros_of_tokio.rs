//! What is awaited inside of tokio's macros.

use super::*;

#[test]
fn do_not_hide_what_is_awaited() {
    let report = leaks(|| async {
        straggler::spawn(async {
            let hour = Duration::from_secs(3600);
            tokio::join!(tokio::time::sleep(hour), tokio::time::sleep(hour));
        });
        straggler::spawn(async {
            let (_sign, signed) = oneshot::channel::<()>();
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(3600)) => {}
                _ = signed => {}
            }
        });
    });
    for (task, on) in report.tasks().iter().zip([
        &["tokio::time::sleep::Sleep"; 2],
        &[
            "tokio::time::sleep::Sleep",
            "tokio::sync::oneshot::Receiver",
        ],
    ]) {
        let Wait::At(places) = task.wait() else {
            panic!("{report}");
        };
        assert!(
            places
                .iter()
                .all(|place| on.contains(&place.on().unwrap_or_default())),
            "{report}"
        );
    }
    assert!(report.to_string().contains("`CancellationToken`"));
}
