//! Serves clips as many cameras: `serve ADDRESS COUNT CLIP...`, for a look with any player and for measuring.
//! Cameras `0` to `COUNT - 1` take the clips in turn; every clip's name carries its rate.

use std::path::Path;

use xueliang_simulator::{CameraSpec, Clip, Simulator};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: serve ADDRESS COUNT CLIP...";
    let address = arguments.next().ok_or(usage)?.parse()?;
    let count: usize = arguments.next().ok_or(usage)?.parse()?;
    let clips = arguments.map(|path| Clip::load(Path::new(&path), None)).collect::<Result<Vec<_>, _>>()?;
    if clips.is_empty() {
        return Err(usage.into());
    }
    let cameras =
        (0..count).map(|n| CameraSpec::new(n.to_string(), clips[n % clips.len()].clone())).collect();
    let simulator = Simulator::start(address, cameras).await?;
    println!("{}", simulator.url("0"));
    tokio::signal::ctrl_c().await?;
    for camera in simulator.cameras().iter().filter(|camera| camera.counters().sessions_played > 0) {
        println!("{}: {:?}", camera.name(), camera.counters());
    }
    simulator.shutdown().await;
    Ok(())
}
