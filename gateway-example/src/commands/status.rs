use super::{Outcome, say};
use clap::Args as ClapArgs;
use gateway_example::config::Config;
use gateway_example::core::Status;
use gateway_example::io::ask;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The running gateway's configuration file, which names its control socket.
    #[arg(long, short, required_unless_present = "socket")]
    config: Option<PathBuf>,
    /// The control socket itself.
    #[arg(long, conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn status(args: Args) -> Outcome {
    let socket = match (args.socket, args.config) {
        (Some(socket), _) => socket,
        (None, Some(config)) => Config::load(&config)?.gateway.control_socket,
        (None, None) => return Err("name --config or --socket".into()),
    };
    let answer = ask(&socket).await?;
    if args.json {
        say(&answer);
    } else {
        let status: Status = serde_json::from_str(&answer)?;
        say(&status.to_string());
    }
    Ok(ExitCode::SUCCESS)
}
