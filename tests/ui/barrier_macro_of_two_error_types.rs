async fn both() -> Result<(), String> {
    let parsed = async { "1".parse::<u8>() };
    let named = async { Err::<(), _>(String::from("no name")) };
    straggler::barrier!(parsed, named)?;
    Ok(())
}

fn main() {
    drop(both());
}
