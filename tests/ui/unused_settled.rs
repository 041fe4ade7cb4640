#![deny(unused_must_use)]

async fn save() -> Result<(), String> {
    Err(String::from("disk full"))
}

async fn save_twice() {
    straggler::settle_all([save(), save()]).await;
}

fn main() {
    drop(save_twice());
    straggler::settle_all([save()]);
    straggler::barrier([save()]);
}
