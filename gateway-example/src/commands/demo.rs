use super::{Outcome, say};
use clap::Args as ClapArgs;
use gateway_example::demo::{Demo, Options};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Where to leave demo.pcapng and the folder demo-keys; made if it is not there.
    #[arg(long, default_value = ".")]
    out: PathBuf,
}

pub(crate) async fn demo(args: Args) -> Outcome {
    let options = Options {
        out: args.out,
        print: say,
        entropy: super::system_entropy,
    };
    let passed = Demo::run(options).await?;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
