//! `fake-plextv`: arguments, signals and exit codes around the library.

use std::process::ExitCode;

use clap::Parser as _;
use fake_plextv::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::oneshot;

fn main() -> ExitCode {
    let args = Args::parse();
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("fake-plextv: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: Args) -> Result<(), String> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| format!("no signals: {error}"))?;
    let (stop, stopped) = oneshot::channel();
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            // The receiver is gone only when we are ending anyway.
            let _ = stop.send(());
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(fake_plextv::run(args, stopped))
}
